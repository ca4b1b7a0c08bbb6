"""`cocon check`: what decides about vectors on this machine."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check what vectors depend on.")


@app.callback()
def check() -> None:
    """Check what vectors depend on."""


@app.command()
def environment(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print the libraries that decide about vectors, and the estimators of views.

    Two machines that agree here make the same vectors of a video; a contract names the estimators of its training.

    Example: cocon check environment --json
    """
    from rich.text import Text

    from cocon.core.tables import new_table, print_table
    from cocon.embedding.environment import estimators, libraries

    found, makers = libraries(), estimators()
    if as_json:
        print(json.dumps({"libraries": [asdict(library) for library in found], "estimators": makers}))
        return
    table = new_table("library", "version", "part", "detail")
    for library in found:
        table.add_row(library.name, library.version or "-", library.part, Text(library.detail))  # has brackets
    print_table(table)
    table = new_table("view", "made by")
    for view, names in makers.items():
        table.add_row(view, ", ".join(names) or "nobody here")
    print_table(table)
