"""Options that several commands share, declared once."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cocon.core.telling.logs import LogForm, say_all, write_json

__all__ = ["MAX_THREADS", "THREADS_VARIABLE", "Log", "Quiet", "Threads", "Verbose", "takes_options"]

THREADS_VARIABLE, MAX_THREADS = "COCON_THREADS", 1024
# Read by the libraries that compute, when they are loaded, which is after the command line was read.
_THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def _say_all(is_verbose: bool) -> bool:  # Typer calls it so
    if is_verbose:
        say_all()
    return is_verbose


def _write_as(form: LogForm) -> LogForm:
    if form == "json":
        write_json()
    return form


def _compute_with(threads: int | None) -> int | None:
    if threads is not None:
        os.environ |= dict.fromkeys((THREADS_VARIABLE, *_THREADS_OF_LIBRARIES), str(threads))
    return threads


Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_say_all, help="Log all that is done, as every request to a server."),
]
Log = Annotated[
    LogForm,
    typer.Option(
        "--log", envvar="COCON_LOG", callback=_write_as, is_eager=True, help="Form of the log on standard error."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=MAX_THREADS,
        envvar=THREADS_VARIABLE,
        callback=_compute_with,
        help="Threads to compute with, and videos to decode at a time. Default: the cores that this process may use.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, neither a bar nor a line a minute or an epoch.")
]


def takes_options(options: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator: Typer sees the fields of a dataclass in place of the command's parameter of that type."""
    shared = inspect.signature(options, eval_str=True).parameters

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        (place,) = (name for name, parameter in signature.parameters.items() if parameter.annotation is options)
        parameters: list[inspect.Parameter] = []
        for name, parameter in signature.parameters.items():
            parameters += shared.values() if name == place else [parameter]

        @functools.wraps(command)
        def called(**given: Any) -> None:  # noqa: ANN401  # whatever the command takes
            command(**{place: options(**{name: given.pop(name) for name in shared})}, **given)

        called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return called

    return decorated
