"""The model that says where actions begin and end, from the blocks of one encoder: its contract, and its file.

| tensor | type and shape | what |
|---|---|---|
| `blocks` | float32 [B, L, D] | input; unit-length blocks of a video in order of time, one every `hop_frames` |
| `boundaries` | float32 [B, L, 3] | probability that an action starts, that one ends, that one goes on |

    LocalRepository(Path("model_repository")).open(BOUNDARY_MODEL, "rgb").probabilities(blocks)
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError
from cocon.embedding.contract import BLOCKS, ModelContract
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import OpenModel

__all__ = [
    "BOUNDARIES",
    "BOUNDARY_MODEL",
    "NUM_BOUNDARIES",
    "BoundaryContract",
    "BoundaryModel",
    "half_block_frames",
]

BOUNDARIES = "boundaries"
NUM_BOUNDARIES = 3  # start, end, actionness
_HOW_TO_GET_ONE = "train one with 'cocon evaluate RUN --task localization --data DIR', and export RUN again"

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

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the input of one video, of any length."""
        return {BLOCKS: (-1, self.embedding_dim)}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the output of one video, of the same length."""
        return {BOUNDARIES: (-1, NUM_BOUNDARIES)}

    def check_encoder(self, encoder: ModelContract, *, source: str) -> None:
        """Raise `MismatchError` unless the encoder's blocks are those that the model was trained on."""
        if encoder.fingerprint != self.encoder_fingerprint:
            raise MismatchError(
                f"{source} was trained on the blocks of another encoder of view '{self.view}' (fingerprint "
                f"{self.encoder_fingerprint[:12]}, this one is {encoder.fingerprint[:12]}); {_HOW_TO_GET_ONE}"
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
            kinds = get_type_hints(cls).items()
            schema, known = content.pop("schema"), {name: kind(content[name]) for name, kind in kinds}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MismatchError(f"{source} is no contract of a boundary model: {error!r}; export again") from error
        if schema != _SCHEMA or content.keys() != known.keys():
            raise MismatchError(f"{source} is no contract of a boundary model of schema {_SCHEMA}; export again")
        return cls(**known)


class BoundaryModel(OpenModel[BoundaryContract]):
    """What finds the boundaries of actions in blocks."""

    def probabilities(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of start, end and actionness `float32 [B, L, 3]` of blocks `float32 [B, L, D]`.

        Raises:
            MismatchError: `blocks` is not what the contract takes, the model is gone, or its answer is not finite.
            ServerError: the server does not answer in time.
        """
        view, dim = self.contract.view, self.contract.embedding_dim
        if blocks.dtype != np.float32 or blocks.ndim != 3 or blocks.shape[2] != dim or 0 in blocks.shape:
            raise MismatchError(
                f"blocks {blocks.dtype} {list(blocks.shape)} do not fit the boundary model of view '{view}', "
                f"which takes float32 [B, L, {dim}]"
            )
        found, shape = self._session.run(blocks)[BOUNDARIES], (*blocks.shape[:2], NUM_BOUNDARIES)
        if found.shape != shape or not np.isfinite(found).all():
            raise MismatchError(
                f"the boundary model of view '{view}' gave probabilities {list(found.shape)} "
                f"that must be finite and {list(shape)}; export it again"
            )
        return found


BOUNDARY_MODEL = ModelKind(
    suffix="_boundaries",
    contract_key=BOUNDARIES,
    contract_file="boundaries.json",
    read=BoundaryContract.from_json,
    model=BoundaryModel,
    input_type="float32",
    is_light=True,
    remedy=_HOW_TO_GET_ONE,
)


def half_block_frames(frames_per_block: int) -> int:
    """The hop of the blocks that boundary models are trained on: half a block, at least one frame."""
    return max(1, frames_per_block // 2)
