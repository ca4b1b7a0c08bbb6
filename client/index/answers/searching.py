"""Search over one state of an index: queries in, hits out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.compared_vectors import ComparedVectors
from cocon.client.index.answers.stored_videos import VideoLookup, hit_of
from cocon.client.index.changes.observation import absolute
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.chosen_rows import ChosenRows, FilteredRows
from cocon.client.index.query.queries import Example, Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.ranking.order_ranking import OrderRanking
from cocon.client.index.search.copies import Copies, sampled_videos, without_overlaps
from cocon.client.index.search.empty_views import are_of_people, shared_emptiness
from cocon.client.index.search.final_order import Answer
from cocon.client.index.search.hits import Hit
from cocon.client.index.search.means import mean_vector
from cocon.client.index.search.vector_query import VectorGroup, VectorQuery
from cocon.core.printable import escaped
from cocon.embedding.ranking.order import NUM_RERANKED

__all__ = ["SnapshotSearch"]

# How many times more answers are looked at where too many of them said the same twice.
_GROWTH = 16


class SnapshotSearch:
    """Searches a snapshot. Safe for several threads.

    Args:
        snapshot: Of the index.
        on_unsound: Called when vectors are found damaged, with how many.
        before: Of an older snapshot, whose work need not be done again.
    """

    def __init__(
        self, snapshot: Snapshot, on_unsound: Callable[[int], None], before: "SnapshotSearch | None" = None
    ) -> None:
        self.snapshot = snapshot
        self._videos = videos = VideoLookup(snapshot)
        self._compared: ComparedVectors = ComparedVectors(
            snapshot, self._videos.first_paths, on_unsound, before._compared if before else None
        )
        self._filtered = FilteredRows(snapshot)
        self._copies = Copies(snapshot.vectors, snapshot.rows, lambda position: videos.at([position])[0].spans)

    def hits(self, queries: Sequence[Query], options: SearchOptions) -> list[list[Hit]]:
        """The hits of each query, the best first."""
        if not len(self.snapshot.rows.video_ids):
            return [[] for _ in queries]
        chosen = self._filtered.of(options.filters)
        answers = self._answers(queries, chosen, options)
        return [self._as_hits(query, answer, chosen, options) for query, answer in zip(queries, answers, strict=True)]

    def _answers(self, queries: Sequence[Query], chosen: ChosenRows, options: SearchOptions) -> list[Answer]:
        """The page of answers that is asked for, without what says the same twice."""
        if options.keep_duplicates:
            return self._found(queries, chosen, options, options.top, options.offset)
        wanted = count = options.offset + options.top
        pages: dict[int, Answer] = {}
        numbers = list(range(len(queries)))
        while numbers:
            found = self._found([queries[number] for number in numbers], chosen, options, count, 0)
            for number, answer in zip(numbers, found, strict=True):
                own = self._own_videos(queries[number])
                answer = _own_first(answer, own)
                kept = np.flatnonzero(self._are_new(answer, options, own))[:wanted]
                if len(kept) == wanted or len(answer.rows) < count:
                    pages[number] = _part_of(answer, kept[options.offset :])
            numbers = [number for number in numbers if number not in pages]
            count = self._more_than(count)
        return [pages[number] for number in range(len(queries))]

    def _more_than(self, count: int) -> int:
        """How many answers are looked at where so many were not enough."""
        return count * _GROWTH

    def _found(
        self, queries: Sequence[Query], chosen: ChosenRows, options: SearchOptions, top: int, offset: int
    ) -> list[Answer]:
        """Answers `offset` to `offset + top` of each query."""
        if options.rank == "cosine" or options.match == "mean":
            return self._by_cosine(queries, chosen, options, top, offset)
        blocks = [self._order.blocks_of(query) for query in queries]
        if all(each is None for each in blocks):
            return self._by_cosine(queries, chosen, options, top, offset)
        # Those that are ranked again may all fall below what is wanted.
        wider = replace(options, min_score=None)
        found = self._by_cosine(queries, chosen, wider, offset + top + NUM_RERANKED, 0)
        ranked = [
            answer if own is None else self._order.ranked(answer, own)
            for answer, own in zip(found, blocks, strict=True)
        ]
        least = -np.inf if options.min_score is None else options.min_score
        return [_part_of(answer, np.flatnonzero(answer.scores >= least)[offset : offset + top]) for answer in ranked]

    def _by_cosine(
        self, queries: Sequence[Query], chosen: ChosenRows, options: SearchOptions, top: int, offset: int
    ) -> list[Answer]:
        of_means = options.match == "mean"
        search = self._compared.means() if of_means else self._compared.clips(is_exact=options.is_exact)
        found = search.search(
            [self._asked(query, options) for query in queries],
            top=top,
            offset=offset,
            grouping=options.grouping,
            min_score=options.min_score,
            allowed=chosen.videos,
            allowed_rows=None if of_means else chosen.rows,
            is_exact=options.is_exact,
        )
        return found.answers

    def _are_new(self, answer: Answer, options: SearchOptions, own: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which answers say what none before them has said; what asks, `own`, is a copy of nothing else."""
        positions, firsts, inverse = np.unique(answer.videos, return_index=True, return_inverse=True)
        order = np.lexsort((firsts, ~np.isin(positions, own)))
        are_first = np.empty(len(positions), np.bool_)
        are_first[order] = self._copies.are_first(positions[order])
        if options.grouping == "video":
            return are_first[inverse]
        videos, clips = self._videos.at(answer.videos.tolist()), self._clip_numbers(answer)
        spans = [video.spans[clip] for video, clip in zip(videos, clips, strict=True)]
        return are_first[inverse] & without_overlaps(answer.videos, np.array(spans).reshape(-1, 2))

    def _asked(self, query: Query, options: SearchOptions) -> VectorQuery:
        vectors = [example.vectors for example in query.examples]
        if options.match == "mean":
            vectors = [mean_vector(clips, self.snapshot.facts.widths) for clips in vectors]
        groups = tuple(map(VectorGroup, vectors, query.weights))
        return VectorQuery(groups, self._own_videos(query)) if options.exclude_self else VectorQuery(groups)

    def _own_videos(self, query: Query) -> NDArray[np.int64]:
        """Positions of the videos that ask."""
        sql = "SELECT video_id FROM videos WHERE content_sha256 = ? UNION SELECT video_id FROM places WHERE path = ?"
        own = {
            video_id
            for example in query.examples
            for (video_id,) in self.snapshot.select(sql, [example.content_sha256, escaped(absolute(example.video))])
        }
        return self.snapshot.rows.positions_of(np.array(sorted(own), np.int64))

    @cached_property
    def _order(self) -> OrderRanking:
        return OrderRanking(self.snapshot)

    @cached_property
    def _sample(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Positions of some videos, and the first clip of each."""
        positions = np.unique(sampled_videos(len(self.snapshot.rows.video_ids)))
        return positions, self.snapshot.vectors[self.snapshot.rows.first_rows[positions]]

    def _clip_numbers(self, answer: Answer) -> list[int]:
        clips: list[int] = (answer.rows - self.snapshot.rows.first_rows[answer.videos]).tolist()
        return clips

    def _as_hits(self, query: Query, answer: Answer, chosen: ChosenRows, options: SearchOptions) -> list[Hit]:
        videos, askers = self._videos.at(answer.videos.tolist()), answer.query_clips.tolist()
        found: list[tuple[int | None, Sequence[float]]]
        asking: list[tuple[Example, int | None]]
        if options.match == "mean":
            found = [(None, (float(video.spans.min()), float(video.spans.max()))) for video in videos]
            asking = [(query.examples[number], None) for number in askers]
        else:
            clips = self._clip_numbers(answer)
            found = [(clip, video.spans[clip].tolist()) for video, clip in zip(videos, clips, strict=True)]
            asking = [*map(query.example_at, askers)]
        limit = sum(map(abs, query.weights))  # rounding in the dot product may pass it
        scores = answer.scores.clip(-limit, limit).tolist()
        return [
            hit_of(rank, video, moment, score, by, query=query.name, paths=chosen.paths, empty_views=empty)
            for rank, (video, moment, score, by, empty) in enumerate(
                zip(videos, found, scores, asking, self._emptiness(query, answer, asking), strict=True),
                start=options.offset + 1,
            )
        ]

    def _emptiness(
        self, query: Query, answer: Answer, asking: Sequence[tuple[Example, int | None]]
    ) -> list[tuple[str, ...]]:
        """Of each answer the views in which neither it nor what asked shows anybody; nothing of whole videos."""
        asked = [example.vectors[clip] for example, clip in asking if clip is not None]
        facts, vectors = self.snapshot.facts, self.snapshot.vectors
        if not asked or not are_of_people(facts.views).any() or len(facts.widths) != len(facts.views):
            return [()] * len(answer.rows)
        own, (sample, sampled) = self._own_videos(query), self._sample
        are_third = ~np.isin(sample, own) & (sample != answer.videos[:, None])
        widths_of = dict(zip(facts.views, facts.widths, strict=True))
        told = shared_emptiness(widths_of, np.stack(asked), vectors[answer.rows], sampled, are_third)
        are_own = np.isin(answer.videos, own).tolist()
        return [() if is_own else empty for is_own, empty in zip(are_own, told, strict=True)]


def _part_of(answer: Answer, places: NDArray[np.int64]) -> Answer:
    return Answer(answer.rows[places], answer.videos[places], answer.scores[places], answer.query_clips[places])


def _own_first(answer: Answer, own: NDArray[np.int64]) -> Answer:
    """The same answers, among equal scores those of the videos that ask before the others."""
    runs = np.cumsum(np.diff(answer.scores, prepend=answer.scores[:1]) != 0)
    return _part_of(answer, np.lexsort((~np.isin(answer.videos, own), runs)))
