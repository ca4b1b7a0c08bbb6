"""How far long work is, how fast, how long it will take yet, and what has failed; all on stderr.

On a terminal it is a bar; elsewhere, as in a log, a line a minute, the first after a minute; and nothing where quiet is
wanted.

    with progress_bar("checking videos") as on_progress:
        for done, video in enumerate(videos, start=1):
            if not is_sound(video):
                on_progress.note_failure()
            on_progress(done, len(videos))
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from cocon.core.tables import plain_console
from cocon.core.telling.logs import says_json
from cocon.core.telling.waits import awaited

__all__ = [
    "OnProgress",
    "ProgressBar",
    "ProgressLines",
    "ProgressTask",
    "duration_said",
    "no_progress",
    "progress_bar",
    "progress_lines",
]

# Called with how much is done, and the total or None if that is not known.
OnProgress = Callable[[int, int | None], None]
# Makes a bar from its description, and the unit if it is not videos, such as `progress_bar`.
ProgressBar = Callable[..., AbstractContextManager[OnProgress]]

_logger = logging.getLogger(__name__)

_LINE_EVERY_S = 60.0
# Speeds are those of the last minutes; rich keeps a thousand updates, so that more frequent ones are left out.
_SPEED_OF_LAST_S = 120.0
_MIN_UPDATE_S = 0.1
_BAR_WIDTH = 20


class ProgressTask:
    """Something that takes long; made by `ProgressLines.add`. It is called with what is done, of how much.

    Args:
        progress: Where it is shown.
        task: Its number there.
    """

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._updated_s = -_MIN_UPDATE_S
        self._num_failed = 0
        self._num_parts = 0

    def __call__(self, done: int, total: int | None) -> None:
        """So much is done, of so much; None if that is not known."""
        now_s = time.monotonic()
        if now_s - self._updated_s >= _MIN_UPDATE_S or done == total:
            self._updated_s = now_s
            self._progress.update(self._task, completed=done, total=total)

    def advance(self, *, num_parts: int = 0) -> None:
        """One more is done, which has so many parts."""
        self._num_parts += num_parts
        self._progress.update(self._task, advance=1, num_parts=self._num_parts)

    def note_failure(self) -> None:
        """One of what is done has failed."""
        self._num_failed += 1
        self._progress.update(self._task, num_failed=self._num_failed)


class ProgressLines:
    """What is shown of one or more tasks; made by `progress_lines`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def add(self, description: str, *, unit: str, total: int | None = None, parts: str = "") -> ProgressTask:
        """A task of its own.

        Args:
            description: What is done.
            unit: What is counted, in the plural.
            total: How much there is, if that is known.
            parts: What those are divided into, in the plural, if these are counted too.
        """
        fields: dict[str, Any] = {"unit": unit, "parts": parts, "num_parts": 0, "num_failed": 0}
        return ProgressTask(self._progress, self._progress.add_task(description, total=total, **fields))

    def tell(self, line: str) -> None:
        """Print a line on stderr, above the bars; or log it where the log is for programs."""
        if says_json():
            _logger.warning("%s", line)
        else:
            self._progress.console.print(line, soft_wrap=True)


@contextmanager
def progress_lines(*, is_quiet: bool = False) -> Iterator[ProgressLines]:
    """Show tasks while the block runs; what goes to standard output goes there, also where that is a pipe or a file.

    Args:
        is_quiet: Show nothing of them; what is told is.
    """
    console = plain_console()
    is_watched = console.is_terminal and not console.is_dumb_terminal and not says_json()
    progress = Progress(
        *(TextColumn("{task.description}", markup=False), BarColumn(_BAR_WIDTH), MofNCompleteColumn(), _Rates()),
        console=console,
        disable=is_quiet or not is_watched,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        speed_estimate_period=_SPEED_OF_LAST_S,
    )
    with progress, _lines_of(progress, is_needed=not (is_quiet or is_watched)):
        yield ProgressLines(progress)


@contextmanager
def progress_bar(description: str, *, unit: str = "videos", is_quiet: bool = False) -> Iterator[ProgressTask]:
    """Show one task while the block runs; yields what to call with (done, total or None if not known).

    Args:
        description: What is done.
        unit: What is counted, in the plural.
        is_quiet: Show nothing.
    """
    with progress_lines(is_quiet=is_quiet) as shown:
        yield shown.add(description, unit=unit)


def no_progress(done: int, total: int | None) -> None:
    """Takes progress that nobody watches."""


class _Rates(ProgressColumn):
    """Speed, time left, failures and what is waited for, beside a bar."""

    def render(self, task: Task) -> Text:
        return Text(", ".join(_rates(task)))


@contextmanager
def _lines_of(progress: Progress, *, is_needed: bool) -> Iterator[None]:
    """A line a minute of each task that is under way."""
    ended = Event()

    def tell() -> None:
        with suppress(OSError, ValueError):  # nobody reads any more; rich would end standard output as well
            while not ended.wait(_LINE_EVERY_S):
                for task in progress.tasks:
                    if not task.finished:
                        _tell_line(_line(task))
                sys.stderr.flush()

    teller = Thread(target=tell, name="progress", daemon=True)
    if is_needed:
        teller.start()
    try:
        yield
    finally:
        ended.set()
        if is_needed:
            teller.join()


def _tell_line(line: str) -> None:
    if says_json():
        _logger.info("%s", line)
    else:
        sys.stderr.write(f"{line}\n")


def _line(task: Task) -> str:
    done = f"{int(task.completed)}" if task.total is None else f"{int(task.completed)} of {int(task.total)}"
    unit = "" if task.fields["unit"] in task.description else f" {task.fields['unit']}"
    return f"{task.description}: {', '.join([done + unit, *_rates(task)])}"


def _rates(task: Task) -> Iterator[str]:
    """How fast it is, what is left, what failed, and what all wait for, as far as that is known."""
    speed, fields = task.speed, task.fields
    if speed:
        yield _per_time(speed, fields["unit"])
        if fields["num_parts"] and task.completed:
            yield _per_time(speed * fields["num_parts"] / task.completed, fields["parts"])
        if task.total is not None and task.completed < task.total:
            yield f"{duration_said((task.total - task.completed) / speed)} left"
    if fields["num_failed"]:
        yield f"{fields['num_failed']} failed"
    yield from (f"waiting for {what}" for what in awaited())


def _per_time(per_s: float, unit: str) -> str:
    if per_s >= 10:
        return f"{per_s:.0f} {unit}/s"
    return f"{per_s:.1f} {unit}/s" if per_s >= 0.2 else f"{60 * per_s:.1f} {unit}/min"


def duration_said(seconds: float) -> str:
    """A length of time as people say it: `8 s`, `4 min 10 s`, `2 h 5 min`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
