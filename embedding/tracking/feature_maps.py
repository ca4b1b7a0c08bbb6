"""Feature maps of single frames, for following things: what a model of them takes and gives, and one in this process.

| tensor | type and shape | what |
|---|---|---|
| `frames` | uint8 [B, H, W, C] | input, H = W; scaling and normalisation happen inside the model |
| `feature_map` | float32 [B, s, s, D'] | unit length per cell, s = H / stride |

    with open_local_feature_maps(Path("model_repository"), "rgb") as model:
        maps = model.maps(frames)

The cells are a stage of an encoder's trunk; `box_tracking.py` follows a box with them.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.local import open_session
from cocon.embedding.repository import ONNX, latest_version, model_name
from cocon.embedding.tracking.cell_grid import convolution_offset_cells
from cocon.video.views import view_named

__all__ = [
    "FEATURE_MAP",
    "FEATURE_MAP_FILE",
    "FRAMES",
    "FeatureMapContract",
    "FeatureMaps",
    "LocalFeatureMaps",
    "check_frames",
    "check_maps",
    "feature_map_model",
    "open_local_feature_maps",
]

FRAMES = "frames"
FEATURE_MAP = "feature_map"
FEATURE_MAP_FILE = "feature_map.json"

_SCHEMA = 1


def feature_map_model(view: str) -> str:
    """Name of the model that gives the feature maps of a view."""
    return model_name(view, "_feature_map")


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


class FeatureMaps(Protocol):
    """Anything that gives feature maps of frames of one view."""

    @property
    def contract(self) -> FeatureMapContract:
        """What goes in and what comes out."""
        ...

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def version(self) -> str:
        """Of the model."""
        ...

    def maps(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature maps `float32 [B, s, s, D']` of frames `uint8 [B, H, W, C]`."""
        ...


class LocalFeatureMaps:
    """Feature maps by ONNX Runtime in this process.

    Args:
        folder: version folder of the model.
        contract: the model's.
        num_threads: of ONNX Runtime; all cores by default.
        providers: as of `LocalEmbedder`.

    Raises:
        MismatchError: ONNX Runtime cannot load the file, or its tensors are not the contract's.
    """

    def __init__(
        self,
        folder: Path,
        contract: FeatureMapContract,
        *,
        num_threads: int = 0,
        providers: tuple[str, ...] | None = None,
    ) -> None:
        path = folder / ONNX.file_name
        self._contract = contract
        self._version = folder.name
        self._session = open_session(path, num_threads=num_threads, providers=providers)
        found = {
            tensor.name: tensor.shape[1:] for tensor in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        if found != {FRAMES: [*contract.frame_shape], FEATURE_MAP: [*contract.map_shape]}:
            raise MismatchError(f"model '{path}' has other tensors than its contract: {found}; export it again")

    @property
    def contract(self) -> FeatureMapContract:
        """What goes in and what comes out."""
        return self._contract

    @property
    def name(self) -> str:
        """Of the model."""
        return feature_map_model(self._contract.view)

    @property
    def version(self) -> str:
        """Of the model."""
        return self._version

    def maps(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature maps `float32 [B, s, s, D']` of frames `uint8 [B, H, W, C]`.

        Raises:
            MismatchError: `frames` is not what the contract takes, or the maps are not finite.
        """
        check_frames(frames, self._contract)
        (maps,) = self._session.run([FEATURE_MAP], {FRAMES: frames})
        return check_maps(maps, self._contract, len(frames))

    def close(self) -> None:
        """Free the session."""
        del self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_local_feature_maps(repository: Path, view: str, *, num_threads: int = 0) -> LocalFeatureMaps:
    """Load the newest model of feature maps in a model repository.

    Args:
        repository: the folder.
        view: whose frames.
        num_threads: of ONNX Runtime; all cores by default.

    Raises:
        UsageError: the repository has no such model.
        MismatchError: its contract or its file cannot be read.
    """
    name = feature_map_model(view)
    version = latest_version(repository / name)
    if version is None:
        raise UsageError(
            f"model repository '{repository}' has no model '{name}'; make one with 'cocon export --feature-maps'"
        )
    folder = repository / name / str(version)
    path = folder / FEATURE_MAP_FILE
    if not path.is_file():
        raise MismatchError(f"'{path}' is missing; export the model again")
    contract = FeatureMapContract.from_json(path.read_text("utf-8", errors="replace"), source=f"'{path}'")
    return LocalFeatureMaps(folder, contract, num_threads=num_threads)


def check_frames(frames: NDArray[np.uint8], contract: FeatureMapContract) -> None:
    """Raise `MismatchError` unless `frames` is what the contract takes."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != contract.frame_shape or not len(frames):
        expected = f"uint8 [B, {', '.join(map(str, contract.frame_shape))}]"
        raise MismatchError(f"frames {frames.dtype} {list(frames.shape)} do not fit the model, which takes {expected}")


def check_maps(maps: NDArray[np.float32], contract: FeatureMapContract, num_frames: int) -> NDArray[np.float32]:
    """The maps that a model gave, or `MismatchError` if they are not of the contract's shape, or not finite."""
    if maps.shape != (num_frames, *contract.map_shape) or not np.isfinite(maps).all():
        shape = [num_frames, *contract.map_shape]
        raise MismatchError(f"the model gave maps {list(maps.shape)} that must be finite and {shape}; export it again")
    return maps
