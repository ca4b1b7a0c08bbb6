"""A user's own views of videos: files made elsewhere that take the place of an estimator.

    path = user_view_path(Path("masks"), "jump__a.mp4", "a", view="mask")
    own = read_own_view("mask", OwnSource(path), OwnVideo(num_frames=300, height=480, width=640))
    own.rows, own.num_with_person                       # uint8 [300, h, w, 1], 17

| view | read from | by |
|---|---|---|
| `pose` | COCO-17 JSON | `user_keypoints` |
| `mask` | a video, or a folder of PNG files | `user_masks` |
| `depth` | a video, `.npy`, `.npz`, or a folder of PNG files | `user_depth` |
| `flow` | `.npy`, `.npz`, or a folder of JPEG or PNG files | `user_flow` |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.own_views.depth import user_depth
from cocon.video.own_views.flow import user_flow
from cocon.video.own_views.keypoints import user_keypoints
from cocon.video.own_views.masks import user_masks
from cocon.video.store.dataset import VIDEO_SUFFIXES
from cocon.video.store.stored_view import Attributes

__all__ = ["OwnSource", "OwnVideo", "OwnView", "own_attributes", "read_own_view", "user_view_path"]

_IS_PERSON = 128


@dataclass(frozen=True, slots=True)
class OwnSource:
    """Where the user's own view of a video lies, and what they say of it.

    Attributes:
        path: file or folder.
        said: what `own_attributes` names, by those names.
    """

    path: Path
    said: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnVideo:
    """The video that a user's own view must fit, and how it is read.

    Attributes:
        num_frames: F, of the video.
        height: of its frames.
        width: likewise.
        flow_size_px: short side of flow that is to be stored.
        limits: how much of a file is read before it is refused.
        on_frame: called for every frame of the view, as a sign of life.
    """

    num_frames: int
    height: int
    width: int
    flow_size_px: int = FlowSpec().size_px
    limits: MediaLimits = field(default_factory=MediaLimits)
    on_frame: Callable[[], None] = lambda: None

    @property
    def shape(self) -> dict[str, int]:
        """F, height and width by the names that all readers have for them."""
        return {"num_frames": self.num_frames, "height": self.height, "width": self.width}


@dataclass(frozen=True, slots=True)
class OwnView:
    """A user's own view of a video as it is stored.

    Attributes:
        rows: frames `uint8 [F, h, w, C]`, or key points `float16 [F, P, 17, 3]`.
        height: of the frames, or of the picture that key points refer to.
        width: likewise.
        num_with_person: frames that show a person; None where that cannot be told.
    """

    rows: NDArray[Any]
    height: int
    width: int
    num_with_person: int | None = None


def user_view_path(folder: Path, video_id: str, stem: str, *, view: str) -> Path | None:
    """Where a user's view of a video lies: `<video_id>` or else `<stem>` with an ending of the view, or as a folder.

    A video of masks may also have the id itself as its name.

    Args:
        folder: of the user's files.
        video_id: of the video.
        stem: of the video's file.
        view: one that a user may bring.
    """
    endings = _FORMS[view].endings
    for name in (video_id, stem):
        if Path(name).suffix.lower() in [ending for ending in endings if ending] and (folder / name).is_file():
            return folder / name
        for ending in endings:
            path = folder / f"{name}{ending}"
            if path.is_file() if ending else path.is_dir():
                return path
    return None


def own_attributes(view: str, said: Attributes) -> Attributes:
    """What is recorded with a user's own view for what they said of it, or did not say."""
    return {**_FORMS[view].unsaid, **said}


def read_own_view(view: str, source: OwnSource, video: OwnVideo) -> OwnView:
    """Read a user's own view of a video.

    Raises:
        MissingViewError: it cannot be read, or does not fit the video.
        VideoError: the same of a view that is a video itself.
    """
    return _FORMS[view].read(source, video)


def _read_pose(source: OwnSource, video: OwnVideo) -> OwnView:
    points, height, width = user_keypoints(source.path, **video.shape)
    return OwnView(points, height, width, int((points[..., 2] > 0).any(axis=(1, 2)).sum()))


def _read_mask(source: OwnSource, video: OwnVideo) -> OwnView:
    masks = user_masks(source.path, **video.shape, limits=video.limits, on_frame=video.on_frame)
    return _of_frames(masks, int((masks >= _IS_PERSON).any(axis=(1, 2, 3)).sum()))


def _read_flow(source: OwnSource, video: OwnVideo) -> OwnView:
    how: dict[str, Any] = video.shape | {"size_px": video.flow_size_px}
    return _of_frames(user_flow(source.path, **how, limits=video.limits, on_frame=video.on_frame))


def _read_depth(source: OwnSource, video: OwnVideo) -> OwnView:
    said = source.said
    near_far = (float(said["depth_near"]), float(said["depth_far"])) if said else None
    depth = user_depth(source.path, **video.shape, near_far=near_far, limits=video.limits, on_frame=video.on_frame)
    return _of_frames(depth)


def _of_frames(frames: NDArray[np.uint8], num_with_person: int | None = None) -> OwnView:
    return OwnView(frames, frames.shape[1], frames.shape[2], num_with_person)


@dataclass(frozen=True, slots=True)
class _Form:
    """What a view is read from: endings of files, "" for a sub-folder; by whom; what holds where nothing is said."""

    endings: tuple[str, ...]
    read: Callable[[OwnSource, OwnVideo], OwnView]
    unsaid: Attributes = field(default_factory=dict)


_FORMS: Mapping[str, _Form] = {
    "pose": _Form((".json",), _read_pose),
    "mask": _Form(("", *sorted(VIDEO_SUFFIXES)), _read_mask),
    "flow": _Form((".npy", ".npz", ""), _read_flow),
    "depth": _Form(("", ".npy", ".npz", *sorted(VIDEO_SUFFIXES)), _read_depth, {"depth_near": 0.0, "depth_far": 255.0}),
}
