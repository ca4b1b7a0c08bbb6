"""What is told of the videos of a snapshot, looked up once: their places and the times of their clips; and of hits."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.moments import HAS_MOMENTS, LabelledMoment, clip_labels, moments_of
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.queries import Example
from cocon.client.index.search.hits import Hit
from cocon.core.printable import unescaped

__all__ = ["StoredPlace", "StoredVideo", "VideoLookup", "hit_of"]

# Videos remembered at a time, some 500 bytes each.
_MAX_KNOWN = 1 << 16
_PLACES = f"""
SELECT video_id, path, label, CASE WHEN {HAS_MOMENTS} THEN metadata END FROM places
WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY path
"""
# Of seconds.
_DECIMALS = 6


class StoredPlace(NamedTuple):
    """Where a content is.

    Attributes:
        written: Path in its written form.
        path: Path.
        label: Of the video there.
        moments: Parts of it that have labels of their own.
    """

    written: str
    path: str
    label: str | None
    moments: tuple[LabelledMoment, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StoredVideo:
    """One content.

    Attributes:
        video_id: Of it.
        places: By path.
        spans: Start and end of its clips in seconds, `float64 [K, 2]`.
    """

    video_id: int
    places: tuple[StoredPlace, ...]
    spans: NDArray[np.float64]

    def label_at(self, place: StoredPlace, clip: int | None) -> str | None:
        """What a clip of it shows, or all of it, as is known at a place."""
        if clip is None or not place.moments:
            return place.label
        return clip_labels(self.spans, place.moments, place.label)[clip]


class VideoLookup:
    """The videos of a snapshot by their position in its table of rows. Safe for several threads.

    Args:
        snapshot: Of the index.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[int, StoredVideo] = {}

    def at(self, positions: list[int]) -> list[StoredVideo]:
        """The videos at positions, in their order."""
        known = self._known  # another thread may begin anew
        if unknown := {position for position in positions if position not in known}:
            found = self._looked_up(sorted(unknown))
            known = known | found if len(known) + len(found) <= _MAX_KNOWN else {**found, **self._of(known, positions)}
            self._known = known
        return [known[position] for position in positions]

    def first_paths(self, rows: NDArray[np.int64]) -> list[str]:
        """The first path of the video that each row is of, `int64 [n]`: by these, equal hits are put in order."""
        return [video.places[0].written for video in self.at(self._snapshot.rows.videos_of(rows).tolist())]

    def _of(self, known: dict[int, StoredVideo], positions: list[int]) -> dict[int, StoredVideo]:
        return {position: known[position] for position in positions if position in known}

    def _looked_up(self, positions: list[int]) -> dict[int, StoredVideo]:
        ids = self._snapshot.rows.video_ids[positions].tolist()
        wanted = [json.dumps(ids)]
        places: dict[int, list[StoredPlace]] = {video_id: [] for video_id in ids}
        for video_id, path, label, known in self._snapshot.select(_PLACES, wanted):
            moments = moments_of(json.loads(known)) if known else ()
            places[video_id].append(StoredPlace(path, unescaped(path), label, moments))
        spans = dict(
            self._snapshot.select(
                "SELECT video_id, spans FROM videos WHERE video_id IN (SELECT value FROM json_each(?))", wanted
            )
        )
        return {
            position: StoredVideo(
                video_id, tuple(places[video_id]), np.frombuffer(spans[video_id], "<f8").reshape(-1, 2)
            )
            for position, video_id in zip(positions, ids, strict=True)
        }


def hit_of(
    rank: int,
    video: StoredVideo,
    moment: tuple[int | None, Sequence[float]],
    score: float,
    asking: tuple[Example, int | None],
    *,
    query: str,
    paths: Collection[str] | None,
    empty_views: tuple[str, ...] = (),
) -> Hit:
    """A hit.

    Args:
        rank: From 1.
        video: What was found.
        moment: Number of the clip, None where all of the video was found; its start and end in seconds.
        score: Of it.
        asking: The example that is most similar, and which of its clips; None where it asked as a whole.
        query: What the query is called.
        paths: Places that may be named first, in their written form; None for all.
        empty_views: See `Hit`.
    """
    clip, (start, end) = moment
    example, query_clip = asking
    places = video.places
    if paths is not None and len(places) > 1:
        places = tuple(sorted(places, key=lambda place: place.written not in paths))
    begin, stop = None, None
    if example.spans is not None:
        asked = example.spans if query_clip is None else example.spans[query_clip]
        begin, stop = round(float(asked.min()), _DECIMALS), round(float(asked.max()), _DECIMALS)
    return Hit(
        rank=rank,
        video=places[0].path,
        start_seconds=round(start, _DECIMALS),
        end_seconds=round(end, _DECIMALS),
        score=score,
        label=video.label_at(places[0], clip),
        video_id=video.video_id,
        clip=clip or 0,
        query_clip=query_clip or 0,
        also=() if len(places) == 1 else tuple(place.path for place in places[1:]),
        query=query,
        query_example=example.name,
        query_start_seconds=begin,
        query_end_seconds=stop,
        empty_views=empty_views,
    )
