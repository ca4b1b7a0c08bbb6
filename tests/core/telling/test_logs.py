"""The log of a command: for people by default, for programs as JSON."""

import json
import subprocess
import sys

SCRIPT = """
import logging, sys, typer
from cocon.core import progress
from cocon.core.command import run
from cocon.core.errors import UsageError
from cocon.core.options import Log, Verbose
from cocon.core.telling.logs import fields

progress._LINE_EVERY_S = 0.01
app = typer.Typer()

@app.command()
def work(verbose: Verbose = False, log: Log = "text") -> None:
    logger = logging.getLogger("cocon.work")
    logging.getLogger("other").info("of no concern")
    logger.debug("request %s", "7", extra=fields(request_id="7"))
    logger.warning("two\\nlines")
    with progress.progress_lines() as lines:
        lines.tell("failed: a.mp4")
    with progress.progress_bar("videos") as bar:
        bar(2, 40)
        __import__("time").sleep(0.2)
    raise UsageError("no \\n good")

run(app)
"""


def told(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    return done.stderr.splitlines()


def test_people_read_warnings_and_all_with_the_time_if_they_want() -> None:
    first, failed, *_, last = told()
    assert (first, failed, last) == (r"WARNING: two\x0alines", "failed: a.mp4", "error: no good")
    verbose = told("-v")
    assert verbose[0].endswith("DEBUG: request 7")
    assert verbose[0].startswith("20")


def test_programs_read_one_object_a_line() -> None:
    lines = list(map(json.loads, told("--log", "json")))
    assert [line["message"] for line in lines[:2]] == ["two\nlines", "failed: a.mp4"]
    assert {line["message"] for line in lines[2:-1]} == {"videos: 2 of 40"}
    assert lines[-1].items() >= {"level": "error", "message": "no good", "exit_code": 2}.items()
    asked = json.loads(told("-v", "--log", "json")[0])
    assert asked.pop("time").endswith("+00:00")
    assert asked == {"level": "debug", "logger": "cocon.work", "message": "request 7", "request_id": "7"}
