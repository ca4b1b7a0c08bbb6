"""Search in Milvus, told and ordered as in a folder.

Milvus says which clips are near; those that could be among the best are fetched, and searched by the code that searches
a folder. More are fetched until the answers cannot depend on what was not: until the last of them is better than any
other could be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.collection.candidates import (
    SCORE_MARGIN,
    FetchedRows,
    NearRows,
    best_videos,
    candidates_of,
    fetched_rows,
    probes_of,
)
from cocon.client.collection.expressions import timely_expression
from cocon.client.collection.stored_rows import StoredRows, clip_key
from cocon.client.index.answers.searching import SnapshotSearch
from cocon.client.index.query.chosen_rows import ChosenRows
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice
from cocon.client.index.records import IndexFacts
from cocon.client.index.search.copies import Copies
from cocon.client.index.search.final_order import Answer
from cocon.client.index.search.hits import Hit
from cocon.client.index.search.means import mean_vector
from cocon.client.index.search.vector_query import VectorGroup, VectorQuery
from cocon.embedding.ranking.order import NUM_RERANKED

__all__ = ["CollectionSearch", "NotEnoughError"]

# Videos beyond those that are asked for, as some of them may be copies.
_MORE = 24
_LIMIT_PER_VIDEO, _GROWTH = 4, 4
# Queries whose candidates are fetched together.
_QUERIES = 16


class NotEnoughError(Exception):
    """Milvus gives no more candidates, and these do not decide the answers."""


@dataclass(frozen=True, slots=True)
class CollectionSearch:
    """Searches one state of an index.

    Attributes:
        stored: Its rows.
        facts: Of it.
        allowed: Ids of the videos that filters leave, rising; None for all.
    """

    stored: StoredRows
    facts: dict[str, Any]
    allowed: Sequence[int] | None

    def hits(self, queries: Sequence[Query], options: SearchOptions) -> list[list[Hit]]:
        """The hits of each query, the best first.

        Raises:
            NotEnoughError: See there.
        """
        found: list[list[Hit]] = []
        for begin in range(0, len(queries), _QUERIES):
            found += self._some(queries[begin : begin + _QUERIES], options)
        return found

    def _some(self, queries: Sequence[Query], options: SearchOptions) -> list[list[Hit]]:
        if self.allowed is not None and not len(self.allowed):
            return [[] for _ in queries]
        probes = [self._probes(query, options) for query in queries]
        count = options.offset + options.top + _MORE + (NUM_RERANKED if self._ranks_by_order(options) else 0)
        hits: dict[int, list[Hit]] = {}
        waiting = list(range(len(queries)))
        while waiting:
            chosen = [queries[number] for number in waiting]
            found = self._candidates([probes[number] for number in waiting], options, count)
            searched = self._fetched(found, options)
            enough = []
            for number, query, candidates in zip(waiting, chosen, found, strict=True):
                answers = searched.decided(query, options, candidates)
                if answers is not None:
                    hits[number] = answers
                    enough.append(number)
            waiting = [number for number in waiting if number not in enough]
            count *= _GROWTH
        return [hits[number] for number in range(len(queries))]

    def _candidates(self, probes: Sequence[NDArray[np.float32]], options: SearchOptions, count: int) -> list[NearRows]:
        """Of each query the candidates that are to be fetched: enough for so many videos, or moments."""
        of_means, by_video = options.match == "mean", options.grouping == "video"
        limit = min(count + 1 if of_means else _LIMIT_PER_VIDEO * count, self.stored.max_hits)
        timely = "" if of_means else timely_expression(options.filters)
        kept: dict[int, NearRows] = {}
        waiting = list(range(len(probes)))
        while waiting:
            found = candidates_of(
                self.stored,
                [probes[number] for number in waiting],
                of_means=of_means,
                allowed=self.allowed,
                timely=timely,
                limit=limit,
            )
            for number, candidates in zip(waiting, found, strict=True):
                chosen, is_enough = candidates, True
                if not of_means:
                    chosen, is_enough = best_videos(candidates, count, by_video=by_video)
                if is_enough:
                    kept[number] = chosen
                elif limit == self.stored.max_hits:
                    raise NotEnoughError
            waiting = [number for number in waiting if number not in kept]
            limit = min(limit * _GROWTH, self.stored.max_hits)
        if of_means and limit == self.stored.max_hits and count > limit:
            raise NotEnoughError
        return [kept[number] for number in range(len(probes))]

    def _fetched(self, found: Sequence[NearRows], options: SearchOptions) -> "_FetchedSearch":
        keys = np.unique(np.concatenate([candidates.keys for candidates in found]))
        if options.match == "mean":
            firsts = np.array([clip_key(video_id, 0) for video_id in keys.tolist()], np.int64)
            rows = fetched_rows(self.stored, self.facts, firsts, with_blocks=False, whole=keys)
        else:
            rows = fetched_rows(self.stored, self.facts, keys, with_blocks=self._ranks_by_order(options))
        return _FetchedSearch(rows, (self.facts.get("spread") or {}).get("mean_square"))

    def _ranks_by_order(self, options: SearchOptions) -> bool:
        choice = RankingChoice.of_fact(self.facts.get(RANKING_FACT))
        return options.rank == "aligned" and options.match != "mean" and choice is not None and choice.mix > 0

    def _probes(self, query: Query, options: SearchOptions) -> NDArray[np.float32]:
        vectors = [example.vectors for example in query.examples]
        if options.match == "mean":
            widths = IndexFacts.from_json(self.facts["index"]).widths
            vectors = [mean_vector(clips, widths) for clips in vectors]
        probes = probes_of(VectorQuery(tuple(map(VectorGroup, vectors, query.weights))))
        if probes is None:
            raise NotEnoughError
        return probes


class _UndecidedError(Exception):
    """Rows that were not fetched could be among the answers."""


class _FetchedSearch(SnapshotSearch):
    """Searches rows that were fetched."""

    def __init__(self, rows: FetchedRows, mean_square: float | None) -> None:
        super().__init__(rows.snapshot, lambda count: None)
        self._clips, self._bound, self._is_all = rows.clips, -np.inf, True
        videos = self._videos
        self._copies = Copies(
            rows.snapshot.vectors,
            rows.snapshot.rows,
            lambda position: videos.at([position])[0].spans,
            mean_square,
        )

    def decided(self, query: Query, options: SearchOptions, candidates: NearRows) -> list[Hit] | None:
        """The hits of a query whose candidates are among the rows; None where others could be among them."""
        self._bound, self._is_all = candidates.bound + SCORE_MARGIN, candidates.is_all
        if not self._is_all and not len(self.snapshot.rows.video_ids):
            return None
        try:
            (found,) = self.hits([query], options)
        except _UndecidedError:
            return None
        if options.match == "mean":
            return found
        return [replace(hit, clip=int(self._clips[hit.video_id][hit.clip])) for hit in found]

    def _more_than(self, count: int) -> int:
        return 2 * count  # of what was fetched, there are only some more

    def _by_cosine(
        self, queries: Sequence[Query], chosen: ChosenRows, options: SearchOptions, top: int, offset: int
    ) -> list[Answer]:
        answers = super()._by_cosine(queries, chosen, options, top, offset)
        if self._is_all:
            return answers
        for answer in answers:
            is_full = len(answer.scores) >= top and answer.scores[-1] >= self._bound
            is_over = options.min_score is not None and options.min_score >= self._bound
            if not is_full and not is_over:
                raise _UndecidedError
        return answers
