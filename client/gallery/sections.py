"""What a gallery says of queries and hits, as its page writes it: text that a browser can show, and what to picture."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cocon.client.gallery.moments import ShownMoment
from cocon.client.index.query.queries import Example, Query
from cocon.client.index.query.vectors_files import is_vectors_file
from cocon.client.index.search.hits import Hit
from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.core.printable import clock, escaped, in_one_line, printable, short_path

__all__ = ["GallerySection", "ShownExample", "ShownHit"]

# More are named, and not shown.
_MAX_EXAMPLES = 6
_UNIT = " s"


@dataclass(frozen=True, slots=True)
class ShownExample:
    """An example of a query.

    Attributes:
        name: File's name, or what the example is called.
        place: Its folder, below the working directory where it lies there; empty where there is none.
        span: From when to when it asks; empty where that is not known.
        is_wanted: Whether moments shall be like it.
        moment: To be shown; None of vectors.
    """

    name: str
    place: str
    span: str
    is_wanted: bool
    moment: ShownMoment | None


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A hit.

    Attributes:
        rank: From 1.
        name: Of the file.
        place: Its folder, as of `ShownExample`.
        label: Of the video; empty without one.
        span: From when to when.
        score: Three decimals.
        share: Of the bar, 0 to 100.
        matched: From when to when the part of the query is that it is like; empty where that is not known.
        matched_example: Which of several examples that is a part of; empty of a single one.
        matched_share: Where that part begins and ends in what asked, 0 to 100; None where it is all of it.
        also: Other files with the same content.
        moment: To be shown.
    """

    rank: int
    name: str
    place: str
    label: str
    span: str
    score: str
    share: float
    matched: str
    matched_example: str
    matched_share: tuple[float, float] | None
    also: tuple[str, ...]
    moment: ShownMoment


@dataclass(frozen=True, slots=True)
class GallerySection:
    """One query and its answer. Made by `of` and `of_failure`.

    Attributes:
        name: What the query is called.
        examples: It is made of.
        num_unshown: Of its examples.
        hits: The best first.
        problem: Why it was not answered; empty if it was.
    """

    name: str
    examples: tuple[ShownExample, ...] = ()
    num_unshown: int = 0
    hits: tuple[ShownHit, ...] = field(default=(), repr=False)
    problem: str = ""

    @classmethod
    def of(cls, query: Query, hits: Sequence[Hit]) -> Self:
        """A query that was answered."""
        best = {hit.query_example: hit for hit in reversed(hits)}
        examples = [
            _example(example, weight > 0, best.get(example.name))
            for example, weight in zip(query.examples, query.weights, strict=True)
        ]
        shown = tuple(examples[:_MAX_EXAMPLES])
        spans = {example.name: _span(example) for example in query.examples}
        is_one = len(query.examples) == 1
        return cls(
            name=_name(query.name) if is_one else f"{len(examples)} examples",
            examples=shown,
            num_unshown=len(examples) - len(shown),
            hits=tuple(_hit(hit, spans.get(hit.query_example), is_one=is_one) for hit in hits),
        )

    @classmethod
    def of_failure(cls, failed: FailedVideo) -> Self:
        """A query that could not be read."""
        return cls(name=_name(failed.video), problem=in_one_line(failed.error))

    @property
    def moments(self) -> Iterator[ShownMoment]:
        """To be shown, the most important first."""
        yield from (example.moment for example in self.examples if example.moment is not None)
        yield from (hit.moment for hit in self.hits)


def _example(example: Example, is_wanted: bool, best: Hit | None) -> ShownExample:
    span = _span(example)
    begin, end = span or (0.0, 0.0)
    if best is not None and best.query_start_seconds is not None and best.query_end_seconds is not None:
        begin, end = best.query_start_seconds, best.query_end_seconds  # what was found by it
    return ShownExample(
        name=_name(example.video),
        place=_place(example.video),
        span=_times(*span) if span else "",
        is_wanted=is_wanted,
        moment=ShownMoment(example.video, begin, end) if span and not is_vectors_file(Path(example.video)) else None,
    )


def _hit(hit: Hit, asked: tuple[float, float] | None, *, is_one: bool) -> ShownHit:
    matched, share = "", None
    if hit.query_start_seconds is not None and hit.query_end_seconds is not None:
        matched = _times(hit.query_start_seconds, hit.query_end_seconds)
        if asked and asked[1] > asked[0]:
            begin, end = (
                100 * (seconds - asked[0]) / (asked[1] - asked[0])
                for seconds in (hit.query_start_seconds, hit.query_end_seconds)
            )
            share = (round(begin, 1), round(end, 1)) if end - begin < 99 else None
    return ShownHit(
        rank=hit.rank,
        name=_name(hit.video),
        place=_place(hit.video),
        label=printable(hit.label) if hit.label else "",
        span=_times(hit.start_seconds, hit.end_seconds),
        score=f"{hit.score:.3f}",
        share=round(100 * min(1.0, max(0.0, hit.score)), 1),
        matched=matched,
        matched_example="" if is_one else _name(hit.query_example),
        matched_share=share,
        also=tuple(printable(short_path(escaped(path))) for path in hit.also),
        moment=ShownMoment(hit.video, hit.start_seconds, hit.end_seconds),
    )


def _span(example: Example) -> tuple[float, float] | None:
    return None if example.spans is None else (float(example.spans.min()), float(example.spans.max()))


def _times(begin: float, end: float) -> str:
    begins, ends = clock(begin), clock(end)
    begins = begins.removesuffix(_UNIT) if ends.endswith(_UNIT) else begins
    return f"{begins} – {ends}".replace(" ", "\N{NO-BREAK SPACE}")


def _name(path: str) -> str:
    return printable(escaped(Path(path).name or path))


def _place(path: str) -> str:
    folder = short_path(escaped(os.path.abspath(Path(path).parent)))  # noqa: PTH100  # links stay as they are named
    return "" if folder == escaped(Path.cwd()) else printable(folder)
