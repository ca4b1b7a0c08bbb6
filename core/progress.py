"""A progress bar with the time left, on stderr, and only where someone watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cocon.core.tables import plain_console

__all__ = ["OnProgress", "ProgressBar", "new_progress", "no_progress", "progress_bar"]

# Called with how much is done, and the total or None if that is not known.
OnProgress = Callable[[int, int | None], None]
# Makes a bar from its description, such as `progress_bar`.
ProgressBar = Callable[[str], AbstractContextManager[OnProgress]]


def new_progress(*, is_quiet: bool) -> Progress:
    """Bars with the time left; what goes to standard output goes there, also where that is a pipe or a file."""
    console = plain_console()
    return Progress(
        *(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
        console=console,
        disable=is_quiet or not console.is_terminal,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def no_progress(done: int, total: int | None) -> None:
    """Takes progress that nobody watches."""


@contextmanager
def progress_bar(description: str, *, is_quiet: bool = False) -> Iterator[OnProgress]:
    """Show progress while the block runs; yields the function to call with (done, total or None if not known)."""
    with new_progress(is_quiet=is_quiet) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
