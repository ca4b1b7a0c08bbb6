"""The dispatcher `cocon`, and how every command line ends."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from cocon.core.command import run
from cocon.core.errors import (
    CoconError,
    GateError,
    MismatchError,
    MissingViewError,
    ServerError,
    UnreadableVideoError,
    UsageError,
)

COCON = [sys.executable, "-c", "from cocon.core.command import main; main()"]


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`outcome(action, *arguments)`: exit code, stdout and stderr of a command line that does something."""

    def of(action: Callable[[], None], *arguments: str) -> tuple[int, str, str]:
        application = typer.Typer(pretty_exceptions_enable=False)
        application.command()(action)
        monkeypatch.setattr(sys, "argv", ["demo", *arguments])
        with pytest.raises(SystemExit) as ending:
            run(application)
        assert isinstance(ending.value.code, int)
        return ending.value.code, *capsys.readouterr()

    return of


def _raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize(
    "kind",
    [CoconError, UsageError, UnreadableVideoError, MissingViewError, ServerError, MismatchError, GateError],
)
def test_a_deliberate_error_is_one_line_on_stderr_and_its_exit_code(
    kind: type[CoconError], outcome: Callable[..., tuple[int, str, str]]
) -> None:
    code, output, errors = outcome(_raising(kind("clip.frames (0)\nmust be\n  positive")))
    assert code == kind.exit_code
    assert output == ""
    assert errors == "error: clip.frames (0) must be positive\n"


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "latin-1:strict"])
def test_no_name_of_a_file_ends_a_command_by_being_printed_nor_rules_the_terminal(encoding: str) -> None:
    code = """
import logging
import sys
import typer
from cocon.core.command import run
from cocon.core.errors import UsageError
def show(name: str) -> None:
    print(repr(name)[1:-1], name.replace(chr(27), '').replace(chr(10), ''))
    logging.getLogger('demo').warning("about %s", name)
    raise UsageError(f"'{name}' is no video")
app = typer.Typer()
app.command()(show)
sys.argv = ['demo', *sys.argv[1:]]
run(app)
"""
    name = "caf\udce9 日\x1b[31m\n"
    result = subprocess.run(
        [sys.executable, "-c", code, name],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        timeout=300,
    )
    chinese = "日" if encoding.startswith("utf") else r"\xe6\x97\xa5"
    errors = result.stderr.decode()
    assert (result.returncode, rf"caf\xe9 {chinese}[31m" in result.stdout.decode()) == (2, True), errors
    shown = rf"caf\xe9 {chinese}\x1b[31m\x0a"
    assert errors == f"WARNING: about {shown}\nerror: '{shown}' is no video\n"


def test_success_ends_with_zero(outcome: Callable[..., tuple[int, str, str]]) -> None:
    assert outcome(lambda: typer.echo("done")) == (0, "done\n", "")


def test_a_wrong_option_ends_with_two(outcome: Callable[..., tuple[int, str, str]]) -> None:
    code, output, errors = outcome(lambda: None, "--speed", "9")
    assert (code, output) == (2, "")
    assert "No such option: --speed" in errors


def test_a_file_that_cannot_be_opened_is_a_usage_error(
    outcome: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, _, errors = outcome(lambda: typer.echo((tmp_path / "absent.toml").read_text()))
    assert code == 2
    assert errors.startswith("error: ")
    assert "absent.toml" in errors
    assert errors.count("\n") == 1


def test_an_interrupted_command_ends_with_130(outcome: Callable[..., tuple[int, str, str]]) -> None:
    code, _, errors = outcome(_raising(KeyboardInterrupt()))
    assert code == 130
    assert "Traceback" not in errors


@pytest.mark.parametrize("error", [ZeroDivisionError("no name"), OSError("no file in it")])
def test_an_unexpected_error_keeps_its_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    application = typer.Typer(pretty_exceptions_enable=False)
    application.command()(_raising(error))
    monkeypatch.setattr(sys, "argv", ["demo"])
    with pytest.raises(type(error), match="no "):
        run(application)
    assert capsys.readouterr().err == ""


def test_debugging_shows_the_traceback_of_a_deliberate_error(monkeypatch: pytest.MonkeyPatch) -> None:
    application = typer.Typer(pretty_exceptions_enable=False)
    application.command()(_raising(UsageError("wrong")))
    monkeypatch.setattr(sys, "argv", ["demo"])
    monkeypatch.setenv("COCON_DEBUG", "1")
    with pytest.raises(UsageError, match="wrong"):
        run(application)


def _cocon(*arguments: str, plugins: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(plugins or "")}
    return subprocess.run([*COCON, *arguments], capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed distribution that offers three verbs: one works, one fails, one cannot even be imported."""
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "demo-1.0.dist-info").mkdir()
    (folder / "demo-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (folder / "demo-1.0.dist-info" / "entry_points.txt").write_text(
        "[cocon.commands]\ngreet = demo_verbs:greet\nfail = demo_verbs:fail\nbroken = demo_absent:app\n"
    )
    (folder / "demo_verbs.py").write_text(
        "import typer\n"
        "from cocon.core.errors import GateError\n"
        "greet, fail = typer.Typer(), typer.Typer()\n"
        "@greet.command()\n"
        "def hello(name: str) -> None:\n"
        "    print('hello', name)\n"
        "@fail.command()\n"
        "def no() -> None:\n"
        "    raise GateError('parity is off')\n"
    )
    return folder


def test_a_verb_is_an_entry_point_loaded_only_when_it_is_used(plugins: Path) -> None:
    result = _cocon("greet", "world", plugins=plugins)
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello world\n", "")


def test_a_verbs_error_ends_the_process_with_its_code_and_no_traceback(plugins: Path) -> None:
    result = _cocon("fail", plugins=plugins)
    assert (result.returncode, result.stdout, result.stderr) == (6, "", "error: parity is off\n")


def test_an_unknown_verb_ends_with_two_and_is_named() -> None:
    result = _cocon("frobnicate")
    assert result.returncode == 2
    assert "No such command 'frobnicate'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_version_is_the_installed_one() -> None:
    assert _cocon("--version").stdout == f"cocon {version('cocon')}\n"


def test_the_help_names_every_verb_groups_too() -> None:
    shown = subprocess.run([*COCON, "--help"], capture_output=True, text=True, timeout=300, check=True).stdout
    for verb in ("data", "evaluate", "export", "serve", "train", "views"):
        assert f" {verb} " in shown


@pytest.mark.parametrize("length", ["1", "1000000"])
def test_a_full_disk_under_standard_output_is_one_line(length: str) -> None:
    code = "import typer; from cocon.core.command import run; a = typer.Typer(); a.command()(print_it); run(a)"
    code = f"def print_it(length: int): print('a' * length)\n{code}"
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-c", code, length],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    reason = "standard output cannot be written: No space left on device; make room and run the same again"
    assert (result.returncode, result.stderr) == (1, f"error: {reason}\n")
