"""A command takes the fields of a dataclass as options of its own."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from cocon.core.options import takes_options

app = typer.Typer()


@dataclass(frozen=True)
class Shared:
    name: Annotated[str, typer.Option("--called", help="What it is called.")]
    times: int = 1


@app.command()
@takes_options(Shared)
def greet(word: Annotated[str, typer.Argument()], shared: Shared, loud: bool = False) -> None:
    """Greet somebody."""
    typer.echo(f"{word.upper() if loud else word} {shared.name} " * shared.times)


def test_fields_are_options_beside_the_commands_own_and_come_as_one_value() -> None:
    result = CliRunner().invoke(app, ["hello", "--called", "you", "--times", "2", "--loud"])
    assert result.output == "HELLO you HELLO you \n"
    assert CliRunner().invoke(app, ["hello", "--called", "you"]).output == "hello you \n"


def test_a_field_without_a_default_is_required_and_help_tells_of_all() -> None:
    refused = CliRunner().invoke(app, ["hello"])
    assert refused.exit_code == 2 and "--called" in refused.output
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(part in text for part in ("Greet somebody", "What it is called", "--times", "--loud"))
