"""Which videos and moments of an index are meant: by label, path, time and metadata.

filters = Filters(labels=("jump",), paths=("videos/**/*.mp4",), where=(Condition.parse("take>3"),))
index.search(query, filters=filters)
index.videos(filters)

One of the labels and one of the paths must fit, none of the labels that are not wanted, and all that `where` says;
the path must contain the text, a moment must be of the time. All this is asked of places: of a content at several
paths, one that passes is the answer.
"""

import math
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.moments import PART_LABEL, PARTS
from cocon.client.index.catalogue.schema import Select
from cocon.client.index.query.conditions import Condition, plain_text
from cocon.client.index.query.path_globs import PathGlob
from cocon.core.errors import UsageError

__all__ = ["NO_FILTERS", "Filters"]

# SQLite takes a thousand expressions within each other, and a quarter of a million of values.
_MOST = {"labels": 50_000, "not_labels": 50_000, "paths": 400, "where": 400}


@dataclass(frozen=True, slots=True)
class Filters:
    """What an answer must meet; everything unless given.

    Attributes:
        labels: One of these is the label, of a video or of a part of it, which a search finds alone; an empty one, or
            None, for videos without label.
        not_labels: None of these is.
        paths: Globs, absolute or from the working directory on, see `path_globs`; one must match.
        from_seconds: A moment must end after it.
        to_seconds: A moment must begin before it.
        where: What the metadata must say; all of it.
        text: What the path must contain, in letters of any case.

    Raises:
        UsageError: A text stands where several are meant, or too many are; a glob is empty, or the time ends before it
            begins.
    """

    labels: tuple[str | None, ...] = ()
    not_labels: tuple[str | None, ...] = ()
    paths: tuple[str, ...] = ()
    from_seconds: float | None = None
    to_seconds: float | None = None
    where: tuple[Condition, ...] = ()
    text: str = ""

    def __post_init__(self) -> None:
        for name in ("labels", "not_labels", "paths", "where"):
            if isinstance(given := getattr(self, name), str):
                raise UsageError(f"{name} ('{given}') must be several, such as ('{given}',)")
            object.__setattr__(self, name, tuple(given))
            if len(given) > (most := _MOST[name]):
                raise UsageError(
                    f"{name} has {len(given)} values, at most {most} are asked for at once; leave some out"
                )
        begin, end = self._span
        if not begin <= end:  # nor is any of them no number
            raise UsageError(f"from_seconds ({self.from_seconds}) must not be after to_seconds ({self.to_seconds})")
        self._globs()

    @property
    def have_times(self) -> bool:
        """Whether they ask for moments of a certain time."""
        return self.from_seconds is not None or self.to_seconds is not None

    @property
    def are_of_places(self) -> bool:
        """Whether they ask for more than a time."""
        return bool(self.labels or self.not_labels or self.paths or self.where or self.text)

    def places(self, select: Select) -> list[tuple[str, int]]:
        """Places that meet them, without regard to time: path in its written form, and id of the content, by path."""
        globs = self._globs()
        clauses = [
            *filter(None, [_labelled(self.labels, self.not_labels), _any_of(globs)]),
            *(condition.sql() for condition in self.where),
        ]
        where = " AND ".join(f"({sql})" for sql, _ in clauses) or "TRUE"
        parameters = [value for _, values in clauses for value in values]
        found = select(f"SELECT path, video_id FROM places WHERE {where} ORDER BY path", parameters)
        if globs:
            found = [place for place in found if any(glob.matches(place[0]) for glob in globs)]
        if wanted := _caseless(self.text):
            found = [place for place in found if wanted in _caseless(place[0])]
        return found

    def accept(self, label: str | None) -> bool:
        """Whether moments with a label are of those that are asked for."""
        named = label or ""
        wanted, unwanted = ({plain_text(each or "") for each in given} for given in (self.labels, self.not_labels))
        return (not wanted or named in wanted) and named not in unwanted

    def timely_places(self, select: Select) -> list[tuple[str, int]]:
        """Likewise, of videos with a moment of the time that is asked for."""
        places = self.places(select)
        if not self.have_times:
            return places
        timely = {
            video_id
            for video_id, spans in select("SELECT video_id, spans FROM videos", [])
            if self.are_timely(np.frombuffer(spans, "<f8").reshape(-1, 2)).any()
        }
        return [place for place in places if place[1] in timely]

    def are_timely(self, spans: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether moments, start and end in seconds `float64 [n, 2]`, are of the time that is asked for: `bool [n]`."""
        begin, end = self._span
        return (spans[:, 1] > begin) & (spans[:, 0] < end)

    @property
    def _span(self) -> tuple[float, float]:
        begin = -math.inf if self.from_seconds is None else self.from_seconds
        return begin, math.inf if self.to_seconds is None else self.to_seconds

    def _globs(self) -> list[PathGlob]:
        return [PathGlob.parse(text) for text in self.paths]


NO_FILTERS = Filters()
"""What everything meets."""


def _labelled(labels: tuple[str | None, ...], not_labels: tuple[str | None, ...]) -> tuple[str, list[object]] | None:
    """Whether the label of a place, or that of a part of it, is wanted."""
    if not labels and not not_labels:
        return None
    tests, parameters = list[str](), list[object]()
    for known, negation in ((labels, ""), (not_labels, "NOT ")):
        if known:
            tests.append(f"coalesce({{0}}, '') {negation}IN ({', '.join('?' * len(known))})")
            parameters += [plain_text(label or "") for label in known]
    of_video, of_part = (" AND ".join(tests).format(label) for label in ("label", PART_LABEL))
    return f"({of_video}) OR EXISTS (SELECT 1 FROM {PARTS} WHERE {of_part})", [*parameters, *parameters]


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _any_of(globs: list[PathGlob]) -> tuple[str, list[object]] | None:
    if not globs:
        return None
    parts = [glob.sql() for glob in globs]
    return " OR ".join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]
