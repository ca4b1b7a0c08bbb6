"""The multi-view store: views kept beside the videos of a dataset folder, one file per view and video.

    folder/views/<view>/<video_id>.npz      arrays, never pickles

Frames are stored per source frame with their presentation times, so clips of any step can be cut from them. Poses are
stored as key points and drawn when they are read.

    write_frames(folder, "flow", "v001", flow_bytes, timestamps, attributes={"flow_interval_seconds": 1 / 15})
    stored = read_view(folder, "flow", "v001")
    stored.frames([0, 3, 6], height=56, width=75)       # uint8 [3, 56, 75, 2]
"""

import errno
import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.atomic import replacing
from cocon.core.errors import MissingViewError
from cocon.core.printable import in_one_line
from cocon.video.estimation.flow import FLOW_ALGORITHMS, FlowSpec
from cocon.video.geometry import have_same_shape
from cocon.video.store.archive import LargeArrays, read_array, write_arrays
from cocon.video.store.stored_view import Attributes, StoredView
from cocon.video.views import VIEWS

__all__ = [
    "StoredView",
    "check_shape",
    "find_view",
    "flow_differences",
    "is_sound",
    "read_view",
    "remedy",
    "stored_attributes",
    "stored_facts",
    "view_path",
    "write_frames",
    "write_keypoints",
]

_NO_ATTRIBUTES: Attributes = {}
_LARGE = LargeArrays()
_SIDES = ("height", "width")
_SAME_INTERVAL_S = 1e-6
_NOT_THE_FILES_FAULT = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)


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
    attributes: Attributes,
) -> None:
    """Store a view's frames `uint8 [F, H, W, C]`; the file appears whole or not at all.

    Raises:
        ValueError: the arrays are not what the view has, see `StoredView.check`.
    """
    height, width = frames.shape[1:3]
    _write(root, video_id, StoredView(view, timestamps, frames, None, height, width, attributes))


def write_keypoints(
    root: Path,
    video_id: str,
    keypoints: NDArray[np.float16],
    timestamps: NDArray[np.float64],
    *,
    height: int,
    width: int,
    attributes: Attributes = _NO_ATTRIBUTES,
) -> None:
    """Store a pose as key points `float16 [F, P, 17, 3]`: x, y in pixels of a `height` × `width` frame, score.

    Raises:
        ValueError: the arrays are not what a pose has, see `StoredView.check`.
    """
    points = keypoints.astype(np.float16)
    _write(root, video_id, StoredView("pose", timestamps, None, points, height, width, attributes))


def read_view(root: Path, view: str, video_id: str, *, on_progress: Callable[[], None] | None = None) -> StoredView:
    """Load a stored view; frames of more than 64 MiB stay on disk, and are checked once in a process.

    Args:
        root: dataset folder.
        view: name of the view.
        video_id: whose view.
        on_progress: called now and then while much is unpacked, as a sign of life.

    Raises:
        MissingViewError: it is not there, or its file is damaged.
    """
    return _read(root, view, video_id, on_progress=on_progress)


def _read(
    root: Path, view: str, video_id: str, *, is_kept: bool = True, on_progress: Callable[[], None] | None = None
) -> StoredView:
    path = view_path(root, view, video_id)
    try:
        with zipfile.ZipFile(path) as archive:
            meta, times, pixels, keypoints = (
                read_array(archive, name, is_kept=is_kept, on_progress=on_progress, known=known)
                for name, known in (("meta", None), ("timestamps", None), ("frames", _LARGE), ("keypoints", _LARGE))
            )
        if meta is None or times is None:
            raise ValueError("it has no meta or no timestamps")
        facts = json.loads(str(meta))
        stored = StoredView(view, times, pixels, keypoints, facts["height"], facts["width"], facts["attributes"])
        stored.check()
        return stored
    except FileNotFoundError as error:
        raise MissingViewError(f"view '{view}' of video '{video_id}' is not stored at '{path}'") from error
    # The file may hold anything, and what the readers of zip, npy and JSON raise on it is written nowhere.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NOT_THE_FILES_FAULT:
            raise MissingViewError(f"view file '{path}' cannot be read: {error.strerror}") from error
        problem = f"view file '{path}' is damaged ({in_one_line(error)})"
        raise MissingViewError(f"{problem}; delete it and make the view again: {remedy(root, view)}") from error


def stored_attributes(root: Path, view: str, video_id: str) -> Attributes | None:
    """What is known of a stored view, at the price of opening its file; None if there is none or it was cut.

    Its frames are not looked at: `is_sound` does.
    """
    facts = stored_facts(root, view, video_id)
    return None if facts is None else facts["attributes"]


def stored_facts(root: Path, view: str, video_id: str) -> dict[str, Any] | None:
    """The `height`, `width` and `attributes` of a stored view; as `stored_attributes`."""
    try:
        with view_path(root, view, video_id).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            facts = json.loads(str(archive["meta"]))
        is_whole = isinstance(facts["attributes"], dict) and all(type(facts[name]) is int for name in _SIDES)
    except Exception:  # as in `read_view`
        return None
    return facts if is_whole else None


