"""The commands `client index add`, `list` and `remove`, and those of `upkeep`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cocon.client.commands import options
from cocon.client.commands.upkeep import upkeep_app
from cocon.client.models.defaults import DEFAULT_INDEX

__all__ = ["index_app"]

index_app = typer.Typer(no_args_is_help=True, help="Add videos to an index, list and remove them; keep it well.")
index_app.add_typer(upkeep_app)

_VIDEO_COLUMNS = ("video", "label", "num_clips", "duration_seconds")


@index_app.command()
@options.takes_embedder_options
def add(
    videos: options.Videos,
    index: options.IndexFolder = Path(DEFAULT_INDEX),
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
    as_json: options.AsJson = False,
    failures: options.Failures = Path("failures.jsonl"),
    quiet: options.Quiet = False,
) -> None:
    """Embed videos and make them searchable; what is there already is not embedded again.

    Labels are those of a manifest, or the sub-folders of the folder that is named.

    Example: client index add videos/
    """
    from cocon.client.commands.inputs import named_folders
    from cocon.client.index.folder import VideoIndex
    from cocon.core.printable import escaped, printable

    opened = VideoIndex(index)
    views = opened.facts.views if opened.exists else ("rgb",)
    with embedder_options.run(videos, failures, quiet=quiet, default_views=views) as (embedder, paths, report):
        folders = named_folders(videos)
        done = opened.add(paths, embedder, folders=folders, on_outcome=lambda outcome: report.note(outcome.failure))
        counts = {name: getattr(done, name) for name in ("added", "updated", "unchanged", "duplicate")}
        counts["failed"] = len(done.failures)
        if as_json:
            typer.echo(json.dumps({"index": escaped(index), **counts}))
        else:
            always = ("added", "unchanged", "failed")
            told = (f"{count} {name}" for name, count in counts.items() if count or name in always)
            typer.echo(f"{printable(index)}: {', '.join(told)}")


@index_app.command("list")
def list_videos(index: options.IndexFolder = Path(DEFAULT_INDEX), as_json: options.AsJson = False) -> None:
    """List the videos of an index.

    Example: client index list --json
    """
    from cocon.client.index.folder import VideoIndex
    from cocon.client.output.sinks import open_sink

    rows = [video.row() for video in VideoIndex(index).videos()]
    with open_sink("json" if as_json else "table", None, columns=_VIDEO_COLUMNS) as sink:
        sink.write(rows)


@index_app.command()
def remove(
    videos: Annotated[list[str], typer.Argument(help="Videos or folders of the index.", show_default=False)],
    index: options.IndexFolder = Path(DEFAULT_INDEX),
    as_json: options.AsJson = False,
) -> None:
    """Forget videos; the files themselves stay. A video is named by its path, or as 'client index list' prints it.

    Example: client index remove videos/old.mp4
    """
    from cocon.client.index.folder import VideoIndex
    from cocon.core.printable import escaped, printable

    removed = VideoIndex(index).remove(videos)
    if as_json:
        typer.echo(json.dumps({"index": escaped(index), "removed": [escaped(video) for video in removed]}))
    else:
        typer.echo(f"{printable(index)}: {len(removed)} removed")
