"""What a search must find, by the plainest means."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.vector_query import VectorQuery

DIM = 8


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def table_of(counts: Sequence[int] | NDArray[np.int64], *, gaps: Sequence[int] = ()) -> RowTable:
    """Videos of so many rows, with so many dead rows before each; as many again at the end."""
    counts = np.asarray(counts, np.int64)
    between = np.zeros(len(counts), np.int64)
    between[: len(gaps)] = gaps
    ends = np.cumsum(counts + between)
    total = int(ends[-1]) + int(between.sum()) if len(counts) else 3
    return RowTable(np.arange(len(counts)) * 2 + 5, ends - counts, counts, total)


def clustered(rng: np.random.Generator, table: RowTable, *, dim: int = DIM, spread: float = 0.1) -> NDArray[np.float32]:
    """As the product makes them: the clips of a video are like each other, and videos of one action too."""
    actions = rng.normal(size=(12, dim))
    videos = actions[rng.integers(0, 12, len(table.video_ids))] + 0.5 * rng.normal(size=(len(table.video_ids), dim))
    vectors = rng.normal(size=(table.total_rows, dim))
    owner = table.videos_of(np.arange(table.total_rows))
    vectors[owner >= 0] = videos[owner[owner >= 0]] + spread * vectors[owner >= 0]
    return unit(vectors)


def expected(
    vectors: NDArray[np.float32],
    table: RowTable,
    query: VectorQuery,
    *,
    by_video: bool,
    usable: NDArray[np.bool_] | None = None,
    min_score: float | None = None,
) -> list[tuple[int, float]]:
    """All answers, (row, score), the best first; equal ones by row."""
    stored = vectors.astype(np.float64)
    score = sum(group.weight * (stored[:, None] * group.vectors).sum(axis=2).max(axis=1) for group in query.groups)
    score = np.round(np.asarray(score), 6)
    owner = table.videos_of(np.arange(table.total_rows))
    seen, answers = set(), []
    for row in np.lexsort((np.arange(len(score)), -score)).tolist():
        if owner[row] < 0 or owner[row] in query.excluded or (usable is not None and not usable[row]):
            continue
        if (by_video and owner[row] in seen) or (min_score is not None and score[row] < min_score):
            continue
        seen.add(owner[row])
        answers.append((row, float(score[row])))
    return answers
