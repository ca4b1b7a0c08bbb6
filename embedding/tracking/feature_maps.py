"""Feature maps of single frames, for following things: what a model of them takes and gives, and one in this process.

| tensor | type and shape | what |
|---|---|---|
| `frames` | uint8 [B, H, W, C] | input, H = W; scaling and normalisation happen inside the model |
| `feature_map` | float32 [B, s, s, D'] | unit length per cell, s = H / stride |

    with LocalRepository(Path("model_repository")).open(FEATURE_MAPS, "rgb") as model:
        maps = model.maps(frames)

The cells are a stage of an encoder's trunk; `box_tracking.py` follows a box with them.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import OpenModel
from cocon.embedding.tracking.cell_grid import convolution_offset_cells
from cocon.video.views import view_named

__all__ = ["FEATURE_MAP", "FEATURE_MAPS", "FRAMES", "SIZE_PX", "STAGE", "FeatureMapContract", "FeatureMaps"]

FRAMES = "frames"
FEATURE_MAP = "feature_map"

# What is exported and judged unless something else is said: a stage of a residual trunk that has a cell per 8 pixels,
# and height and width of a frame, whatever the picture's shape: 20 × 20 cells.
STAGE = "layer2"
SIZE_PX = 160

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FeatureMapContract:
    """The contract of a model of feature maps; it travels with the model.

    Attributes:
        view: name of the view it sees.
        stage: of the encoder's trunk.
        stride_px: pixels from the centre of a cell to that of the next; the first cell's centre is pixel 0.
        size_px: H = W of a frame, a multiple of `stride_px`.
        depth: D'.
        fingerprint: of the encoder whose stage it is.
    """

    view: str
    stage: str
    stride_px: int
    size_px: int
    depth: int
    fingerprint: str

    def __post_init__(self) -> None:
        if min(self.stride_px, self.size_px, self.depth) < 1 or self.size_px % self.stride_px:
            raise ValueError(
                f"size_px ({self.size_px}) must be a multiple of stride_px ({self.stride_px}), both positive"
            )

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one frame."""
        return (self.size_px, self.size_px, view_named(self.view).channels)

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """(s, s, D') of one map."""
        num_cells = self.size_px // self.stride_px
        return (num_cells, num_cells, self.depth)

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the input of one frame."""
        return {FRAMES: self.frame_shape}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the output of one frame."""
        return {FEATURE_MAP: self.map_shape}

    @property
    def offset_cells(self) -> float:
        """How far a cell looks to the left of the middle of its part of the picture, for `tracked_boxes`."""
        return convolution_offset_cells(self.stride_px)

    def to_json(self) -> str:
        """All of it, for the model's configuration."""
        return json.dumps({"schema": _SCHEMA, **dataclasses.asdict(self)}, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Self:
        """Read what `to_json` wrote.

        Args:
            text: what it wrote.
            source: named in the error message.

        Raises:
            MismatchError: it is no contract of this schema.
        """
        try:
            content = json.loads(text)
            if content.pop("schema") != _SCHEMA:
                raise ValueError("another schema")
            contract = cls(**content)
            view_named(contract.view)
        except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
            raise MismatchError(f"{source} is no contract of feature maps: {error!r}; export again") from error
        return contract


class FeatureMaps(OpenModel[FeatureMapContract]):
    """What gives feature maps of frames of one view."""

    def maps(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature maps `float32 [B, s, s, D']` of frames `uint8 [B, H, W, C]`.

        Raises:
            MismatchError: `frames` is not what the contract takes, the model is gone, or the maps are not finite.
            ServerError: the server does not answer in time.
        """
        takes, gives = self.contract.frame_shape, [len(frames), *self.contract.map_shape]
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != takes or not len(frames):
            raise MismatchError(
                f"frames {frames.dtype} {list(frames.shape)} do not fit the model, "
                f"which takes uint8 [B, {', '.join(map(str, takes))}]"
            )
        maps = self._session.run(frames)[FEATURE_MAP]
        if list(maps.shape) != gives or not np.isfinite(maps).all():
            raise MismatchError(
                f"the model gave maps {list(maps.shape)} that must be finite and {gives}; export it again"
            )
        return maps


FEATURE_MAPS = ModelKind(
    suffix="_feature_map",
    contract_key=FEATURE_MAP,
    contract_file="feature_map.json",
    read=FeatureMapContract.from_json,
    model=FeatureMaps,
    remedy="make one with 'cocon export --feature-maps'",
)
