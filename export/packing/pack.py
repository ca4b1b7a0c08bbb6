"""Packing a run: a folder small enough to be shipped, which everything that takes a run takes as well.

packed/config.toml, complete.json            the configuration and the summary, without paths of this machine
packed/views/<view>/weights.safetensors      in half precision
packed/views/<view>/contract.json            its sha256 is over what half precision decodes to, in fp32
packed/evaluation.json                       figures of merit, where the run was judged
packed/verdict.json                          what training gained on held-out videos, where any were held out
packed/README.md                             model card
packed/SHA256SUMS                            `sha256sum --check SHA256SUMS`
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from cocon.core.atomic import place_of
from cocon.core.errors import GateError, MismatchError, UsageError
from cocon.core.paths import real_path
from cocon.core.storage import refused, storing
from cocon.embedding.embedder import ENCODER, assert_congruent
from cocon.embedding.repository import CARD_FILE
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.parity_clips import clips_of_run
from cocon.export.cards.record import training_of_run
from cocon.export.cards.texts import run_card
from cocon.training.config.run import Config
from cocon.training.run_folder.files import EVALUATION_FILE, SUMMARY_FILE, SUMS_FILE, VERDICT_FILE, RunFolder
from cocon.training.run_folder.view_files import weights_sha256
from cocon.video.store.dataset import content_sha256

__all__ = ["MIN_COSINE", "Packed", "pack_run"]

MIN_COSINE = 0.9999

_WEIGHTS_FILE = "weights.safetensors"
# Unit vectors with a cosine of 0.9999 are 0.014 apart; a single logit may be off by more than the vectors are.
_MAX_ABS_DIFFERENCE = 0.05


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Attributes:
        views: of the run.
        num_bytes: of all files.
        min_cosine: smallest cosine between what the encoders gave before and give now, on clips of its videos.
    """

    views: tuple[str, ...]
    num_bytes: int
    min_cosine: float


