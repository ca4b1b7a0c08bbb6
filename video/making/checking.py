"""Is a dataset folder fit for use? Every video is decoded to its end, and what is wrong with it is said.

| problem | what | warning only |
|---|---|---|
| `UnreadableVideoError`, `NoVideoStreamError`, `TooLargeError` | the video gives no frames | |
| `TimedOutError`, `WorkerDiedError` | likewise, or the machine was too busy | |
| `TruncatedVideoError` | some of its pictures are lost | |
| `MissingFile` | the manifest names a file that is not there | |
| `ShortVideo` | it is shorter than one clip | yes |
| `DuplicateContent` | another video of the dataset has the same bytes | yes |
| `StaleView` | a stored view was made from another content | yes |
| `DamagedView` | a stored view does not open | yes |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cocon.core.errors import CoconError, TruncatedVideoError, UnreadableVideoError
from cocon.core.paths import why_no_file
from cocon.core.printable import escaped, in_one_line, printable
from cocon.core.progress import OnProgress
from cocon.video.clips import ClipSpec
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.store.dataset import DatasetFolder, VideoEntry, content_sha256
from cocon.video.store.files import stored_attributes, view_path
from cocon.video.views import VIEWS
from cocon.video.workers.messages import Message
from cocon.video.workers.pool import Beat, WorkerPool, named
from cocon.video.workers.side_by_side import side_by_side

__all__ = ["CheckedVideo", "Problem", "check_dataset", "unused_views"]

_WARNINGS = frozenset(("ShortVideo", "DuplicateContent", "StaleView", "DamagedView"))
# Times of frames are rational numbers of a container's clock, rounded to floats.
_ROUNDING_S = 1e-3


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a video.

    Attributes:
        kind: see the module's table.
        message: one line for people.
    """

    kind: str
    message: str

    @property
    def is_warning(self) -> bool:
        """Whether the video can be used all the same."""
        return self.kind in _WARNINGS


