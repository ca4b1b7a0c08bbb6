"""The `cocon` command: its verbs are entry points of the group `cocon.commands`, loaded only when used.

The dispatcher lives below every room that offers a verb, so no room imports another for the sake of a command line.
"""

import errno
import io
import os
import stat
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from cocon.core.errors import CoconError, StorageError, UsageError
from cocon.core.extras import extra_of
from cocon.core.printable import ESCAPING, in_one_line, printable
from cocon.core.storage import cause_of_storage, refused
from cocon.core.telling.logs import prepare_log, tell_error

__all__ = ["main", "run"]


class _Verbs(TyperGroup):
    """A command group whose members are entry points."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # vendored Context is not public
        return sorted(_verbs())

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # noqa: ANN401  # Typer keeps its Command type private
        verb = _verbs().get(cmd_name)
        if verb is None:
            return None
        command = typer.main.get_command(verb.load())
        command.name = cmd_name  # a group of commands does not know what it is called
        return command


app = typer.Typer(cls=_Verbs, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def cocon(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Make video encoders: make or check data, make views, train, evaluate, export and serve."""
    if show_version:
        typer.echo(f"cocon {version('cocon')}")
        raise typer.Exit


def run(application: typer.Typer) -> NoReturn:
    """Run a command line; deliberate errors become one line on stderr and their documented exit code.

    Whatever the encoding of a terminal or pipe, characters that it lacks are escaped. `COCON_DEBUG=1` shows the
    traceback instead.
    """
    _prepare_streams()
    try:
        try:
            application()
        finally:
            sys.stdout.flush()  # a full disk shows here, and not when nobody can be told any more
    except CoconError as error:
        _fail(error, error.exit_code)
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        _fail(UsageError(f"'{error.name}' is not installed; run: pip install 'cocon[{extra}]'"), UsageError.exit_code)
    except OSError as error:
        _fail_by_system(error)
    except KeyboardInterrupt:
        print("stopped; what was saved is kept", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def main() -> NoReturn:
    """Entry point of the console script `cocon`."""
    run(app)


def _fail(error: Exception, exit_code: int) -> NoReturn:
    if os.environ.get("COCON_DEBUG"):
        raise error
    tell_error(in_one_line(error), exit_code)
    sys.exit(exit_code)


def _named(file: object) -> str:
    return printable(os.fsdecode(file) if isinstance(file, bytes) else file)


def _prepare_streams() -> None:
    """No name of a file, nor any text, can end a command because it cannot be printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPING)
    prepare_log()


def _fail_by_system(error: OSError) -> NoReturn:
    """End with what the system refused; a reader that has gone is no news to anybody."""
    with suppress(OSError):
        sys.stdout.flush()
    is_storage = cause_of_storage(error) is not None
    if error.filename is None and (is_storage or error.errno == errno.EPIPE):
        is_printing = _is_file_or_device(sys.stdout)
        sys.stdout = io.StringIO()  # or else Python tries again when it ends
        if error.errno == errno.EPIPE:
            sys.exit(StorageError.exit_code)
        named = "standard output" if is_printing else f"a temporary file in '{tempfile.gettempdir()}'"
        _fail(refused(error, named), StorageError.exit_code)
    if error.filename is None:
        raise error
    kind = StorageError if is_storage else UsageError
    _fail(kind(f"'{_named(error.filename)}' cannot be read or written: {error.strerror}"), kind.exit_code)


def _is_file_or_device(stream: TextIO) -> bool:
    """Whether it can be full, as no pipe and no terminal can."""
    try:
        return not (stream.isatty() or stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode))
    except OSError:
        return False


def _verbs() -> dict[str, EntryPoint]:
    return {verb.name: verb for verb in entry_points(group="cocon.commands")}
