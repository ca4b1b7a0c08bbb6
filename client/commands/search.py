"""The command `client search`."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.client.commands.answer_options import AnswerOptions, takes_answer_options
from cocon.client.commands.filter_options import FilterOptions, takes_filter_options
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.index.folder import VideoIndex
    from cocon.client.index.query.queries import Example, Query
    from cocon.client.index.query.search_options import SearchOptions
    from cocon.client.index.search.hits import Hit
    from cocon.client.output.batch_report import BatchReport
    from cocon.client.output.sinks import Sink
    from cocon.client.pipeline.video_embedding import FailedVideo
    from cocon.video.decoding.limits import MediaLimits

    Reader = Callable[[Sequence[str]], Iterator[list[Example] | FailedVideo]]
    Answered = tuple[Query, list[Hit]] | FailedVideo

__all__ = ["search"]

_COLUMNS = ("rank", "video", "start_seconds", "end_seconds", "score", "label")
# Queries that are compared with the index at once.
_BATCH = 64
# As many as a picture or a page shows.
_MAX_SHOWN = 200

Queries = Annotated[
    list[str] | None,
    typer.Argument(
        help="Videos, parts (q.mp4#12.5-18), id:12, id:12/3, .npy, .npz, .parquet, @list.", show_default=False
    ),
]
Like = Annotated[
    list[str] | None,
    typer.Option("--like", metavar="QUERY...", help="Several examples as one query.", show_default=False),
]
Unlike = Annotated[
    list[str] | None, typer.Option("--unlike", metavar="QUERY...", help="What is not wanted.", show_default=False)
]
Picture = Annotated[Path | None, typer.Option("--picture", help="Draw query and hits: FILE.png.")]
Gallery = Annotated[
    Path | None, typer.Option("--gallery", help="Queries and hits as a page that plays them: FILE.html.")
]


@options.takes_embedder_options
@takes_filter_options
@takes_answer_options
def search(
    queries: Queries = None,
    like: Like = None,
    unlike: Unlike = None,
    index: options.IndexName = DEFAULT_INDEX,
    answer_options: AnswerOptions = AnswerOptions(),
    filter_options: FilterOptions = FilterOptions(),
    embedder_options: options.EmbedderOptions = options.EmbedderOptions(),
    as_json: options.AsJson = False,
    row_format: options.TextFormat = None,
    output: options.Output = None,
    picture: Picture = None,
    gallery: Gallery = None,
    failures: options.Failures = Path("failures.jsonl"),
    quiet: options.Quiet = False,
) -> None:
    """Find moments like those of a video: where they are, and how similar (cosine).

    What the index holds asks without a server, and so do vectors.

    Example: client search query.mp4 --top 5 --gallery hits.html
    """
    from cocon.client.engines import open_index
    from cocon.client.output.batch_report import batch_report
    from cocon.client.output.sinks import chosen_format, open_sink

    chosen = chosen_format(row_format, output, as_json=as_json)
    wanted = answer_options.search_options(filter_options.filters)
    asked, liked, unliked = (_names(each or ()) for each in (queries, like, unlike))
    _check(asked, liked, unliked, picture)
    _check_files(
        [*asked, *liked, *unliked],
        index,
        output=output,
        picture=picture,
        gallery=gallery,
        failures=failures,
        profile=embedder_options.profile_output,
    )
    opened = open_index(index)
    with ExitStack() as held:
        read = _reader(opened, embedder_options, held)
        report = held.enter_context(batch_report(max(1, len(asked)), quiet=quiet, failures=failures, what="queries"))
        with open_sink(chosen, output, columns=_columns(asked)) as sink:
            found = _each(read(asked), report) if asked else _together(read, liked, unliked)
            num_answered, answered = _first(_answered(found, opened, wanted, sink), _MAX_SHOWN)
    _tell_of_emptiness(answered)
    if picture is not None and answered:
        _draw(answered[0], picture, index, embedder_options.limits)
    if gallery is not None:
        facts = {"queries": f"the first {_MAX_SHOWN} of {num_answered}"} if num_answered > _MAX_SHOWN else {}
        _show(answered, facts, gallery, opened, embedder_options.limits, is_quiet=quiet)
    raise typer.Exit(report.exit_code)


def _names(arguments: Sequence[str]) -> list[str]:
    """What is asked: names of files, and of what is in the index."""
    from cocon.client.commands.inputs import expand_inputs
    from cocon.client.index.query.naming import names_no_file

    return (
        [str(path) for path in expand_inputs(arguments, sys.stdin.buffer, is_name=names_no_file)] if arguments else []
    )


def _check(asked: Sequence[str], liked: Sequence[str], unliked: Sequence[str], picture: Path | None) -> None:
    from cocon.client.index.query.vectors_files import is_vectors_file
    from cocon.core.errors import UsageError

    if asked and (liked or unliked):
        raise UsageError("name queries, or examples of one query (--like, --unlike), not both")
    if not asked and not liked:
        raise UsageError("name a query: a video, or examples of what is wanted (--like a.mp4 b.mp4)")
    if picture is not None and (len(asked) > 1 or is_vectors_file(Path([*asked, *liked][0]))):
        raise UsageError("--picture draws one query that is a video; name one")


def _check_files(
    names: Sequence[str],
    index: str,
    *,
    output: Path | None,
    picture: Path | None,
    gallery: Path | None,
    failures: Path,
    profile: Path | None,
) -> None:
    """Refuse to write over what is read."""
    from cocon.client.engines import files_of
    from cocon.video.output_file import check_different, check_no_input, check_output

    # Of a part, `q.mp4#1-2`, the file; whether it is one is seen later, when a wrong line of a list fails alone.
    inputs = [*map(Path, names), *(Path(name.rpartition("#")[0]) for name in names if "#" in name), *files_of(index)]
    written = {"output": output, "picture": picture, "gallery": gallery, "failures": failures}
    check_different(**written, **{"profile-output": profile})
    check_no_input(failures, inputs, option="--failures")
    if profile is not None:
        check_output(profile, inputs, option="--profile-output")
    if output is not None:
        check_output(output, inputs)
    if picture is not None:
        check_output(picture, inputs, suffixes=(".png",), option="--picture")
    if gallery is not None:
        check_output(gallery, inputs, suffixes=(".html", ".htm"), option="--gallery")


def _columns(asked: Sequence[str]) -> Sequence[str]:
    from cocon.client.index.query.vectors_files import is_vectors_file

    has_many = len(asked) > 1 or any(is_vectors_file(Path(name)) for name in asked)
    return ("query", *_COLUMNS) if has_many else _COLUMNS


def _reader(opened: "VideoIndex", embedder_options: options.EmbedderOptions, held: ExitStack) -> "Reader":
    """Reads examples; the server is asked when something must be embedded."""
    views = opened.facts.views
    return lambda names: opened.examples(
        names,
        lambda: held.enter_context(embedder_options.open(views)),
        overlap=embedder_options.overlap,
        takes_stored=not embedder_options.view and not embedder_options.strict,
    )


def _each(found: "Iterable[list[Example] | FailedVideo]", report: "BatchReport") -> "Iterator[Query | FailedVideo]":
    """A query of every example; those that failed are reported, a single one ends the command."""
    from cocon.client.index.query.queries import Query
    from cocon.client.pipeline.video_embedding import FailedVideo

    for examples in found:
        if not isinstance(examples, FailedVideo):
            report.note()
            yield from map(Query.of, examples)
        elif report.num_videos == 1:
            raise examples.error
        else:
            report.note(examples)
            yield examples


def _together(read: "Reader", liked: Sequence[str], unliked: Sequence[str]) -> "Iterator[Query]":
    """One query of all examples."""
    from cocon.client.index.query.queries import Query
    from cocon.client.pipeline.video_embedding import FailedVideo

    wanted: list[Example] = []
    unwanted: list[Example] = []
    for number, examples in enumerate(read([*liked, *unliked])):
        if isinstance(examples, FailedVideo):
            raise examples.error
        (wanted if number < len(liked) else unwanted).extend(examples)
    yield Query.of_examples(wanted, unwanted)


def _answered(
    asked: "Iterator[Query | FailedVideo]", opened: "VideoIndex", wanted: "SearchOptions", sink: "Sink"
) -> "Iterator[Answered]":
    """Each query and its hits, which are written in the order of the queries; and so are those that failed."""
    from cocon.client.pipeline.video_embedding import FailedVideo
    from cocon.core.printable import escaped

    while batch := [*islice(asked, _BATCH)]:
        queries = [each for each in batch if not isinstance(each, FailedVideo)]
        answers = iter(opened.search_many(queries, wanted))
        for each in batch:
            if isinstance(each, FailedVideo):
                sink.write([each.row() | {"query": escaped(each.video)}])
                yield each
            else:
                hits = next(answers)
                sink.write([hit.row() for hit in hits])
                yield each, hits


def _first(answered: "Iterator[Answered]", most: int) -> "tuple[int, list[Answered]]":
    """How many there are, and the first of them."""
    kept: list[Answered] = []
    num = 0
    for num, each in enumerate(answered, start=1):
        if num <= most:
            kept.append(each)
    return num, kept


def _tell_of_emptiness(answered: "Sequence[Answered]") -> None:
    """Say how many hits are like their query for want of a person in both."""
    hits = [hit for each in answered if isinstance(each, tuple) for hit in each[1] if hit.empty_views]
    if hits:
        views = ", ".join(sorted({view for hit in hits for view in hit.empty_views}))
        told = f"nobody is to be seen in {len(hits)} of the hits, nor in what asks: for that they are alike in {views}"
        typer.echo(f"note: {told}", err=True)


def _draw(answered: "Answered", picture: Path, index: str, limits: "MediaLimits") -> None:
    from cocon.client.output.hits import write_hits

    assert isinstance(answered, tuple)  # a single query that failed ends the command
    query, hits = answered
    example = query.examples[0]
    assert example.spans is not None
    span = (float(example.spans.min()), float(example.spans.max()))
    facts = f"cosine of the embeddings of {example.view}, index {index}"
    write_hits(Path(example.video), span, hits, picture, facts, limits)


def _show(
    answered: "Sequence[Answered]",
    facts: "dict[str, str]",
    gallery: Path,
    opened: "VideoIndex",
    limits: "MediaLimits",
    *,
    is_quiet: bool,
) -> None:
    from cocon.client.gallery.page import write_gallery
    from cocon.client.gallery.sections import GallerySection
    from cocon.core.progress import progress_bar

    sections = [
        GallerySection.of(*each) if isinstance(each, tuple) else GallerySection.of_failure(each) for each in answered
    ]
    facts = {"index": str(opened), "model": opened.facts.model, "views": ", ".join(opened.facts.views)} | facts
    with progress_bar("taking pictures", unit="pictures", is_quiet=is_quiet) as on_progress:
        write_gallery(sections, gallery, facts=facts, limits=limits, on_progress=on_progress)
