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

from cocon.video.own_views.depth import WHOLE_BYTE, user_depth
from cocon.video.own_views.flow import user_flow
from cocon.video.own_views.keypoints import user_keypoints
from cocon.video.own_views.masks import user_masks
from cocon.video.own_views.source import OwnSource, OwnVideo, OwnView
from cocon.video.store.found_videos import VIDEO_SUFFIXES
from cocon.video.store.stored_view import Attributes

__all__ = ["own_attributes", "read_own_view", "user_view_path"]


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


@dataclass(frozen=True, slots=True)
class _Form:
    """What a view is read from: endings of files, "" for a sub-folder; by whom; what holds where nothing is said."""

    endings: tuple[str, ...]
    read: Callable[[OwnSource, OwnVideo], OwnView]
    unsaid: Attributes = field(default_factory=dict)


_FORMS: Mapping[str, _Form] = {
    "pose": _Form((".json",), user_keypoints),
    "mask": _Form(("", *sorted(VIDEO_SUFFIXES)), user_masks),
    "flow": _Form((".npy", ".npz", ""), user_flow),
    "depth": _Form(("", ".npy", ".npz", *sorted(VIDEO_SUFFIXES)), user_depth, WHOLE_BYTE),
}
