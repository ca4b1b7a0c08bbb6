"""The hits of an index ranked again, as was chosen for it."""

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.queries import Query
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice
from cocon.client.index.search.final_order import Answer
from cocon.embedding.ranking.order import NUM_RERANKED, block_alignments, reranked

__all__ = ["OrderRanking"]


class OrderRanking:
    """Ranks what a search by cosine has found in a snapshot. Safe for several threads.

    Args:
        snapshot: Of the index.

    Attributes:
        mix: Share of order in a score; 0 where the index has no choice, or no blocks.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        choice = RankingChoice.of_fact(snapshot.fact(RANKING_FACT))
        self.mix = 0.0 if choice is None or snapshot.blocks is None else choice.mix

    def blocks_of(self, query: Query) -> NDArray[np.float32] | None:
        """The blocks that a query's hits are aligned with, `float32 [Q, N, D]`.

        None where its hits stay as they are: where order does not count in the index, for vectors without blocks, and
        for several examples at once, which have no one order.
        """
        (first, *others), blocks = query.examples, query.examples[0].blocks
        stored = self._snapshot.blocks
        if not self.mix or others or blocks is None or stored is None or blocks.shape[1:] != stored.shape[1:]:
            return None
        return blocks if len(blocks) == len(first.vectors) else None

    def ranked(self, answer: Answer, query_blocks: NDArray[np.float32]) -> Answer:
        """The first `NUM_RERANKED` answers in the order of mixed scores, then the others.

        A moment whose blocks are damaged keeps its cosine.
        """
        stored, rows = self._snapshot.blocks, answer.rows[:NUM_RERANKED]
        assert stored is not None
        alignments = block_alignments(query_blocks, answer.query_clips[: len(rows)], stored[rows])
        alignments[~self._snapshot.have_sound_blocks(rows)] = np.nan
        order, scores = reranked(answer.scores, alignments, self.mix)
        return Answer(answer.rows[order], answer.videos[order], scores, answer.query_clips[order])
