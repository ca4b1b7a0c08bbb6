"""The run folder: what training leaves behind, and how it is read back.

    run/config.toml                 the resolved configuration
    run/views/<view>/               weights.safetensors, contract.json, aggregator.safetensors, and once actions were
                                    located, boundary_head.safetensors and boundary_head.json
    run/metrics.jsonl, tensorboard/ what was measured on the way
    run/state.pt                    method, optimizer, random numbers, step: enough to go on bit for bit
    run/complete.json               written last
    run/writer.lock                 locked, and not empty, while somebody trains

Every file appears whole or not at all, and none of them is a pickle: `state.pt` loads with `weights_only=True`.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import ModelContract, Normalisation
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

__all__ = [
    "EVALUATION_FILE",
    "SUMMARY_FILE",
    "SUMS_FILE",
    "contract_of",
    "has_begun",
    "is_complete",
    "load_encoder",
    "load_state",
    "mark_complete",
    "read_contract",
    "read_encoder",
    "run_config",
    "run_views",
    "save_encoder",
    "save_state",
    "warn_if_incomplete",
    "weights_sha256",
]

SUMMARY_FILE = "complete.json"
EVALUATION_FILE = "evaluation.json"  # figures of `cocon evaluate --json`, kept beside the run by who judges it
SUMS_FILE = "SHA256SUMS"  # of a packed run, over every file in it

_logger = logging.getLogger(__name__)


def has_begun(run: Path) -> bool:
    """Whether the run has a state to go on from, or is complete."""
    return (run / "state.pt").is_file() or is_complete(run)


def run_config(run: Path) -> Config:
    """The configuration of a run.

    Raises:
        UsageError: the folder is no run.
    """
    if not (run / "config.toml").is_file():
        raise UsageError(f"'{run}' is no training run (no config.toml); make one with 'cocon train --output {run}'")
    return load_config(str(run / "config.toml"))


def run_views(run: Path) -> tuple[str, ...]:
    """Views whose encoders the run has saved, in the order of its configuration; raises like `run_config`."""
    config = run_config(run)
    views = tuple(view for view in config.views if (run / "views" / view / "contract.json").is_file())
    if not views:
        raise UsageError(f"run '{run}' has saved no encoder yet; let 'cocon train --output {run}' go on")
    return views


def contract_of(config: Config, view: str, encoder: Encoder, *, method: str, labels: tuple[str, ...]) -> ModelContract:
    """The contract of an encoder trained with a configuration; the classifier counts only when there are labels."""
    row = view_named(view)
    is_own = encoder.normalisation != Normalisation(row.mean, row.std)
    return ModelContract(
        method=method,
        view=view,
        clip=config.clip.spec(),
        geometry=config.geometry(view),
        encoder=config.encoder_spec(config.classifier.head if labels else "none"),
        embedding_dim=encoder.embedding_dim,
        weights_sha256=weights_sha256(encoder),
        labels=labels,
        flow=config.flow_spec(view),
        normalisation=encoder.normalisation if is_own else None,
    )


def save_encoder(run: Path, encoder: Encoder, contract: ModelContract) -> None:
    """Write one view's weights and contract."""
    folder = run / "views" / contract.view
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    with replacing(folder / "weights.safetensors") as partial:
        save_file(tensors, partial)
    _write(folder / "contract.json", contract.to_json())


def load_encoder(run: Path, view: str) -> tuple[Encoder, ModelContract]:
    """Build a run's encoder of one view, in evaluation mode, on the CPU.

    Raises:
        UsageError: no such run or view.
        MismatchError: weights and contract do not belong together.
    """
    view = view_named(view).name
    if view not in run_views(run):
        raise UsageError(f"run '{run}' has no encoder of view '{view}'; it has: {', '.join(run_views(run))}")
    return read_encoder(run / "views" / view)


def read_contract(folder: Path) -> ModelContract:
    """The contract in the folder of one view; raises `MismatchError` if it is none or was changed."""
    path = folder / "contract.json"
    return ModelContract.from_json(path.read_text(encoding="utf-8"), source=f"'{path}'")


def read_encoder(folder: Path) -> tuple[Encoder, ModelContract]:
    """Build the encoder in the folder of one view, in evaluation mode, on the CPU.

    Raises:
        MismatchError: weights and contract do not belong together.
    """
    contract = read_contract(folder)
    encoder = build_encoder(contract.encoder, contract.view_spec, num_classes=len(contract.labels))
    try:
        encoder.load_state_dict(load_file(folder / "weights.safetensors"))
    except Exception as error:  # safetensors raises its own error class, load_state_dict a RuntimeError
        raise MismatchError(f"weights in '{folder}' do not fit their contract: {error}; train again") from error
    if weights_sha256(encoder) != contract.weights_sha256:
        raise MismatchError(f"weights in '{folder}' are not the ones its contract was written for; train again")
    return encoder.eval(), contract


def weights_sha256(encoder: Encoder) -> str:
    """sha256 over the encoder's tensors in fp32, sorted by name, the classifier left out."""
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        if not name.startswith("classifier."):
            digest.update(f"{name} {list(tensor.shape)}\n".encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_state(run: Path, state: Mapping[str, Any]) -> None:
    """Write what training needs to go on; only tensors and plain containers."""
    with replacing(run / "state.pt") as partial:
        torch.save(dict(state), partial)


def load_state(run: Path) -> dict[str, Any] | None:
    """Read it back; None where there is nothing to go on from."""
    path = run / "state.pt"
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def warn_if_incomplete(run: Path) -> None:
    """Say that what the run has saved is not its end."""
    if not is_complete(run):
        _logger.warning(
            "run '%s' is not complete: its encoders are those of the last epoch that it finished; "
            "'cocon train --output %s' goes on", run, run,
        )  # fmt: skip


def mark_complete(run: Path, summary: Mapping[str, Any]) -> None:
    """Record that nothing is left to do."""
    _write(run / SUMMARY_FILE, json.dumps(dict(summary), indent=2) + "\n")


def is_complete(run: Path) -> bool:
    """Whether the run has nothing left to do."""
    return (run / SUMMARY_FILE).is_file()


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
