"""Hits ranked again: by the definition, the first ones only, and by the clip of the query that matched."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.embedding.alignment import best_monotone_path, block_similarities, double_centred, path_score
from cocon.embedding.neighbours import unit_vectors
from cocon.embedding.ranking.order import (
    block_alignments,
    check_rank,
    mixed_scores,
    reranked,
)

Floats = NDArray[np.float32]
MIXES = (0.0, 0.3, 1.0)


def _blocks(count: int, *, num_blocks: int = 6, dim: int = 24, seed: int = 0) -> Floats:
    return unit_vectors(np.random.default_rng(seed).standard_normal((count, num_blocks, dim)).astype(np.float32))


def _hits(query: Floats, stored: Floats) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Scores, rows and query clips of a search by cosine for all of the stored clips."""
    cosines = unit_vectors(query.mean(axis=1)) @ unit_vectors(stored.mean(axis=1)).T  # [Q, R]
    best = np.round(cosines.max(axis=0).astype(np.float64), 6)
    rows = np.argsort(-best, kind="stable")
    return best[rows], rows, cosines.argmax(axis=0)[rows]


def _aligned(query: Floats, stored: Floats) -> float:
    similarities = block_similarities(query, stored)
    return path_score(similarities, best_monotone_path(double_centred(similarities)))


@pytest.mark.parametrize("mix", MIXES)
def test_scores_are_the_mixture_written_out_of_the_query_clip_that_matched(mix: float) -> None:
    query, stored = _blocks(3), _blocks(50, seed=1)
    scores, rows, query_clips = _hits(query, stored)
    assert set(query_clips.tolist()) == {0, 1, 2}
    alignments = block_alignments(query, query_clips, stored[rows].astype(np.float16))
    order, found = reranked(scores, alignments, mix)
    aligned = [_aligned(query[clip], stored[row]) for clip, row in zip(query_clips, rows, strict=True)]
    expected = (1 - mix) * scores + mix * np.array(aligned)
    assert found == pytest.approx(expected[order], abs=1e-4)
    assert sorted(order.tolist()) == list(range(50))
    assert (np.diff(found) <= 0).all()
    assert (found == np.round(found, 6)).all()


def test_half_precision_moves_a_score_by_no_more_than_is_said() -> None:
    query, stored = _blocks(1, num_blocks=8, dim=256), _blocks(400, num_blocks=8, dim=256, seed=1)
    stored[:50] = query[0] + 0.1 * stored[:50]  # near, as good hits are
    stored = unit_vectors(stored)
    clips = np.zeros(400, np.int64)
    exact = np.array([_aligned(query[0], row) for row in stored])
    error = np.abs(block_alignments(query, clips, stored.astype(np.float16)) - exact)
    assert 0 < error.max() < 2.0**-11
    assert np.median(error) < 1e-4


def test_the_same_phases_in_another_order_are_told_apart_by_order_alone() -> None:
    phases = _blocks(1)[0]
    stored = np.stack([phases[::-1], phases]).astype(np.float16)
    alignments = block_alignments(phases[None], np.zeros(2, np.int64), stored)
    for mix in (0.1, 1.0):
        order, found = reranked(np.ones(2), alignments, mix)
        assert order.tolist() == [1, 0]
        assert 1 - 1e-4 < found[0] <= 1
    order, found = reranked(np.ones(2), alignments, 0.0)
    assert (order.tolist(), found.tolist()) == ([0, 1], [1, 1])  # what came first stays first


def test_the_hits_after_those_ranked_again_follow_as_they_came() -> None:
    cosines = np.array([0.9, 0.8, 0.7, 0.65, 0.6])
    order, scores = reranked(cosines, np.array([0.1, 0.2, 0.6]), 1.0)
    assert order.tolist() == [2, 1, 0, 3, 4]
    assert scores.tolist() == [0.6, 0.2, 0.1, 0.65, 0.6]


def test_what_has_no_alignment_keeps_its_cosine() -> None:
    order, scores = reranked(np.array([0.9, 0.8, 0.7]), np.array([0.1, np.nan, 0.95]), 1.0)
    assert (order.tolist(), scores.tolist()) == ([2, 1, 0], [0.95, 0.8, 0.1])


def test_no_hits_are_none() -> None:
    alignments = block_alignments(_blocks(1), np.zeros(0, np.int64), _blocks(5)[:0].astype(np.float16))
    order, scores = reranked(np.zeros(0), alignments, 0.5)
    assert (order.shape, scores.shape) == ((0,), (0,))


def test_mixed_scores_stay_cosines() -> None:
    found = mixed_scores(np.array([1.0, -1.0, -0.2]), np.array([1.0004, -1.0004, 0.2]), 0.5)
    assert found.tolist() == [1.0, -1.0, 0.0]
    assert not np.signbit(found[2])


@pytest.mark.parametrize("rank", ["", "Aligned", "align", "cosine ", "a\nb"])
def test_another_rank_is_refused(rank: str) -> None:
    with pytest.raises(UsageError, match=r"^rank \('.*'\) must be one of cosine, aligned$"):
        check_rank(rank)
    check_rank("cosine")
    check_rank("aligned")
