"""Arguments and options that several commands share, whether or not they ask models."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cocon.client.collection.urls import is_collection_url
from cocon.video.decoding.limits import LIMIT_HELP

__all__ = [
    "AsJson",
    "Failures",
    "IndexName",
    "Limits",
    "Output",
    "RowFormat",
    "TextFormat",
    "Videos",
    "VotingIndex",
    "WaitS",
    "named_index",
]


def named_index(name: str) -> str:
    """The name of an index: a folder in its usual form, or a URL as it is."""
    if not name.strip():
        raise typer.BadParameter("it is empty; name a folder")
    return name if is_collection_url(name) else str(Path(name))


Videos = Annotated[
    list[str], typer.Argument(help="Files, folders, globs, @list.txt, or - for a list on stdin.", show_default=False)
]
IndexName = Annotated[
    str,
    typer.Option(
        "--index",
        envvar="COCON_INDEX",
        parser=named_index,
        metavar="PATH",
        help="Folder of the index, or milvus://HOST:PORT/NAME.",
    ),
]
VotingIndex = Annotated[
    str | None,
    typer.Option(
        "--index",
        parser=named_index,
        metavar="PATH",
        help="Ask the labelled videos of this index, and no classifier.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Output = Annotated[Path | None, typer.Option("--output", help="Write to a file; its ending can name the format.")]
RowFormat = Annotated[
    Literal["table", "json", "jsonl", "parquet", "npz"] | None, typer.Option("--format", help="Form of the rows.")
]
TextFormat = Annotated[Literal["table", "json", "jsonl"] | None, typer.Option("--format", help="Form of the rows.")]
Failures = Annotated[Path, typer.Option("--failures", help="Where failed videos are listed, if there are any.")]
Limits = Annotated[list[str] | None, typer.Option("--limit", help=LIMIT_HELP)]
WaitS = Annotated[
    float, typer.Option("--wait-s", min=0.0, help="How long to wait for another writer of the index, in seconds.")
]