@dataclass(frozen=True, slots=True)
class CheckedVideo:
    """What a check found out about one video.

    Attributes:
        entry: the video.
        content_sha256: of the file; None if it cannot be read. The figures below are None if it does not decode.
        num_frames: frames that decode.
        duration_seconds: end of the last frame.
        last_seconds: its beginning.
        height: of the first frame, display rotation applied.
        width: likewise.
        problems: all that is wrong; empty for a sound video.
    """

    entry: VideoEntry
    content_sha256: str | None = None
    num_frames: int | None = None
    duration_seconds: float | None = None
    last_seconds: float | None = None
    height: int | None = None
    width: int | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether nothing worse than a warning is to be said."""
        return all(problem.is_warning for problem in self.problems)

    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "video": escaped(self.entry.path),
            "video_id": escaped(self.entry.video_id),
            "content_sha256": self.content_sha256,
            "num_frames": self.num_frames,
            "duration_seconds": self.duration_seconds,
            "height": self.height,
            "width": self.width,
            "problems": [{"class": problem.kind, "message": problem.message} for problem in self.problems],
        }


def check_dataset(
    dataset: DatasetFolder,
    *,
    clip: ClipSpec | None = None,
    clip_seconds: float | None = None,
    limits: MediaLimits | None = None,
    num_workers: int | None = None,
    on_unusable: Callable[[], None] = lambda: None,
    on_progress: OnProgress | None = None,
) -> list[CheckedVideo]:
    """Decode every video to its end, in worker processes.

    Args:
        dataset: the folder.
        clip: videos into which it does not fit get a `ShortVideo` warning; `ClipSpec()` unless given.
        clip_seconds: so do videos shorter than this, if given in place of a clip.
        limits: for each video; the defaults of `MediaLimits` unless given.
        num_workers: processes; one per core unless given.
        on_unusable: called when a video is broken, truncated or missing.
        on_progress: called with (number of videos done, total).

    Returns:
        What was found of every video as a whole, in the order of the dataset.
    """
    limits, clip, dataset = limits or MediaLimits(), clip or ClipSpec(), dataset.of_whole_videos()
    checked: dict[str, CheckedVideo] = {}

    def check(pool: WorkerPool, entry: VideoEntry) -> CheckedVideo:
        video = _checked(pool, entry, limits)
        return _noting(video, [*_too_short(video, clip, clip_seconds), *_view_problems(dataset.root, video)])

    def keep(entry: VideoEntry, video: CheckedVideo) -> None:
        checked[entry.video_id] = video
        if not video.is_usable:
            on_unusable()

    side_by_side(dataset.videos, check, keep, limits=limits, num_workers=num_workers, on_progress=on_progress)
    return _with_duplicates([checked[entry.video_id] for entry in dataset.videos])


def unused_views(dataset: DatasetFolder) -> list[Path]:
    """Files of stored views that belong to no video of the dataset."""
    ids = {entry.store_id for entry in dataset.videos}
    found = [path for view in VIEWS for path in (dataset.root / "views" / view).glob("*.npz")]
    return sorted(path for path in found if path.stem not in ids and not path.name.startswith("."))


def _checked(pool: WorkerPool, entry: VideoEntry, limits: MediaLimits) -> CheckedVideo:
    path = entry.path
    if reason := why_no_file(path):
        return CheckedVideo(entry, problems=(Problem("MissingFile", f"'{printable(path)}' {reason}"),))
    digest: str | None = None
    try:
        digest = content_sha256(path)
        (message,) = named(pool.run(_decode_job, path, limits), path)
    except OSError as error:
        problem = Problem(UnreadableVideoError.__name__, f"video '{printable(path)}' cannot be read: {error.strerror}")
    except CoconError as error:
        problem = Problem(type(error).__name__, in_one_line(error))
    else:
        return _decoded(entry, digest, message.fields)
    return CheckedVideo(entry, digest, problems=(problem,))


def _decode_job(beat: Beat, path: Path, limits: MediaLimits) -> Iterator[Message]:
    frames = read_frames(path, limits, on_frame=beat)
    last_seconds = 0.0
    for seconds, _ in frames:
        last_seconds = seconds
    told = ("num_frames", "duration_seconds", "height", "width", "lost")
    yield Message({name: getattr(frames, name) for name in told} | {"last_seconds": last_seconds})


def _decoded(entry: VideoEntry, digest: str, fields: Mapping[str, Any]) -> CheckedVideo:
    lost = fields["lost"]
    damage = f"video '{printable(entry.path)}' is damaged: {lost}"
    problems = [Problem(TruncatedVideoError.__name__, damage)] if lost else []
    figures = {name: value for name, value in fields.items() if name != "lost"}
    return CheckedVideo(entry, digest, problems=tuple(problems), **figures)


def _too_short(video: CheckedVideo, clip: ClipSpec, clip_seconds: float | None) -> list[Problem]:
    seconds, num_frames = video.duration_seconds, video.num_frames
    if seconds is None or num_frames is None or video.last_seconds is None:
        return []
    if clip_seconds is not None:
        fits = seconds + _ROUNDING_S >= clip_seconds
    else:
        fits = clip.fits(num_frames, video.last_seconds)
    if fits:
        return []
    if clip_seconds is None and clip.step_seconds is None:
        assert clip.step_frames is not None
        spanned = (clip.num_frames - 1) * clip.step_frames + 1
        return [Problem("ShortVideo", f"it has {num_frames} frames, a clip spans {spanned}")]
    needed = clip_seconds if clip_seconds is not None else clip.num_frames * (clip.step_seconds or 0.0)
    return [Problem("ShortVideo", f"it lasts {seconds:.3f} s, a clip {needed:g} s")]


def _view_problems(root: Path, video: CheckedVideo) -> list[Problem]:
    problems = []
    for view in VIEWS:
        path = view_path(root, view, video.entry.video_id)
        if not path.is_file():
            continue
        stored = f"stored view '{printable(path)}'"
        attributes = stored_attributes(root, view, video.entry.video_id)
        if attributes is None:
            problems.append(Problem("DamagedView", f"{stored} does not open; make it again"))
        elif video.content_sha256 and attributes.get("content_sha256", video.content_sha256) != video.content_sha256:
            problems.append(Problem("StaleView", f"{stored} was made from another content; make it again"))
    return problems


def _with_duplicates(videos: Sequence[CheckedVideo]) -> list[CheckedVideo]:
    first_of: dict[str, VideoEntry] = {}
    noted = []
    for video in videos:
        first = first_of.setdefault(video.content_sha256, video.entry) if video.content_sha256 else video.entry
        noted.append(video if first is video.entry else _noting(video, [_duplicate(video.entry, first)]))
    return noted


def _duplicate(entry: VideoEntry, first: VideoEntry) -> Problem:
    """The same content under another label or in another split is worse than twice the same."""
    pairs = {name: (getattr(first, name), getattr(entry, name)) for name in ("label", "split")}
    differences = [f"{name} '{theirs}', here '{ours}'" for name, (theirs, ours) in pairs.items() if theirs != ours]
    detail = f" ({'; '.join(differences)})" if differences else ""
    return Problem("DuplicateContent", f"it has the same content as '{printable(first.path)}'{detail}")


def _noting(video: CheckedVideo, problems: Sequence[Problem]) -> CheckedVideo:
    return replace(video, problems=(*video.problems, *problems))