def pack_run(
    path: Path,
    output: Path,
    *,
    license: str | None = None,
    overwrite: bool = False,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Packed:
    """Write a complete run anew in half precision, and compare its encoders with the run's.

    The folder appears whole or not at all, and the same run gives the same bytes.

    Args:
        path: the run folder.
        output: where to; what was packed there before is replaced only on demand.
        license: SPDX identifier of the weights' licence, in lower case; None leaves it to be said later.
        overwrite: replace a packed folder.
        on_progress: called with what happens next, in words.

    Raises:
        UsageError: the run is not complete, or there is something at `output`.
        MismatchError: a file of the run does not belong to the others.
        GateError: an encoder gives other vectors in half precision.
        StorageError: the disk takes no more.
    """
    run = RunFolder.open(path)
    views = run.views
    if not run.is_complete:
        raise UsageError(f"run '{run}' is not complete; let 'cocon train --output {run}' go on")
    output = place_of(output)
    _check_place(output, overwrite=overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    with storing(output), _aside(output) as aside:
        folder = Path(aside) / output.name
        _write_descriptions(run, folder, license)
        for view in views:
            on_progress(f"{view}: packing")
            _write_view(run, folder, view)
        cosines = {}
        for view in views:
            on_progress(f"{view}: comparing with the run")
            cosines[view] = _check_view(run, folder, view)
        _record_agreement(folder, min(cosines.values()))
        _write_card(folder)
        num_bytes = _write_sums(folder)
        if output.exists():
            output.rename(Path(aside) / "replaced")
        folder.rename(output)
    return Packed(views, num_bytes, min(cosines.values()))


def _aside(output: Path) -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent)
    except OSError as error:
        raise refused(error, f"packed run '{output}'") from error


def _check_place(output: Path, *, overwrite: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / SUMS_FILE).is_file():
        raise UsageError(f"'{output}' is not empty and no packed run; choose another --output")
    if not overwrite:
        raise UsageError(f"'{output}' is there already; choose another --output or add --overwrite")


def _write_descriptions(run: RunFolder, folder: Path, license: str | None) -> None:
    """Configuration, summary and figures, without paths and without messages that may hold some."""
    folder.mkdir()
    (folder / "config.toml").write_text(_portable(run.config).to_toml(), encoding="utf-8")
    training = training_of_run(run)
    summary = json.loads((run.path / SUMMARY_FILE).read_text(encoding="utf-8"))
    summary |= {
        "failed": dict.fromkeys(summary.get("failed", {}), "left out"),
        "generated": training.generator or False,
    }
    _write_json(folder / SUMMARY_FILE, summary | ({"license": license} if license else {}))
    if training.merits:
        _write_json(folder / EVALUATION_FILE, list(training.merits))
    if training.verdict is not None:
        shutil.copyfile(run.path / VERDICT_FILE, folder / VERDICT_FILE)


def _portable(config: Config) -> Config:
    """The configuration with the last name of every path alone; the data lies in `data/`, as by default."""
    folder = Path("data") / real_path(config.data.folder).name
    content = _without_folders(config.model_dump())
    return Config.model_validate(content | {"data": content["data"] | {"folder": folder}})


def _without_folders(content: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in content.items():
        plain[name] = _without_folders(value) if isinstance(value, dict) else value
        if isinstance(value, Path):
            plain[name] = Path(value.name)
    return plain


def _write_view(run: RunFolder, folder: Path, view: str) -> None:
    encoder, contract = run.encoder(view)
    tensors = {name: _stored(tensor) for name, tensor in encoder.state_dict().items()}
    decoded = {name: tensor.to(encoder.state_dict()[name].dtype) for name, tensor in tensors.items()}
    encoder.load_state_dict(decoded)
    target = folder / "views" / view
    target.mkdir(parents=True)
    (target / _WEIGHTS_FILE).write_bytes(save(tensors))  # its own writer lets nobody else read the file
    packed = replace(contract, weights_sha256=weights_sha256(encoder))
    (target / ENCODER.contract_file).write_text(packed.to_json(), encoding="utf-8")


def _stored(tensor: Tensor) -> Tensor:
    """Weights in half precision; vectors, such as variances that may exceed its range, and counters as they are."""
    halved = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
    return halved.detach().cpu().contiguous().clone()


def _check_view(run: RunFolder, folder: Path, view: str) -> float:
    """Smallest cosine between the run's outputs and those of what was written."""
    encoders = (one.encoder(view) for one in (run, RunFolder.open(folder)))
    before, after = (TorchEmbedder(Deployable(encoder), contract) for encoder, contract in encoders)
    clips = clips_of_run(run, before.contract)
    try:
        congruence = assert_congruent(
            before, after, clips, min_cosine=MIN_COSINE, max_abs_difference=_MAX_ABS_DIFFERENCE
        )
    except (GateError, MismatchError) as error:
        raise GateError(f"half precision is not enough for '{run}': {error}") from error
    return congruence.min_cosine


def _record_agreement(folder: Path, min_cosine: float) -> None:
    """Add to the summary how well the rounded encoders agree with those that figures were measured on."""
    summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
    rounded_down = math.floor(min_cosine * 1e6) / 1e6
    agreement = min(1.0, rounded_down, summary.get("half_precision_cosine", 1.0))  # what was packed can be packed again
    _write_json(folder / SUMMARY_FILE, summary | {"half_precision_cosine": agreement})


def _write_card(folder: Path) -> None:
    packed = RunFolder.open(folder)
    contracts = [packed.encoder(view)[1] for view in packed.views]
    training = training_of_run(packed)
    facts = {"weights": f"half precision; cosine of embeddings to those before ≥ {training.half_precision_cosine:.6f}"}
    text = run_card(folder.name, contracts, training, facts)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _write_sums(folder: Path) -> int:
    """Write the sums in the form of `sha256sum`; returns the bytes of all files, the sums' own too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [(content_sha256(path), path.relative_to(folder).as_posix()) for path in files]
    (folder / SUMS_FILE).write_text("".join(f"{digest}  {name}\n" for digest, name in sums), encoding="utf-8")
    return sum(path.stat().st_size for path in [*files, folder / SUMS_FILE])


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
