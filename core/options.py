"""Options that several commands share, declared once."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

__all__ = ["Quiet", "takes_options"]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, neither a bar nor a line a minute.")]


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