def is_sound(root: Path, view: str, video_id: str) -> bool:
    """Whether a stored view is there and loads, every byte of it; nothing large is unpacked for that."""
    try:
        _read(root, view, video_id, is_kept=False)
    except MissingViewError:
        return False
    return True


def find_view(
    root: Path,
    view: str,
    video_id: str,
    flow: FlowSpec | None,
    *,
    content_sha256: str | None = None,
    shape: tuple[int, int] | None = None,
    on_progress: Callable[[], None] | None = None,
) -> StoredView | None:
    """The stored view that a model can use: None for what is never stored, as it is decoded, or is not there.

    Args:
        root: dataset folder.
        view: name of the view.
        video_id: whose view.
        flow: what the model's flow view measures; None takes any.
        content_sha256: of the video, if known; a view that records another was made from another video.
        shape: height and width of the video's pictures as they are shown, or turned by a quarter; if known.
        on_progress: as for `read_view`.

    Raises:
        MissingViewError: it is there, but damaged, made from another video or of another shape, or it measures another
            flow.
    """
    path = view_path(root, view, video_id)
    if not VIEWS[view].is_stored or not path.is_file():
        return None
    stored, again = read_view(root, view, video_id, on_progress=on_progress), f"make it again: {remedy(root, view)}"
    made_from = stored.attributes.get("content_sha256")
    if content_sha256 is not None and made_from not in (None, content_sha256):
        contents = f"content {str(made_from)[:12]!r}, not {content_sha256[:12]!r}"
        problem = f"stored view '{path}' was made from another video ({contents})"
        raise MissingViewError(f"{problem}; {again}")
    if shape:
        check_shape(root, video_id, stored, shape, shape[::-1])
    size_px = min(stored.height, stored.width)
    if view == "flow" and flow is not None and (differences := flow_differences(stored.attributes, size_px, flow)):
        problem = f"stored view '{path}' measures another flow ({', '.join(differences)})"
        raise MissingViewError(f"{problem}; make it again: {remedy(root, view, flow=flow)} --overwrite")
    return stored


def check_shape(root: Path, video_id: str, stored: StoredView, *shapes: tuple[int, int]) -> None:
    """Refuse a stored view that has none of the shapes (height, width) in which its video may be shown.

    Raises:
        MissingViewError: it was made of other pictures, such as those whose pixels were not made square.
    """
    if any(have_same_shape(stored.height, stored.width, *shape) for shape in shapes):
        return
    height, width = shapes[0]
    sizes = f"{stored.width} × {stored.height}, the video is shown as {width} × {height}"
    problem = f"stored view '{view_path(root, stored.view, video_id)}' has another shape ({sizes})"
    raise MissingViewError(f"{problem}; make it again: {remedy(root, stored.view)} --overwrite")


def flow_differences(attributes: Attributes, size_px: int, flow: FlowSpec) -> list[str]:
    """In what a stored flow is another one than wanted, with both values.

    Args:
        attributes: of the stored flow.
        size_px: its short side.
        flow: what is wanted.
    """
    interval = attributes.get("flow_interval_seconds")
    differences = []
    if not isinstance(interval, float | int):
        differences.append(f"interval unknown, not {flow.interval_seconds:.9g} s")
    elif not abs(interval - flow.interval_seconds) < _SAME_INTERVAL_S:
        differences.append(f"interval {interval:.9g} s, not {flow.interval_seconds:.9g} s")
    if size_px != flow.size_px:
        differences.append(f"size {size_px} px, not {flow.size_px} px")
    algorithm = attributes.get("flow_algorithm")  # exact flow and a user's own have none of ours
    if algorithm in FLOW_ALGORITHMS and algorithm != flow.algorithm:
        differences.append(f"by {algorithm}, not {flow.algorithm}")
    return differences


def remedy(root: Path, *views: str, flow: FlowSpec | None = None) -> str:
    """The command that makes views of the videos of a dataset folder, as far as anybody but the user can.

    Args:
        root: dataset folder.
        views: which; a single one is named where it is a flow that must measure something.
        flow: what a flow among them is to measure.
    """
    own = "".join(f" --{view} FOLDER" for view in views if VIEWS[view].maker == "user")
    named = f" --view {','.join(views)}" if len(views) > 1 or flow is not None else ""
    measured = f" {_flow_options(flow)}" if flow is not None else ""
    return f"cocon views make {shlex.quote(str(root))}{own}{named}{measured}"


def _flow_options(flow: FlowSpec) -> str:
    interval, size, algorithm = f"{flow.interval_seconds:.9g}", flow.size_px, flow.algorithm
    return f"--flow-interval-s {interval} --flow-size-px {size} --flow-algorithm {algorithm}"


def _write(root: Path, video_id: str, stored: StoredView) -> None:
    stored.check()
    meta: dict[str, Any] = {"view": stored.view, "height": stored.height, "width": stored.width}
    meta["attributes"] = dict(stored.attributes)
    arrays = {"frames": stored.pixels, "keypoints": stored.keypoints, "timestamps": stored.timestamps}
    kept = {name: array for name, array in arrays.items() if array is not None}
    with replacing(view_path(root, stored.view, video_id)) as partial, partial.open("wb") as stream:
        write_arrays(stream, {"meta": np.array(json.dumps(meta, sort_keys=True)), **kept}, is_compressed=True)
