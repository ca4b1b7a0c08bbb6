"""A run like another one, whose encoders make other vectors."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.embedding.contract import ModelContract
from cocon.training.config.files import load_config
from cocon.training.models.encoder import Encoder
from cocon.training.repooling.encoders import Way, repooled
from cocon.training.run_folder.files import SUMMARY_FILE, RunFolder
from cocon.training.run_folder.ownership import claim_run
from cocon.training.run_folder.view_files import weights_sha256

__all__ = ["PooledRun", "pool_run"]


@dataclass(frozen=True, slots=True)
class PooledRun:
    """What was written.

    Attributes:
        vector_dims: view → numbers of the vector of a clip, before and now.
        left_behind: what did not go with other vectors, in words.
    """

    vector_dims: dict[str, tuple[int, int]]
    left_behind: tuple[str, ...]


def pool_run(
    run: RunFolder,
    output: Path,
    ways: Mapping[str, Way],
    *,
    overwrite: bool = False,
    learn: Callable[[Mapping[str, tuple[Encoder, ModelContract]]], None] | None = None,
) -> PooledRun:
    """Write a complete run anew, with other vectors; weights stay what they are.

    Args:
        run: what is read.
        output: folder of the new run.
        ways: view → how its encoder makes vectors.
        overwrite: replace a run that is there.
        learn: fits what is learned of a pooling; called with the views that have one → encoder and contract.

    Raises:
        UsageError: the run is not complete, there is something at `output`, or it is the run itself; or a view's
            feature maps have fewer places.
        MismatchError: a file of the run does not belong to the others.
    """
    if not run.is_complete:
        raise UsageError(f"run '{run}' is not complete; let 'cocon train --output {run}' go on")
    if real_path(output) == real_path(run.path):
        raise UsageError(f"run '{run}' cannot be replaced by itself; choose another --output")
    if (output / "config.toml").is_file() and not overwrite:
        raise UsageError(f"run '{output}' is there already; choose another --output or add --overwrite")
    config = load_config(str(run.path / "config.toml"), _settings(ways))
    before = {view: run.encoder(view) for view in run.views}
    after = {view: repooled(*each, ways[view]) for view, each in before.items()}
    if learn is not None:
        learn({view: each for view, each in after.items() if each[1].encoder.pools_whole_clips})
        after = {v: (e, replace(contract, weights_sha256=weights_sha256(e))) for v, (e, contract) in after.items()}
    pooled = RunFolder(output, config)
    claim_run(pooled, overwrite=overwrite)
    for view, (encoder, contract) in after.items():
        pooled.save_encoder(encoder, contract)
        if (aggregator := run.files_of(view).aggregator()) is not None:
            pooled.files_of(view).save_aggregator(aggregator)
    lost = [view for view, (_, contract) in after.items() if before[view][1].labels and not contract.labels]
    heads = [view for view in after if run.boundary_head(view) is not None]
    summary = json.loads((run.path / SUMMARY_FILE).read_text(encoding="utf-8"))
    left = {"labels": [], "labels_left": len(before[lost[0]][1].labels)} if lost else {}
    pooled.mark_complete(summary | {"pooled_from": real_path(run.path).name} | left)
    left_behind = [f"the classifiers of {', '.join(lost)}"] * bool(lost)
    left_behind += [f"the boundary heads of {', '.join(heads)}"] * bool(heads)
    dims = {view: (before[view][1].vector_dim, contract.vector_dim) for view, (_, contract) in after.items()}
    return PooledRun(dims, tuple(left_behind))


def _settings(ways: Mapping[str, Way]) -> list[str]:
    """Overrides that say the ways, in one where they are all the same."""
    if len({*ways.values()}) == 1:
        way = next(iter(ways.values()))
        return ["vectors={}", f"model.pooling={way.pooling}", f"model.cells={way.cells}"]
    sections = (f"{view} = {{pooling = '{way.pooling}', cells = {way.cells}}}" for view, way in ways.items())
    return [f"vectors={{{', '.join(sections)}}}"]
