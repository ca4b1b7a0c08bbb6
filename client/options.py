"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cocon.video.limits import MediaLimits

__all__ = [
    "AsJson",
    "Failures",
    "IndexFolder",
    "Limits",
    "ModelFormatOption",
    "Output",
    "Overlap",
    "Quiet",
    "RowFormat",
    "TextFormat",
    "TimeoutS",
    "Url",
    "Videos",
    "Views",
    "media_limits",
    "named_views",
]

Videos = Annotated[
    list[str], typer.Argument(help="Files, folders, globs, @list.txt, or - for a list on stdin.", show_default=False)
]
Url = Annotated[
    str,
    typer.Option("--url", envvar="COCON_URL", help="HOST:PORT of Triton, or local:FOLDER without a server."),
]
Views = Annotated[
    list[str] | None,
    typer.Option("--view", help="rgb, flow, pose, mask; several are fused; all.", show_default="rgb, or the index's"),
]
ModelFormatOption = Annotated[
    Literal["onnx", "torchscript"], typer.Option("--model-format", help="Which export a server should run.")
]
IndexFolder = Annotated[Path, typer.Option("--index", envvar="COCON_INDEX", help="Folder of the index.")]
Overlap = Annotated[float, typer.Option("--overlap", min=0.0, max=0.9, help="Share of a clip that the next repeats.")]
TimeoutS = Annotated[float, typer.Option("--timeout-s", min=0.001, help="Deadline of a request, in seconds.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Output = Annotated[Path | None, typer.Option("--output", help="Write to a file; its ending can name the format.")]
RowFormat = Annotated[
    Literal["table", "json", "jsonl", "parquet", "npz"] | None, typer.Option("--format", help="Form of the rows.")
]
TextFormat = Annotated[Literal["table", "json", "jsonl"] | None, typer.Option("--format", help="Form of the rows.")]
Failures = Annotated[Path, typer.Option("--failures", help="Where failed videos are listed, if there are any.")]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", help="NAME=NUMBER: max_bytes, max_seconds, max_pixels, ... (docs/architecture.md)."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress line.")]


def media_limits(limits: list[str] | None) -> MediaLimits:
    """The table of limits, changed by a repeated `--limit`."""
    return MediaLimits.parse(limits or ())


def named_views(views: list[str] | None, default: tuple[str, ...] = ("rgb",)) -> tuple[str, ...]:
    """The views of a repeated, comma-separated `--view`."""
    named = tuple(name.strip() for view in views or () for name in view.split(",") if name.strip())
    return named or default
