"""Commands with options that take several values at once: `--like a.mp4 b.mp4 --unlike c.mp4`."""

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand

__all__ = ["ManyValuesCommand"]

_OPTIONS = ("--like", "--unlike")


class ManyValuesCommand(TyperCommand):
    """What stands behind `--like` or `--unlike` is of it, up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401  # Typer keeps its class private
        """Repeat the option before each of its values."""
        return super().parse_args(ctx, list(_repeated(args)))


def _repeated(args: Sequence[str]) -> Iterator[str]:
    option, needs_value = "", False
    for number, arg in enumerate(args):
        name, mark, _ = arg.partition("=")
        if arg == "--":
            yield from args[number:]
            return
        if needs_value:
            needs_value = False
        elif name in _OPTIONS:
            option, needs_value = name, not mark
        elif arg.startswith("-") and arg != "-":
            option = ""
        elif option:
            yield option
        yield arg
