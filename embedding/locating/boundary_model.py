"""The model that says where actions begin and end, from the blocks of one encoder: its contract, and its file.

| tensor | type and shape | what |
|---|---|---|
| `blocks` | float32 [B, L, D] | input; unit-length blocks of a video in order of time, one every `hop_frames` |
| `boundaries` | float32 [B, L, 3] | probability that an action starts, that one ends, that one goes on |

    open_local_boundaries(Path("model_repository"), "rgb").probabilities(blocks)
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import BLOCKS, ModelContract
from cocon.embedding.local import open_session
from cocon.embedding.repository import ONNX, latest_version, model_name

__all__ = [
    "BOUNDARIES",
    "BOUNDARY_CONTRACT_FILE",
    "HOW_TO_GET_ONE",
    "NUM_BOUNDARIES",
    "BoundaryContract",
    "BoundaryModel",
    "LocalBoundaries",
    "boundary_model_name",
    "check_blocks",
    "check_probabilities",
    "half_block_frames",
    "open_local_boundaries",
]

BOUNDARIES = "boundaries"
BOUNDARY_CONTRACT_FILE = "boundaries.json"
NUM_BOUNDARIES = 3  # start, end, actionness
HOW_TO_GET_ONE = "train one with 'cocon evaluate RUN --task localization --data DIR', and export RUN again"

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class BoundaryContract:
    """What a boundary model was trained for.

    Attributes:
        view: name of the view.
        encoder_fingerprint: of the encoder whose blocks it takes; those of another mean nothing to it.
        embedding_dim: D.
        hop_frames: frames, one step apart, from the start of a block to that of the next.
        min_seconds: the shortest segments that are looked for: a tenth shorter than any action it was trained on.
        max_seconds: the longest, likewise.
        weights_sha256: over its tensors.
    """

    view: str
    encoder_fingerprint: str
    embedding_dim: int
    hop_frames: int
    min_seconds: float
    max_seconds: float
    weights_sha256: str

    def check_encoder(self, encoder: ModelContract, *, source: str) -> None:
        """Raise `MismatchError` unless the encoder's blocks are those that the model was trained on."""
        if encoder.fingerprint != self.encoder_fingerprint:
            raise MismatchError(
                f"{source} was trained on the blocks of another encoder of view '{self.view}' (fingerprint "
                f"{self.encoder_fingerprint[:12]}, this one is {encoder.fingerprint[:12]}); {HOW_TO_GET_ONE}"
            )

    def to_json(self) -> str:
        """All of it, as indented JSON."""
        return json.dumps({"schema": _SCHEMA} | dataclasses.asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Self:
        """Read what `to_json` wrote; `source` is named in the error message.

        Raises:
            MismatchError: it is something else.
        """
        try:
            content = json.loads(text)
            schema, known = content.pop("schema"), {name: kind(content[name]) for name, kind in _KINDS.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MismatchError(f"{source} is no contract of a boundary model: {error!r}; export again") from error
        if schema != _SCHEMA or content.keys() != known.keys():
            raise MismatchError(f"{source} is no contract of a boundary model of schema {_SCHEMA}; export again")
        return cls(**known)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "view": str,
    "encoder_fingerprint": str,
    "embedding_dim": int,
    "hop_frames": int,
    "min_seconds": float,
    "max_seconds": float,
    "weights_sha256": str,
}


class BoundaryModel(Protocol):
    """Anything that finds the boundaries of actions in blocks."""

    @property
    def contract(self) -> BoundaryContract:
        """What goes in."""
        ...

    def probabilities(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """`float32 [B, L, D]` to probabilities of start, end and actionness, `float32 [B, L, 3]`."""
        ...


class LocalBoundaries:
    """A `BoundaryModel` over one ONNX file, on the CPU: there is little to compute.

    Args:
        model_path: `model.onnx`.
        contract: the file's contract.

    Raises:
        MismatchError: ONNX Runtime cannot load the file, or its tensors are not the contract's.
    """

    def __init__(self, model_path: Path, contract: BoundaryContract) -> None:
        self._contract = contract
        self._session = open_session(model_path, providers=["CPUExecutionProvider"])
        tensors = (*self._session.get_inputs(), *self._session.get_outputs())
        found = {tensor.name: tensor.shape[2:] for tensor in tensors}
        if found != {BLOCKS: [contract.embedding_dim], BOUNDARIES: [NUM_BOUNDARIES]}:
            raise MismatchError(f"model '{model_path}' has other tensors than its contract: {found}; export it again")

    @property
    def contract(self) -> BoundaryContract:
        """What goes in."""
        return self._contract

    def probabilities(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `BoundaryModel.probabilities`.

        Raises:
            MismatchError: `blocks` is not what the contract takes, or the answer is not finite.
        """
        check_blocks(blocks, self._contract)
        (found,) = self._session.run([BOUNDARIES], {BLOCKS: blocks})
        return check_probabilities(found, self._contract, blocks.shape[:2])


def boundary_model_name(view: str) -> str:
    """Name of the model of a view in a repository."""
    return model_name(view, "_boundaries")


def half_block_frames(frames_per_block: int) -> int:
    """The hop of the blocks that boundary models are trained on: half a block, at least one frame."""
    return max(1, frames_per_block // 2)


def check_blocks(blocks: NDArray[np.float32], contract: BoundaryContract) -> None:
    """Raise `MismatchError` unless `blocks` is what the contract takes."""
    dim = contract.embedding_dim
    if blocks.dtype != np.float32 or blocks.ndim != 3 or blocks.shape[2] != dim or 0 in blocks.shape:
        raise MismatchError(
            f"blocks {blocks.dtype} {list(blocks.shape)} do not fit the boundary model of view '{contract.view}', "
            f"which takes float32 [B, L, {dim}]"
        )


def check_probabilities(
    found: NDArray[np.float32], contract: BoundaryContract, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """What a model gave for blocks `[B, L, D]`, or `MismatchError` if it is not `[B, L, 3]` and finite.

    Args:
        found: its answer.
        contract: of the model.
        shape: (B, L).
    """
    if found.shape != (*shape, NUM_BOUNDARIES) or not np.isfinite(found).all():
        raise MismatchError(
            f"the boundary model of view '{contract.view}' gave probabilities {list(found.shape)} "
            f"that must be finite and {[*shape, NUM_BOUNDARIES]}; export it again"
        )
    return found


def open_local_boundaries(repository: Path, view: str) -> LocalBoundaries:
    """Load the newest boundary model of a view from a model repository folder.

    Raises:
        UsageError: there is none.
        MismatchError: its file or contract cannot be read.
    """
    folder = repository / boundary_model_name(view)
    version = latest_version(folder)
    if version is None:
        name = boundary_model_name(view)
        raise UsageError(f"model repository '{repository}' has no model '{name}'; {HOW_TO_GET_ONE}")
    path = folder / str(version) / BOUNDARY_CONTRACT_FILE
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise MismatchError(f"'{path}' cannot be read: {error.strerror}; export the model again") from error
    return LocalBoundaries(path.with_name(ONNX.file_name), BoundaryContract.from_json(text, source=f"'{path}'"))
