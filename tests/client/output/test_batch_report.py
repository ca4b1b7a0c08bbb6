"""A progress line on a terminal, and rows in a pipe beside it."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cocon.client.output.batch_report import batch_report
from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.core.errors import UnreadableVideoError
from tests.disks import full_disk

_PROGRAM = """
from pathlib import Path
from cocon.client.output.batch_report import batch_report
from cocon.client.output.sinks import open_sink
with batch_report(2, quiet=False, failures=Path("failures.jsonl")) as report:
    with open_sink("jsonl", None, columns=()) as sink:
        for number in range(2):
            sink.write([{"row": number}])
            report.note()
"""


def test_rows_go_to_the_pipe_while_the_line_is_on_the_terminal() -> None:
    ours, theirs = pty.openpty()
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
        timeout=300,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert result.stdout == b'{"row": 0}\n{"row": 1}\n'
    assert b"0/2" in shown


def test_a_list_of_failures_is_there_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, failure = tmp_path / "failures.jsonl", FailedVideo("a.mp4", UnreadableVideoError("is no video"))
    path.write_text("old")
    with full_disk(50), batch_report(1, quiet=True, failures=path) as report:
        report.note(failure)
    assert report.exit_code == 3
    assert f"1 video failed; the list '{path}' cannot be written: File too large; " in capsys.readouterr().err
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)
