"""What Milvus finds near queries, as the rows that could be among their best: fetched, and put into a small snapshot.

A row that is not fetched has at most a known score, the bound. An answer that is better than the bound is right, so
`fetched_search.py` can tell whether enough was fetched.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.catalogue import CLIP_FIELDS, as_snapshot, fact_records, places_of, settled, videos_of_ids
from cocon.client.collection.expressions import any_of
from cocon.client.collection.records_kept import new_catalogue, take_records, take_video
from cocon.client.collection.stored_rows import StoredRows, blocks_of, clip_key, clips_of_keys
from cocon.client.index.catalogue.moments import MOMENTS_KEY
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.records import IndexFacts
from cocon.client.index.search.copies import are_alike
from cocon.client.index.search.vector_query import VectorQuery

__all__ = ["SCORE_MARGIN", "FetchedRows", "NearRows", "best_videos", "candidates_of", "fetched_rows", "probes_of"]

SCORE_MARGIN = 2e-5
"""By how much a score of Milvus, in float32, may be off."""

# Vectors that one query with several examples is asked by, at most.
_MAX_PROBES = 256
_IDS_IN_EXPRESSION = 8_000


@dataclass(frozen=True, slots=True, eq=False)
class NearRows:
    """What could be among the best of one query.

    Attributes:
        keys: Of clips, or ids of videos where means are compared, `int64 [n]`.
        scores: Not less than theirs, `float32 [n]`.
        bound: Not less than that of any other.
        is_all: Whether there is no other.
    """

    keys: NDArray[np.int64]
    scores: NDArray[np.float32]
    bound: float
    is_all: bool


@dataclass(frozen=True, slots=True, eq=False)
class FetchedRows:
    """A snapshot of some rows of an index.

    Attributes:
        snapshot: Of them; the clips of a video are numbered through.
        clips: Id of a video → their numbers in the index, `int64 [k]`.
    """

    snapshot: Snapshot
    clips: dict[int, NDArray[np.int64]] = field(repr=False)


def probes_of(query: VectorQuery) -> NDArray[np.float32] | None:
    """Vectors of which the largest product with a row is not less than its score, `float32 [C, D]`; None: too many.

    Of what is not wanted, whose most similar clip counts, the mean is a lower bound.
    """
    wanted = [np.float32(group.weight) * group.vectors for group in query.groups if group.weight > 0]
    if not wanted or np.prod([len(vectors) for vectors in wanted], dtype=float) > _MAX_PROBES:
        return None
    base = np.zeros(wanted[0].shape[1], np.float32)
    for group in query.groups:
        if group.weight <= 0:
            base += np.float32(group.weight) * group.vectors.mean(axis=0)
    return np.stack([np.sum(chosen, axis=0) + base for chosen in product(*wanted)]).astype(np.float32)


def candidates_of(
    stored: StoredRows,
    probes: Sequence[NDArray[np.float32]],
    *,
    of_means: bool,
    allowed: Sequence[int] | None,
    timely: str,
    limit: int,
) -> list[NearRows]:
    """Ask Milvus for the candidates of queries.

    Args:
        stored: The rows.
        probes: Of each query, `float32 [C, D]`.
        of_means: Whether means of videos are compared, and no clips.
        allowed: Ids of the videos that are meant; None for all.
        timely: Expression of the clips that are meant; empty for all.
        limit: Most rows for one probe.
    """
    vectors = np.concatenate(probes)
    found: list[list[tuple[Any, float]]] = [[] for _ in vectors]
    bounds = np.full(len(vectors), -np.inf)
    for expression in _expressions(allowed, 'kind == "video"' if of_means else timely):
        for number, hits in enumerate(stored.nearest("catalogue" if of_means else "clips", vectors, expression, limit)):
            found[number] += hits
            if len(hits) >= limit:
                bounds[number] = max(bounds[number], hits[-1][1])
    answers, begin = [], 0
    for part in probes:
        end = begin + len(part)
        answers.append(_together(found[begin:end], float(bounds[begin:end].max())))
        begin = end
    return answers


def _expressions(allowed: Sequence[int] | None, others: str) -> list[str]:
    if allowed is None:
        return [others]
    parts = [
        any_of(allowed[begin : begin + _IDS_IN_EXPRESSION]) for begin in range(0, len(allowed), _IDS_IN_EXPRESSION)
    ]
    return [f"{part} and {others}" if others else part for part in parts]


def _together(hits: Sequence[Sequence[tuple[Any, float]]], bound: float) -> NearRows:
    """The hits of all probes of a query, each row once."""
    best: dict[int, float] = {}
    for part in hits:
        for key, score in part:
            number = int(key.partition(":")[2]) if isinstance(key, str) else key
            best[number] = max(score, best.get(number, -np.inf))
    keys = np.fromiter(best.keys(), np.int64, len(best))
    scores = np.fromiter(best.values(), np.float32, len(best))
    order = np.argsort(-scores, kind="stable")
    return NearRows(keys[order], scores[order], bound, is_all=bound == -np.inf)


def best_videos(found: NearRows, count: int, *, by_video: bool) -> tuple[NearRows, bool]:
    """Of candidate clips those of so many of the best videos; and whether there are as many above the bound.

    Args:
        found: The best first.
        count: Of videos; of clips where not videos are counted.
        by_video: Whether the best clip of each video is enough.
    """
    videos, _ = clips_of_keys(found.keys)
    _, firsts, inverse = np.unique(videos, return_index=True, return_inverse=True)
    above = found.scores >= found.bound
    num_above = len(np.unique(videos[above])) if by_video else int(above.sum())
    is_enough = found.is_all or num_above > count
    ranked = np.sort(firsts) if by_video else np.arange(len(found.keys))
    if len(ranked) <= count:
        return found, is_enough
    cut = float(found.scores[ranked[count]])
    chosen = found.scores >= cut - SCORE_MARGIN
    if by_video:
        chosen &= found.scores >= found.scores[firsts][inverse] - 2 * SCORE_MARGIN
    return NearRows(found.keys[chosen], found.scores[chosen], max(found.bound, cut), is_all=False), is_enough


def fetched_rows(
    stored: StoredRows,
    facts: dict[str, Any],
    keys: NDArray[np.int64],
    *,
    with_blocks: bool,
    whole: NDArray[np.int64] | None = None,
) -> FetchedRows:
    """Fetch clips, and what is known of their videos.

    Args:
        stored: The rows.
        facts: Of the index.
        keys: Of the clips, `int64 [n]`.
        with_blocks: Whether blocks are needed.
        whole: Ids of videos of which all clips are needed, `int64 [v]`.
    """
    whole = np.zeros(0, np.int64) if whole is None else whole
    videos, _ = clips_of_keys(keys)
    records = videos_of_ids(stored, np.union1d(videos, whole).tolist())
    records, places = settled(records, places_of(stored, [record[0] for record in records]))
    placed = {place[1] for place in places}
    records = [record for record in records if record[0] in placed]
    counts = {record[0]: record[9] for record in records}
    fields = [*CLIP_FIELDS, "blocks"] if with_blocks else [*CLIP_FIELDS]
    clips = _Clips(stored, fields, counts)
    clips.fetch({clip_key(video_id, 0) for video_id in counts} | {int(key) for key in keys})
    # Which clip a labelled part names, all clips of its video decide.
    with_parts = [place[1] for place in places if MOMENTS_KEY in json.loads(place[3])]
    clips.fetch_whole([video_id for video_id in [*whole.tolist(), *with_parts] if video_id in counts])
    alike = [video_id for video_id, is_alike in zip(counts, are_alike(clips.firsts()), strict=True) if is_alike]
    clips.fetch_whole(alike)
    return clips.snapshot(facts, records, places)


class _Clips:
    """Clips that have been fetched, by key."""

    def __init__(self, stored: StoredRows, fields: Sequence[str], counts: dict[int, int]) -> None:
        self._stored, self._fields, self._counts = stored, fields, counts
        self._rows: dict[int, dict[str, Any]] = {}

    def fetch(self, keys: set[int]) -> None:
        wanted = sorted(key for key in keys if key not in self._rows and (key >> 20) in self._counts)
        self._rows |= {row["key"]: row for row in self._stored.of_keys("clips", wanted, self._fields)}

    def fetch_whole(self, video_ids: Sequence[int]) -> None:
        self.fetch({clip_key(video_id, clip) for video_id in video_ids for clip in range(self._counts[video_id])})

    def firsts(self) -> NDArray[np.float32]:
        """The first clip of each video: `float32 [V, D]`."""
        rows = [self._rows.get(clip_key(video_id, 0)) for video_id in self._counts]
        dim = len(next((row["vector"] for row in rows if row), ()))
        return np.array([row["vector"] if row else np.zeros(dim) for row in rows], np.float32).reshape(len(rows), dim)

    def snapshot(self, facts: dict[str, Any], records: Sequence[list[Any]], places: Sequence[list[Any]]) -> FetchedRows:
        connection = new_catalogue()
        dim = facts["index"]["embedding_dim"]
        connection.execute("BEGIN")
        take_records(connection, "facts", fact_records(facts))
        by_video: dict[int, list[int]] = {}
        for key in sorted(self._rows):
            by_video.setdefault(key >> 20, []).append(key)
        keys = [key for record in records for key in by_video.get(record[0], ())]
        rows = [self._rows[key] for key in keys]
        vectors = np.array([row["vector"] for row in rows], np.float32).reshape(len(rows), dim)
        blocks, have_blocks = self._blocks(rows, facts)
        spans = np.array([(row["start_seconds"], row["end_seconds"]) for row in rows]).reshape(len(rows), 2)
        sums, block_sums = row_checksums(vectors), None if blocks is None else row_checksums(blocks)
        row, clips = 0, {}
        for record in records:
            held = by_video.get(record[0])
            if not held:
                continue
            part = slice(row, row + len(held))
            known = None if block_sums is None or not have_blocks[part].all() else block_sums[part]
            row = take_video(connection, record, row, spans[part], (sums[part], known))
            clips[record[0]] = clips_of_keys(np.array(held, np.int64))[1]
        take_records(connection, "places", [place for place in places if place[1] in clips])
        connection.execute("COMMIT")
        return FetchedRows(as_snapshot(self._stored.url, connection, vectors, blocks), clips)

    def _blocks(
        self, rows: Sequence[dict[str, Any]], facts: dict[str, Any]
    ) -> tuple[NDArray[np.float16] | None, NDArray[np.bool_]]:
        have_blocks = np.array([bool(row.get("blocks")) for row in rows], np.bool_)
        if "blocks" not in self._fields or not have_blocks.any():
            return None, have_blocks
        dim, num_blocks = IndexFacts.from_json(facts["index"]).block_dim, facts["rows"]["num_blocks"]
        blocks = np.zeros((len(rows), num_blocks, dim), np.float16)
        blocks[have_blocks] = blocks_of([row["blocks"] for row in rows if row["blocks"]], dim)
        return blocks, have_blocks
