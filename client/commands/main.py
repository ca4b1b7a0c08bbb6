"""The command `client`: embed, classify, index, search and align videos, and follow things through them.

Everything heavy is imported inside the commands: `client --help` must not wait for OpenCV, gRPC and FAISS.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cocon.client.commands import options
from cocon.client.commands.align import align
from cocon.client.commands.bench import bench
from cocon.client.commands.bulk_options import BulkOptions, takes_bulk_options
from cocon.client.commands.index.app import index_app
from cocon.client.commands.locate import locate
from cocon.client.commands.many_values import ManyValuesCommand
from cocon.client.commands.remote_options import RemoteOptions, takes_remote_options
from cocon.client.commands.search import search
from cocon.client.commands.track import track
from cocon.client.commands.web import web
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.classify import Prediction
    from cocon.client.index.folder import VideoIndex
    from cocon.client.output.batch_report import BatchReport
    from cocon.client.output.resumed_job import RowJob
    from cocon.client.output.sinks import Sink
    from cocon.client.pipeline.video_embedder import VideoEmbedder
    from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(index_app, name="index")
app.command()(align)
app.command()(bench)
app.command()(locate)
app.command(cls=ManyValuesCommand)(search)
app.command()(track)
app.command()(web)

_CLIP_COLUMNS = ("video", "view", "clip", "start_seconds", "end_seconds", "embedding")
_PREDICTION_COLUMNS = ("video", "rank", "label", "probability")


@app.callback(invoke_without_command=True)
def client(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Use video encoders: embed and classify videos, index and search them, align two, follow a thing through one.

    Exit codes: 0 ok, 2 usage, 3 some videos failed, 4 no server, 5 model and index differ, 130 interrupted.
    """
    if show_version:
        typer.echo(f"client {version('cocon')}")
        raise typer.Exit


@app.command()
@options.takes_embedder_options
@takes_bulk_options
@takes_remote_options
def embed(
    videos: options.Videos,
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
    bulk_options: BulkOptions = BulkOptions(),
    remote_options: RemoteOptions = RemoteOptions(),
    as_json: options.AsJson = False,
    row_format: options.RowFormat = None,
    output: options.Output = None,
    failures: options.Failures = Path("failures.jsonl"),
    follow_versions: Annotated[
        bool,
        typer.Option(
            "--follow-versions",
            help="Go over to a version that the server's operator promotes meanwhile, at the next video.",
        ),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Embed videos: one vector per clip, with its time span.

    A run with --output FILE that was stopped or killed goes on from what was finished: the same command again embeds no
    file twice. With --engine ray, --output is a folder of Parquet files, and a run goes on from what is in it.
    It stays with the version of the model that it began with, for as long as the server has it; each row names it.

    Example: client embed videos/ --output rows.parquet
    """
    from cocon.client.output.resumed_job import open_job
    from cocon.client.output.sinks import ARCHIVES, chosen_format
    from cocon.core.errors import UsageError

    remote_options.check(by_ray=bulk_options.by_ray)
    if follow_versions and bulk_options.by_ray:
        raise UsageError("--follow-versions is for one process; leave it out with --engine ray")
    if bulk_options.by_ray:
        is_plain = not as_json and row_format in (None, "parquet")
        bulk_options.embed(videos, embedder_options, output if is_plain else None, failures, quiet=quiet)
    chosen = chosen_format(row_format, output, as_json=as_json, allowed=("json", "jsonl", *ARCHIVES))
    if follow_versions and chosen in ARCHIVES:
        raise UsageError(f"--follow-versions gives rows of several models, and {chosen} names one; write json or jsonl")
    run = embedder_options.run_when_needed(videos, failures, quiet=quiet, output=output, is_name=remote_options.is_name)
    with (
        run as (settings, paths, report),
        remote_options.opened(paths, replace(settings, follows_versions=follow_versions)) as (embedder, names),
        open_job(
            chosen,
            output,
            columns=_CLIP_COLUMNS,
            model=embedder.model,
            choices=settings.choices,
            on_kept=report.note_kept,
            follows_versions=follow_versions,
        ) as job,
    ):
        results = embedder.embed_many(job.remaining(names))
        for video in _sound(results, report, job, needs_all_views=chosen in ARCHIVES):
            job.write(list(video.rows()), content_sha256=video.content_sha256)


@app.command()
@options.takes_embedder_options
def classify(
    videos: options.Videos,
    index: options.VotingIndex = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Classes per video.")] = 5,
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
    as_json: options.AsJson = False,
    row_format: options.TextFormat = None,
    output: options.Output = None,
    failures: options.Failures = Path("failures.jsonl"),
    quiet: options.Quiet = False,
) -> None:
    """Name the actions in videos: the most probable classes, by a classifier or by the labels of an index.

    With --index the most similar videos that have a label vote, but for the video itself and copies of it. What is less
    similar than strangers are is 'unknown'.

    Example: client classify video.mp4 --view all --top 3
    """
    from cocon.client.engines import open_index
    from cocon.client.output.sinks import chosen_format, open_sink

    chosen = chosen_format(row_format, output, as_json=as_json)
    opened = None if index is None else open_index(index)
    views = None if opened is None else opened.voters().views
    run = embedder_options.run(videos, failures, quiet=quiet, output=output, default_views=views, index=index)
    with run as (embedder, paths, report):
        name = _namer(embedder, opened, top)
        with open_sink(chosen, output, columns=_PREDICTION_COLUMNS) as sink:
            for video in _sound(embedder.embed_many(paths), report, sink, needs_all_views=opened is not None):
                sink.write([prediction.row() for prediction in name(video)])


@app.command()
@options.takes_server_options
def info(
    server_options: options.ServerOptions = options.ServerOptions(),
    index: options.IndexName = DEFAULT_INDEX,
    model_format: options.ModelFormatOption = "onnx",
    as_json: options.AsJson = False,
) -> None:
    """Show the servers, their models and the index, and whether they belong together; the index also without a server.

    Example: client info --url local:model_repository
    """
    from cocon.client.commands.info import gather_facts, print_facts

    facts, problem = gather_facts(server_options, index, model_format=model_format)
    print_facts(facts, as_json=as_json)
    if problem is not None:
        raise problem


def main() -> NoReturn:
    """Entry point of the console script `client`."""
    from cocon.core.command import run

    # gRPC's own log would stand before our one line, where a proxy fails for instance. It reads this when imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    run(app)


def _namer(
    embedder: "VideoEmbedder", index: "VideoIndex | None", top: int
) -> "Callable[[VideoEmbedding], list[Prediction]]":
    """What names the actions of a video: the model's classifier, or an index."""
    from cocon.client.classify import check_labels, classify_by_index, top_actions

    if index is None:
        labels = check_labels(embedder.model)
        return lambda video: top_actions(video, labels, top=top)
    index.check_model(embedder.model)
    embedder.refer_to(index.made_by)
    return lambda video: classify_by_index(index, video, top=top)


def _sound(
    results: "Iterable[VideoEmbedding | FailedVideo]",
    report: "BatchReport",
    sink: "Sink | RowJob",
    *,
    needs_all_views: bool,
) -> "Iterator[VideoEmbedding]":
    """The videos that could be embedded, in all views if need be; the others are reported."""
    from cocon.client.pipeline.video_embedding import FailedVideo, completed

    for result in map(completed, results) if needs_all_views else results:
        if isinstance(result, FailedVideo):
            report.note(result)
            sink.write([result.row()])
        else:
            yield result
            report.note_video(result)
