"""A progress line on a terminal, and rows in a pipe beside it."""

import os
import pty
import subprocess
import sys

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
