"""The multi-view store: views kept beside the videos of a dataset folder, one file per view and video.

    folder/views/<view>/<video_id>.npz      arrays, never pickles

Frames are stored per source frame with their presentation times, so clips of any step can be cut from them. Poses are
stored as key points and drawn when they are read.

    write_frames(folder, "flow", "v001", flow_bytes, timestamps, attributes={"flow_interval_seconds": 1 / 15})
    stored = read_view(folder, "flow", "v001")
    stored.frames([0, 3, 6], height=56, width=75)       # uint8 [3, 56, 75, 2]
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.atomic import replacing
from cocon.video.errors import MissingViewError
from cocon.video.flow import FlowSpec, rescale_flow_bytes
from cocon.video.geometry import resize
from cocon.video.pose import draw_heatmaps

__all__ = ["StoredView", "find_view", "read_view", "view_path", "write_frames", "write_keypoints"]


@dataclass(frozen=True, slots=True)
class StoredView:
    """One view of one video, as stored.

    Attributes:
        view: name of the view.
        timestamps: presentation times in seconds, `float64 [F]`.
        pixels: `uint8 [F, H, W, C]`, or None for a pose.
        keypoints: `float16 [F, P, 17, 3]` (x, y in pixels of a `height` × `width` frame, score), or None.
        height: of the stored frames, or of the frame that key points refer to.
        width: likewise.
        attributes: what else is known, such as `flow_interval_seconds`.
    """

    view: str
    timestamps: NDArray[np.float64]
    pixels: NDArray[np.uint8] | None
    keypoints: NDArray[np.float16] | None
    height: int
    width: int
    attributes: Mapping[str, float | str]

    def measures(self, flow: FlowSpec | None) -> bool:
        """Whether a stored flow was taken over the interval that a model wants; true of every other view."""
        if self.view != "flow":
            return True
        interval = self.attributes.get("flow_interval_seconds")
        return flow is not None and isinstance(interval, float) and abs(interval - flow.interval_seconds) < 1e-6

    def frames(self, indices: Sequence[int] | NDArray[np.int64], *, height: int, width: int) -> NDArray[np.uint8]:
        """Selected frames at a size: `uint8 [len(indices), height, width, C]`; flow vectors scale with the picture."""
        chosen = np.asarray(indices, dtype=np.int64)
        if self.keypoints is not None:
            scale = np.array([width / self.width, height / self.height, 1.0], np.float32)
            return draw_heatmaps(self.keypoints[chosen].astype(np.float32) * scale, height=height, width=width)
        assert self.pixels is not None
        resized = np.stack([resize(self.pixels[index], height, width) for index in chosen])
        return rescale_flow_bytes(resized, height / self.height) if self.view == "flow" else resized


def view_path(root: Path, view: str, video_id: str) -> Path:
    """Where a view of a video is stored."""
    return root / "views" / view / f"{video_id}.npz"


def write_frames(
    root: Path,
    view: str,
    video_id: str,
    frames: NDArray[np.uint8],
    timestamps: NDArray[np.float64],
    *,
    attributes: Mapping[str, float | str],
) -> None:
    """Store a view's frames `uint8 [F, H, W, C]`; the file appears whole or not at all."""
    _check_timestamps(len(frames), timestamps)
    meta = {"view": view, "height": frames.shape[1], "width": frames.shape[2], "attributes": dict(attributes)}
    _write(view_path(root, view, video_id), meta, frames=frames, timestamps=timestamps)


def write_keypoints(
    root: Path,
    video_id: str,
    keypoints: NDArray[np.float16],
    timestamps: NDArray[np.float64],
    *,
    height: int,
    width: int,
) -> None:
    """Store a pose as key points `float16 [F, P, 17, 3]`: x, y in pixels of a `height` × `width` frame, score."""
    if keypoints.ndim != 4 or keypoints.shape[2:] != (17, 3):
        raise ValueError(f"key points must have shape [F, P, 17, 3], not {list(keypoints.shape)}")
    _check_timestamps(len(keypoints), timestamps)
    meta = {"view": "pose", "height": height, "width": width, "attributes": {}}
    _write(view_path(root, "pose", video_id), meta, keypoints=keypoints.astype(np.float16), timestamps=timestamps)


def read_view(root: Path, view: str, video_id: str) -> StoredView:
    """Load a stored view.

    Raises:
        MissingViewError: it is not there, or its file is damaged.
    """
    path = view_path(root, view, video_id)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            meta = json.loads(str(archive["meta"]))
            pixels = archive.get("frames")
            keypoints = archive.get("keypoints")
            timestamps = archive["timestamps"]
        if (pixels is None) == (keypoints is None):
            raise KeyError("frames")
        return StoredView(view, timestamps, pixels, keypoints, meta["height"], meta["width"], meta["attributes"])
    except FileNotFoundError as error:
        raise MissingViewError(f"view '{view}' of video '{video_id}' is not stored at '{path}'") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, EOFError, OSError, RuntimeError) as error:
        raise MissingViewError(f"view file '{path}' is damaged ({error}); delete it and make the view again") from error


def find_view(root: Path, view: str, video_id: str, flow: FlowSpec | None) -> StoredView | None:
    """The stored view that a model can use: None for `rgb`, which is decoded, and for what is not there or unfit.

    Args:
        root: dataset folder.
        view: name of the view.
        video_id: whose view.
        flow: what the model's flow view measures.

    Raises:
        MissingViewError: it is there, but damaged.
    """
    if view == "rgb" or not view_path(root, view, video_id).is_file():
        return None
    stored = read_view(root, view, video_id)
    return stored if stored.measures(flow) else None


def _check_timestamps(num_frames: int, timestamps: NDArray[np.float64]) -> None:
    if timestamps.shape != (num_frames,):
        raise ValueError(f"timestamps {list(timestamps.shape)} must be one per frame ({num_frames})")


def _write(path: Path, meta: Mapping[str, object], **arrays: NDArray[np.generic]) -> None:
    with replacing(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, meta=np.array(json.dumps(meta, sort_keys=True)), **arrays)
