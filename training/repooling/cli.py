"""`cocon pool`."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.options import Quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cocon.training.config.run import Config
    from cocon.training.evaluation.recognition.features import Encoders
    from cocon.training.repooling.choice import WayComparison
    from cocon.training.repooling.encoders import Way
    from cocon.training.repooling.pooled_run import PooledRun
    from cocon.training.run_folder.files import RunFolder

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def pool(
    run: Annotated[Path, typer.Argument(help="Complete run.")] = Path("runs/default"),
    output: Annotated[
        Path | None, typer.Option(help="Folder of the new run; without, ways are compared and nothing is written.")
    ] = None,
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[VIEW=]mean|thirds|learned",
            help="What vectors of clips keep of order, of one view or of all; may be repeated. Without it and --cells, "
            "the best is chosen for each view.",
        ),
    ] = None,
    cells: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[VIEW=]NUMBER",
            help="Places of the picture that vectors of blocks keep: so many squared; may be repeated.",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another dataset folder than the run's, to compare on.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make vectors of a trained run keep order or place, without training again; or compare such vectors.

    The mean of a clip's blocks forgets what came first; thirds keep it, in three times as many numbers. Cells keep
    what is where, in cells² times as many. They are compared on held-out training videos, never on test videos. A
    learned pooling keeps order in as many numbers as the mean; it is fitted to training videos, without labels. A
    classifier fitted to other vectors is left behind, and said.

    Example: cocon pool runs/default --pooling thirds --pooling flow=mean --cells 2 --output runs/default-thirds
    """
    from cocon.embedding.contract import LEARNED_POOLING
    from cocon.training.repooling.asked import asked_ways
    from cocon.training.repooling.pooled_run import pool_run
    from cocon.training.run_folder.files import RunFolder

    opened = RunFolder.open(run)
    compared = None if pooling or cells else _compared(opened, data, quiet=quiet)
    ways = compared.best if compared is not None else asked_ways(opened, pooling or [], cells or [])
    learn = None
    if any(way.pooling == LEARNED_POOLING for way in ways.values()):
        learn = partial(_learn, opened, data, quiet=quiet)
    pooled = None if output is None else pool_run(opened, output, ways, overwrite=overwrite, learn=learn)
    if as_json:
        rows = [] if compared is None else [asdict(row) for row in compared.rows]
        written = None if pooled is None else {"run": str(output), **asdict(pooled)}
        told = {view: asdict(way) for view, way in ways.items()}
        print(json.dumps({"ways": told, "compared": rows, "written": written}))
        return
    if compared is not None:
        _show(compared)
    if pooled is not None and output is not None:
        _say(pooled, output, ways)


def _compared(run: "RunFolder", data: Path | None, *, quiet: bool) -> "WayComparison":
    from cocon.core.progress import progress_bar
    from cocon.training.repooling.choice import compare_ways
    from cocon.training.repooling.videos import judged_videos

    encoders = {view: run.encoder(view) for view in run.views}
    bar, config = partial(progress_bar, is_quiet=quiet), _configured(run, data)
    videos = judged_videos(run, config)
    with videos.known, videos.held:
        return compare_ways(encoders, videos, seed=config.training.seed, progress_bar=bar)


def _learn(run: "RunFolder", data: Path | None, encoders: "Encoders", *, quiet: bool) -> None:
    """Fit the pooling of each of these views to the run's training videos."""
    from cocon.core.progress import progress_bar
    from cocon.training.repooling.learned import blocks_of_videos, fit_pooling
    from cocon.training.repooling.videos import training_videos

    bar, config = partial(progress_bar, is_quiet=quiet), _configured(run, data)
    with training_videos(config, [*encoders]) as frames, bar("learning to pool") as on_progress:
        blocks = blocks_of_videos(encoders, frames, on_progress=on_progress)
    for view, (encoder, _) in encoders.items():
        fit_pooling(encoder, blocks[view], seed=config.training.seed)


def _configured(run: "RunFolder", data: Path | None) -> "Config":
    config = run.config
    if data is None:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})


def _show(compared: "WayComparison") -> None:
    from rich.table import Column

    from cocon.core.tables import new_table, print_table

    names = ("numbers", "probe top-1", "R@1", "held-out videos")
    table = new_table(Column("vectors", no_wrap=True), "view", *(Column(name, justify="right") for name in names))
    for row in compared.rows:
        shown = (f"{row.probe_top1:.1f}", f"{row.recall_at_1:.1f}", str(row.num_videos))
        table.add_row("each view's best" if row.way is None else str(row.way), row.view, str(row.vector_dim), *shown)
    print_table(table)
    print(f"best: {_told(compared.best)}")


def _told(ways: "Mapping[str, Way]") -> str:
    if len({*ways.values()}) == 1:
        return str(next(iter(ways.values())))
    return "; ".join(f"{view} {way}" for view, way in ways.items())


def _say(pooled: "PooledRun", output: Path, ways: "Mapping[str, Way]") -> None:
    from cocon.core.printable import printable

    dims = ", ".join(f"{view} {before} → {now}" for view, (before, now) in pooled.vector_dims.items())
    print(f"{printable(output)} holds the same encoders, vectors by {_told(ways)}; numbers of a clip's vector: {dims}")
    for what in pooled.left_behind:
        typer.echo(f"left behind, for they were made for other vectors: {what}", err=True)
    if pooled.left_behind and pooled.left_behind[0].startswith("the classifiers"):
        again = "--set training.epochs=0 --output ANOTHER"
        typer.echo(f"fit others: cocon train --config {output}/config.toml --init-from {output} {again}", err=True)
