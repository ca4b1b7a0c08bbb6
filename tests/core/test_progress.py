"""A bar where someone watches, a line a minute where a log is kept, and nothing where quiet is wanted."""

import importlib
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from cocon.core import progress
from cocon.core.progress import progress_bar, progress_lines

_PROGRAM = """
import sys, time
from cocon.core.progress import progress_bar
with progress_bar("checking", is_quiet="--quiet" in sys.argv) as on_progress:
    for done in range(1, 5):
        if done == 2:
            on_progress.note_failure()
        on_progress(done, 8)
        time.sleep(0.3)
        print("row", done, flush=True)
"""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> float:
    """Lines come more often than once a minute."""
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.3)
    return 0.3


@pytest.mark.parametrize("is_quiet", [False, True])
def test_nothing_is_written_in_the_first_minute_where_stderr_is_no_terminal(
    is_quiet: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert progress._LINE_EVERY_S == 60
    with progress_bar("embedding", is_quiet=is_quiet) as report:
        report(1, None)
        report(2, 3)
    assert capfd.readouterr() == ("", "")


def test_a_log_has_a_line_from_time_to_time_also_while_nothing_is_done(
    often: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("embedding", unit="clips") as report:
        for done in range(1, 4):
            report(done, 9)
            time.sleep(often / 2)
        report.note_failure()
        time.sleep(2.2 * often)
    output, errors = capfd.readouterr()
    first, *_, last = errors.splitlines()
    assert output == "" and first != last
    assert re.fullmatch(r"embedding: [123] of 9 clips(, \d+(\.\d)? clips/s, \d+ s left)?(, 1 failed)?", first)
    assert re.fullmatch(r"embedding: 3 of 9 clips, \d+(\.\d)? clips/s, \d+ s left, 1 failed", last)


def test_quiet_and_what_is_finished_have_no_line(often: float, capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("embedding", is_quiet=True) as report:
        report(1, 9)
        time.sleep(1.5 * often)
    with progress_bar("embedding") as report:
        report(9, 9)
        time.sleep(1.5 * often)
    assert capfd.readouterr() == ("", "")


def test_what_is_told_stands_between_the_lines_and_parts_have_a_rate(
    often: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with progress_lines() as shown:
        videos = shown.add("videos", unit="videos", total=4, parts="clips")
        shown.tell("failed: [bold]a.mp4[/bold]: is no video")
        for _ in range(2):
            time.sleep(often / 3)
            videos.advance(num_parts=10)
        shown.add("making lists", unit="rows")(7, None)
        time.sleep(often)
    told, *lines = capfd.readouterr().err.splitlines()
    assert told == "failed: [bold]a.mp4[/bold]: is no video"
    assert re.fullmatch(r"videos: 2 of 4, \S+ videos/s, \S+ clips/s, \d+ s left", lines[0])
    assert lines[1] == "making lists: 7 rows"


def test_a_reader_that_has_gone_ends_nothing() -> None:
    program = _PROGRAM.replace("with", "import cocon.core.progress as p; p._LINE_EVERY_S = 0.1\nwith", 1)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None and run.stderr is not None
        run.stderr.close()
        assert run.stdout.read().count(b"row") == 4


@pytest.mark.parametrize("arguments", [(), ("--quiet",)])
def test_a_terminal_shows_speed_time_left_and_failures_on_stderr(arguments: tuple[str, ...]) -> None:
    ours, theirs = pty.openpty()
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        timeout=300,
        check=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            if not (read := os.read(ours, 1 << 16)):
                break
        except OSError:  # the other end is closed
            break
        shown += read
    os.close(ours)
    assert result.stdout == b"row 1\nrow 2\nrow 3\nrow 4\n"
    if arguments:
        assert shown == b""
        return
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"checking .* 4/8 \d\.\d videos/s, \d s left, 1 failed", text), text


def test_a_terminal_without_motion_gets_lines(often: float, tmp_path: Path) -> None:
    program = _PROGRAM.replace("with", "import cocon.core.progress as p; p._LINE_EVERY_S = 0.5\nwith", 1)
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "dumb"}
    subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=theirs, env=environment, check=True
    )
    os.close(theirs)
    assert b"checking: 2 of 8 videos" in os.read(ours, 1 << 16)
    os.close(ours)


@pytest.mark.parametrize(
    ("module", "verbs"),
    [
        ("cocon.training.cli", ""),
        ("cocon.training.evaluation.cli", ""),
        ("cocon.training.importing.cli", ""),
        ("cocon.training.reproduce.cli", "ablation methods"),
        ("cocon.training.data.cli", "make check"),
        ("cocon.video.commands.views", "make preview"),
        ("cocon.client.commands.main", "embed classify search align track"),
        ("cocon.client.commands.index.app", "add import export verify rebuild compact backup map copy"),
    ],
)
def test_every_long_verb_can_be_quiet(module: str, verbs: str) -> None:
    loaded = importlib.import_module(module)
    command = typer.main.get_command(loaded.index_app if module.endswith("index.app") else loaded.app)
    for verb in verbs.split() or [None]:
        named = command if verb is None else command.commands[verb]  # type: ignore[attr-defined]
        assert "--quiet" in {option for parameter in named.params for option in parameter.opts}, verb
