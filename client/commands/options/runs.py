"""A run over the files that somebody names: nothing is written over them, and what fails is reported."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cocon.client.output.batch_report import BatchReport

__all__ = ["checked_inputs", "reporting"]


def checked_inputs(
    videos: Sequence[str],
    failures: Path,
    output: Path | None = None,
    index: str | None = None,
    *,
    is_name: Callable[[str], bool] = lambda argument: False,
    profile: Path | None = None,
) -> list[Path]:
    """The files that `videos` name; nothing that is written is one of them, nor of an index that is asked."""
    from cocon.client.commands.inputs import expand_inputs, lists_named
    from cocon.client.engines import files_of
    from cocon.video.output_file import check_different, check_no_input, check_output

    paths = expand_inputs(videos, sys.stdin.buffer, is_name=is_name)
    inputs = [*paths, *lists_named(videos), *files_of(index)]
    check_different(output=output, failures=failures, **{"profile-output": profile})
    check_no_input(failures, inputs, option="--failures")
    if profile is not None:
        check_output(profile, inputs, option="--profile-output")
    if output is not None:
        check_output(output, inputs)
    return paths


def reporting(paths: Sequence[Path], failures: Path, *, quiet: bool) -> "AbstractContextManager[BatchReport]":
    """The report of a run over files, by which its command ends."""
    from cocon.client.output.batch_report import batch_report

    return batch_report(len(paths), quiet=quiet, failures=failures)
