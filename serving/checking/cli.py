"""The command `cocon serve check`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cocon.core.printable import escaped, printable

__all__ = ["check"]


def check(
    repository: Annotated[Path, typer.Argument(help="Model repository.")] = Path("model_repository"),
    trust: Annotated[
        bool, typer.Option("--trust-repository", help="Pass over what is a matter of trust in whoever made it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a line.")] = False,
) -> None:
    """Look at a repository as 'cocon serve' does before it starts, for a server that another command starts.

    Each fault is a line. Ends with exit code 2 if the repository could run code or has another form than a server
    takes, with 5 if a model is only not what it says.

    Example: cocon serve check model_repository
    """
    from cocon.serving.checking.repository_check import check_served
    from cocon.serving.starting import model_names

    names = model_names(repository)
    check_served(repository, "trusting" if trust else "full")
    if as_json:
        print(json.dumps({"repository": escaped(repository), "models": list(map(escaped, names))}))
    else:
        print(f"{printable(repository)} may be served; models: {', '.join(names)}")
