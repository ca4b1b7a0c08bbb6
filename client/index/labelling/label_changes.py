"""Labels for videos of an index, and for parts of them, in one commit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath

import numpy as np

from cocon.client.index.catalogue.moments import LabelledMoment
from cocon.client.index.changes.contents import Contents
from cocon.client.index.changes.removal import named_videos
from cocon.client.index.files.writing import CatalogueWriter, Store
from cocon.client.index.query.conditions import plain_text
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.query.spans import TimeSpan, named_part
from cocon.core.errors import UsageError
from cocon.core.printable import OBEYED, escaped, printable, unescaped

__all__ = ["checked_label", "label_videos"]

_MAX_LABEL = 200  # characters


@dataclass(frozen=True, slots=True)
class _Part:
    """A video, and the part of it that is meant; None for all of it."""

    path: str
    span: TimeSpan | None


def label_videos(
    store: Store, videos: Sequence[str | PathLike[str]], label: str, *, filters: Filters, wait_s: float
) -> list[str]:
    """See `VideoIndex.label`."""
    if not len(videos) and filters == NO_FILTERS:
        raise UsageError("name videos to label, or choose them (--path, --where, ...)")
    wanted = checked_label(label)
    with store.writer(wait_s=wait_s) as writer:
        contents = Contents(writer)
        parts = _chosen(writer, videos, filters, str(store))
        moments = [_moment(writer, part, wanted) for part in parts]  # all of them, before anything changes
        with contents.transaction():
            for path, of_path in _by_path(parts, moments).items():
                if None in of_path:
                    contents.describe(path, wanted, {})
                contents.label_moments(path, filter(None, of_path))
    return list(dict.fromkeys(part.path for part in parts))


def _by_path(
    parts: Sequence[_Part], moments: Sequence[LabelledMoment | None]
) -> dict[str, list[LabelledMoment | None]]:
    found: dict[str, list[LabelledMoment | None]] = {}
    for part, moment in zip(parts, moments, strict=True):
        found.setdefault(part.path, []).append(moment)
    return found


def checked_label(label: str) -> str:
    """A label as it is kept, without blanks around it.

    Raises:
        UsageError: It is too long, or holds characters that turn or hide text.
    """
    named = plain_text(label.strip())
    if len(named) > _MAX_LABEL or OBEYED.search(named):
        raise UsageError(
            f"label '{printable(named[:_MAX_LABEL])}' must be one line of at most {_MAX_LABEL} characters, without "
            "characters that cannot be seen"
        )
    return named


def _chosen(
    writer: CatalogueWriter, videos: Sequence[str | PathLike[str]], filters: Filters, index: str
) -> list[_Part]:
    """The stored ones of what is named, or of what filters choose; of both, where there are both."""
    parts = [part for name in videos for part in _named(writer, fspath(name), index)]
    if filters == NO_FILTERS:
        return parts
    meeting = [unescaped(path) for path, _ in filters.timely_places(writer.select)]
    if not len(videos):
        return [_Part(path, None) for path in meeting]
    return [part for part in parts if part.path in {*meeting}]


def _named(writer: CatalogueWriter, name: str, index: str) -> Iterator[_Part]:
    whole, span = named_part(name)
    if span is not None and writer.select("SELECT 1 FROM places WHERE path = ?", [escaped(name)]):
        whole, span = name, None  # a file that is gone, and was called so
    for path in named_videos(writer.select, [whole], index):
        if writer.select("SELECT 1 FROM places WHERE path = ?", [escaped(path)]):  # the others have failed
            yield _Part(path, span)


def _moment(writer: CatalogueWriter, part: _Part, label: str) -> LabelledMoment | None:
    """The part as it is kept; raises `UsageError` where the video has ended before it begins."""
    if part.span is None:
        return None
    sql = "SELECT spans FROM videos JOIN places USING (video_id) WHERE path = ?"
    ((spans,),) = writer.select(sql, [escaped(part.path)])
    last = float(np.frombuffer(spans, "<f8").max())
    start, end = part.span.start_seconds, part.span.end_seconds
    if start >= last:
        raise UsageError(
            f"the part of '{printable(part.path)}' begins at {start:g} s, its last clip ends at {last:g} s; name an "
            "earlier part"
        )
    return LabelledMoment(start, min(end, last), label)
