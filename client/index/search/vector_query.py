"""What is asked: groups of vectors with weights, and many such queries as one batch.

score(row) = Σ_g weight_g · max_j ⟨query_gj, row⟩. One group of weight 1 is the usual query: a moment scores by the most
similar clip of the query. Examples of what is not wanted are groups of negative weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["QueryBatch", "VectorGroup", "VectorQuery"]

# Of float32, half the distance from 1 to the next number.
_UNIT_ROUNDOFF = 2.0**-24
# Float64 products held at once when scores are computed again.
_MAX_PRODUCTS = 1 << 18


def _no_videos() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class VectorGroup:
    """Vectors of which the most similar one counts.

    Attributes:
        vectors: Of unit length, `float32 [J, D]`, J ≥ 1.
        weight: Negative for what is not wanted.
    """

    vectors: NDArray[np.float32]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class VectorQuery:
    """One query.

    Attributes:
        groups: At least one.
        excluded: Videos that are no answers to this query, as positions in the row table: `int64 [E]`.
    """

    groups: tuple[VectorGroup, ...]
    excluded: NDArray[np.int64] = field(default_factory=_no_videos)

    @classmethod
    def of(cls, vectors: NDArray[np.float32], excluded: NDArray[np.int64] | None = None) -> Self:
        """The usual query of clips `float32 [J, D]`."""
        return cls((VectorGroup(vectors),), _no_videos() if excluded is None else excluded)

    @property
    def probes(self) -> NDArray[np.float32] | None:
        """Vectors near which every good answer lies, `float32 [P, D]`; None where none are known.

        Those of a query of one group are its own. If each group is of one vector, the score is a product with one
        vector.
        """
        if len(self.groups) == 1 and self.groups[0].weight > 0:
            return self.groups[0].vectors
        if any(len(group.vectors) > 1 for group in self.groups):
            return None
        return np.sum([np.float32(group.weight) * group.vectors for group in self.groups], axis=0, dtype=np.float32)


class QueryBatch:
    """Queries whose vectors are compared with rows at once.

    Args:
        queries: At least one, all of dimension D.

    Attributes:
        vectors: Of all queries, one after another: `float32 [M, D]`.
        limits: No score is further from 0: `float32 [Q]`.
        margins: By how much the float32 score of a row may lag behind one that it equals to six decimals:
            `float32 [Q]`. It is a bound, not an estimate: whoever is not further behind is scored again in float64.
    """

    def __init__(self, queries: Sequence[VectorQuery]) -> None:
        self.queries = queries
        groups = [group for query in queries for group in query.groups]
        self.vectors = (
            groups[0].vectors if len(groups) == 1 else np.concatenate([group.vectors for group in groups])
        )  # [M, D]
        self.is_plain = len(groups) == len(queries) == len(self.vectors) and all(group.weight == 1 for group in groups)
        # Vectors are near unit length.
        limits = np.array([1.01 * sum(abs(group.weight) for group in query.groups) for query in queries])
        self.limits = (limits + 1e-6).astype(np.float32)
        self.margins = (2 * (self.vectors.shape[1] + 8) * _UNIT_ROUNDOFF * limits + 1e-6).astype(np.float32)

    def __len__(self) -> int:
        return len(self.queries)

    def of(self, numbers: NDArray[np.int64]) -> "QueryBatch":
        """Some of the queries."""
        return self if len(numbers) == len(self.queries) else QueryBatch([self.queries[n] for n in numbers.tolist()])

    def combined(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores `float32 [Q, n]` of the products `float32 [M, n]` of the batch's vectors with n rows."""
        if self.is_plain:
            return products
        scores = np.zeros((len(self.queries), products.shape[1]), np.float32)
        begin = 0
        for query, total in zip(self.queries, scores, strict=True):
            for group in query.groups:
                part = products[begin : begin + len(group.vectors)]
                begin += len(group.vectors)
                best = part[0] if len(part) == 1 else part.max(axis=0)
                total += best if group.weight == 1 else np.float32(group.weight) * best
        return scores

    def pair_scores(
        self, numbers: NDArray[np.int64], rows: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Scores of pairs of a query and a row: `float32 [n]`; arguments like those of `exact_scores`."""
        if self.is_plain:
            return np.einsum("ij,ij->i", vectors[rows], self.vectors[numbers])
        scores = np.empty(len(rows), np.float32)
        bounds = np.searchsorted(numbers, np.arange(len(self.queries) + 1)).tolist()
        for query, (begin, end) in zip(self.queries, pairwise(bounds), strict=True):
            one = QueryBatch([query])
            scores[begin:end] = one.combined(one.vectors @ vectors[rows[begin:end]].T)[0]
        return scores

    def exact_scores(
        self, numbers: NDArray[np.int64], rows: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Scores in float64 to six decimals, the same on every machine, and which clip of the query matched.

        Args:
            numbers: Of the query of each pair, rising: `int64 [n]`.
            rows: Of each pair, `int64 [n]`.
            vectors: Of all rows, `float32 [R, D]`.

        Returns:
            `float64 [n]`; and `int64 [n]`, which counts through all vectors of the query: the most similar one of
            the group that adds most.
        """
        scores, clips = np.empty(len(rows)), np.zeros(len(rows), np.int64)
        if self.is_plain:
            step = max(1, _MAX_PRODUCTS // vectors.shape[1])
            for begin in range(0, len(rows), step):
                part = slice(begin, begin + step)
                scores[part] = (vectors[rows[part]].astype(np.float64) * self.vectors[numbers[part]]).sum(axis=1)
        else:
            bounds = np.searchsorted(numbers, np.arange(len(self.queries) + 1)).tolist()
            for query, (begin, end) in zip(self.queries, pairwise(bounds), strict=True):
                scores[begin:end], clips[begin:end] = _exact(query, rows[begin:end], vectors)
        return np.round(scores, 6) + 0.0, clips  # + 0: no negative zero


def _exact(
    query: VectorQuery, rows: NDArray[np.int64], vectors: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    asked = np.concatenate([group.vectors for group in query.groups])  # [M, D]
    begins = np.cumsum([0, *(len(group.vectors) for group in query.groups)])
    scores, clips = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    step = max(1, _MAX_PRODUCTS // asked.size)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        stored = vectors[rows[part]].astype(np.float64)  # [n, D]
        most = np.full(len(stored), -np.inf)
        for group, begin in zip(query.groups, begins.tolist(), strict=False):
            # A sum in a fixed order; a matrix product has another on every machine.
            cosines = (stored[:, None] * group.vectors).sum(axis=2)  # [n, J]
            # Clips that agree to six decimals are equal, and the first of them is told.
            first = np.round(cosines, 6).argmax(axis=1)
            added = group.weight * cosines.max(axis=1)
            scores[part] += added
            is_more = np.round(added, 6) > np.round(most, 6)
            clips[part][is_more] = begin + first[is_more]
            most = np.where(is_more, added, most)
    return scores, clips
