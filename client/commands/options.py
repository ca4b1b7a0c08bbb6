"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.video.decoding.limits import LIMIT_HELP, MediaLimits

if TYPE_CHECKING:
    from cocon.client.pipeline.video_embedder import VideoEmbedder

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
    "named_views",
    "open_embedder",
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
    typer.Option("--limit", help=LIMIT_HELP),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress line.")]


def named_views(views: list[str] | None, default: tuple[str, ...] = ("rgb",)) -> tuple[str, ...]:
    """The views of a repeated, comma-separated `--view`."""
    named = tuple(name.strip() for view in views or () for name in view.split(",") if name.strip())
    return named or default


def open_embedder(
    url: str,
    views: tuple[str, ...],
    overlap: float,
    timeout_s: float,
    model_format: Literal["onnx", "torchscript"],
    limits: list[str] | None,
) -> "VideoEmbedder":
    """The embedder that a command's options describe; `limits` are those of a repeated `--limit`."""
    from cocon.client.pipeline.video_embedder import VideoEmbedder

    return VideoEmbedder(
        url,
        views=views,
        overlap=overlap,
        timeout_s=timeout_s,
        model_format=model_format,
        limits=MediaLimits.parse(limits or ()),
    )
