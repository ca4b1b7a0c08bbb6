"""The first hits of a search ranked again by order: what a moment shows first, then and last.

    alignments = block_alignments(query_blocks, answer.query_clips, blocks[answer.rows])
    order, scores = reranked(answer.scores, alignments, mix=0.5)

A clip's vector is the mean of its blocks', and the same phases in another order have the same mean. So the blocks of
the query's clip that matched are aligned with those of the hit (`embedding.alignment`), and the score becomes
`(1 - mix) · cosine + mix · alignment`.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.alignment import alignment_scores

__all__ = ["NUM_RERANKED", "Rank", "block_alignments", "check_rank", "mixed_scores", "reranked"]

Rank = Literal["cosine", "aligned"]

# Of the hits, the best by cosine; those after them stay as they are.
NUM_RERANKED = 200
_DECIMALS = 6


def check_rank(rank: str) -> None:
    """Raise `UsageError` unless it is a `Rank`."""
    if rank not in get_args(Rank):
        raise UsageError(f"rank ('{printable(rank)}') must be one of {', '.join(get_args(Rank))}")


def reranked(
    cosines: NDArray[np.float64], alignments: NDArray[np.float64], mix: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rank the first hits of a query by cosine and order; the others follow as they came.

    Of equal scores, what came first stays first.

    Args:
        cosines: Of the hits, the best first: `float64 [n]`.
        alignments: Of the first of them, at most `NUM_RERANKED`, `float64 [m]`; not finite where they are not known.
        mix: From 0, cosine alone, to 1, order alone.

    Returns:
        Positions of the hits in their new order, `int64 [n]`; and scores in that order, `float64 [n]`: mixed ones of
        those ranked again, then cosines, which may be higher.
    """
    count = len(alignments)
    scores = np.concatenate([mixed_scores(cosines[:count], alignments, mix), cosines[count:]])
    order = np.arange(len(scores))
    order[:count] = np.argsort(-scores[:count], kind="stable")
    return order, scores[order]


def block_alignments(
    query_blocks: NDArray[np.float32], query_clips: NDArray[np.int64], blocks: NDArray[np.float16]
) -> NDArray[np.float64]:
    """How well the query's clips align with moments: mean cosine of blocks along the best path, -1 to 1.

    Blocks in float16 move it by less than 2⁻¹¹ (0.0005), and by about 0.00001 as a rule: more than enough to rank by.

    Args:
        query_blocks: Unit length, `float32 [Q, N, D]`.
        query_clips: Which of these each moment is aligned with, `int64 [C]`.
        blocks: Of the moments, `float16 [C, N, D]`.

    Returns:
        `float64 [C]`.
    """
    count, num_blocks, dim = blocks.shape
    alignments = np.empty(count)
    for clip in np.unique(query_clips):
        own = query_clips == clip
        # In float64: a sum in float32 differs from machine to machine within six decimals.
        precise = blocks[own].reshape(-1, dim).astype(np.float64)
        cosines = precise @ query_blocks[clip].astype(np.float64).T  # [c·N, N]
        alignments[own] = alignment_scores(cosines.reshape(-1, num_blocks, num_blocks).swapaxes(1, 2))
    return alignments


def mixed_scores(cosines: NDArray[np.float64], alignments: NDArray[np.float64], mix: float) -> NDArray[np.float64]:
    """`(1 - mix) · cosine + mix · alignment` to six decimals, -1 to 1: `float64`, in the shape of both.

    What has no finite alignment keeps its cosine.
    """
    mixed = np.where(np.isfinite(alignments), (1.0 - mix) * cosines + mix * alignments, cosines)
    return np.clip(np.round(mixed, _DECIMALS), -1.0, 1.0) + 0.0  # + 0: no negative zero
