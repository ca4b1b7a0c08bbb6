"""A user's own views of videos: files made elsewhere that take the place of an estimator.

    path = user_view_path(Path("masks"), "jump__a.mp4", "a", view="mask")
    masks = user_masks(path, num_frames=300, height=480, width=640)     # uint8 [300, h, w, 1]

| view | read from | by |
|---|---|---|
| `pose` | COCO-17 JSON | `user_keypoints` |
| `mask` | a video, or a folder of PNG files | `user_masks` |
| `flow` | `.npy`, `.npz`, or a folder of JPEG or PNG files | `user_flow` |
"""

from pathlib import Path

from cocon.video.own_views.flow import user_flow
from cocon.video.own_views.keypoints import user_keypoints
from cocon.video.own_views.masks import user_masks
from cocon.video.store.dataset import VIDEO_SUFFIXES

__all__ = ["user_flow", "user_keypoints", "user_masks", "user_view_path"]

# What a view is read from: endings of files, "" for a sub-folder.
_ENDINGS = {"pose": (".json",), "mask": ("", *sorted(VIDEO_SUFFIXES)), "flow": (".npy", ".npz", "")}


def user_view_path(folder: Path, video_id: str, stem: str, *, view: str) -> Path | None:
    """Where a user's view of a video lies: `<video_id>` or else `<stem>` with an ending of the view, or as a folder.

    A video of masks may also have the id itself as its name.

    Args:
        folder: of the user's files.
        video_id: of the video.
        stem: of the video's file.
        view: `pose`, `mask` or `flow`.
    """
    endings = _ENDINGS[view]
    for name in (video_id, stem):
        if Path(name).suffix.lower() in [ending for ending in endings if ending] and (folder / name).is_file():
            return folder / name
        for ending in endings:
            path = folder / f"{name}{ending}"
            if path.is_file() if ending else path.is_dir():
                return path
    return None
