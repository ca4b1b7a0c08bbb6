"""How a run over many videos is going: a progress line, one line per failed video, and `failures.jsonl`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.atomic import replacing
from cocon.core.errors import StorageError, VideoError
from cocon.core.printable import printable
from cocon.core.progress import OnProgress, ProgressLines, ProgressTask, progress_lines
from cocon.core.texts.json_text import json_text

__all__ = ["BatchReport", "batch_report"]

_NUM_NAMED = 5  # each was warned of when it was embedded


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One run. Made by `batch_report`.

    Attributes:
        num_videos: In all.
        failures: So far.
        failed_before: Those of them that were not tried again.
        kept: Numbers of clips of the videos that were finished before.
        empty: Videos in which nobody was found → the views that are empty for that.
    """

    num_videos: int
    _shown: ProgressLines
    _task: ProgressTask
    failures: list[FailedVideo] = field(default_factory=list)
    failed_before: list[FailedVideo] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    empty: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or what a run with failed inputs ends with."""
        return VideoError.exit_code if self.failures else 0

    def part(self, name: str, *, unit: str) -> OnProgress:
        """A line of its own for what follows the videos; it appears with the first call."""
        tasks: list[ProgressTask] = []

        def on_progress(done: int, total: int | None) -> None:
            if not tasks:
                tasks.append(self._shown.add(name, unit=unit, total=total))
            tasks[0](done, total)

        return on_progress

    def note(self, failure: FailedVideo | None = None, *, failed_before: bool = False, num_clips: int = 0) -> None:
        """One more video is done, or has failed; what failed before is told in one line at the end."""
        if failure is not None:
            self._task.note_failure()
        self._task.advance(num_parts=num_clips)
        if failure is None:
            return
        self.failures.append(failure)
        if failed_before:
            self.failed_before.append(failure)
            return
        reason = failure.message.removeprefix(f"video '{printable(failure.video)}'").lstrip(": ")
        self._shown.tell(f"failed: {printable(failure.video)}: {reason}")

    def note_video(self, video: VideoEmbedding) -> None:
        """One more video is embedded."""
        self.note_empty(video.video, video.empty_views)
        self.note(num_clips=len(video))

    def note_empty(self, video: str, views: tuple[str, ...]) -> None:
        """Nobody was found in a video, so that views of it are empty, if any are; told in one line at the end."""
        if views:
            self.empty[video] = views

    def note_kept(self, num_clips: int) -> None:
        """One more video was finished before; that is told in one line at the end."""
        self.kept.append(num_clips)
        self._task.advance(num_parts=num_clips)


@contextmanager
def batch_report(num_videos: int, *, quiet: bool, failures: Path, what: str = "videos") -> Iterator[BatchReport]:
    """Report on a run over `num_videos` videos.

    Args:
        num_videos: Known beforehand.
        quiet: No progress line.
        failures: Where the failed videos are listed when there are some, also when the run is stopped.
        what: They are, if not videos alone.

    Yields:
        What to tell the run's events.
    """
    with progress_lines(is_quiet=quiet or num_videos < 2) as shown:
        task = shown.add(what, unit=what, total=num_videos, parts="clips")
        report = BatchReport(num_videos, shown, task)
        try:
            yield report
        finally:
            if count := len(report.kept):
                shown.tell(f"{count} of {num_videos} {what} were finished before, and were not worked on again")
            if report.empty and num_videos > 1:
                shown.tell(_empty(report.empty))
            if count := len(report.failed_before):
                told = f"{count} failed before and did not change since; --retry-failed tries again"
                shown.tell(told)
            if report.failures:
                shown.tell(_listed(report.failures, failures))


def _empty(videos: Mapping[str, tuple[str, ...]]) -> str:
    """Which videos have empty views, for people."""
    views = ", ".join(dict.fromkeys(view for empty in videos.values() for view in empty))
    named = ", ".join(f"'{printable(video)}'" for video in islice(videos, _NUM_NAMED))
    more = f" and {len(videos) - _NUM_NAMED} more" if len(videos) > _NUM_NAMED else ""
    return f"nobody was found in {len(videos)} videos, all of which look alike in {views}: {named}{more}"


def _listed(failed: list[FailedVideo], path: Path) -> str:
    """Write the list, and say where it is."""
    count = f"{len(failed)} video{'s' if len(failed) > 1 else ''} failed"
    try:
        with replacing(path) as partial, partial.open("w", encoding="utf-8") as stream:
            stream.writelines(json_text(failure.row(), stream) + "\n" for failure in failed)
    except StorageError as error:
        return f"{count}; the list {error}"
    except OSError as error:
        problem = f"the list '{printable(path)}' cannot be written: {error.strerror}"
        return f"{count}; {problem}; name another file with --failures"
    return f"{count}; listed in {printable(path)}"
