"""The labelled videos of an index, asked what a query shows."""

import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.vote.choosing import MAX_NEIGHBOURS, choose_rule
from cocon.client.index.vote.labels import label_counts, labelled_rows
from cocon.client.index.vote.left_out import nearest_videos
from cocon.client.index.vote.rule import RULE_FACT, VoteRule
from cocon.client.index.vote.similarity import video_similarities
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["Voters"]

_logger = logging.getLogger(__name__)


class Voters:
    """The labelled videos of one state of an index. Safe for several threads.

    Args:
        snapshot: That state.

    Attributes:
        snapshot: It.
        classes: Their labels, in alphabetical order, K of them.

    Raises:
        UsageError: No video has a label.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._rows, self._labels = labelled_rows(snapshot)
        self.classes = tuple(sorted({label for label in self._labels if label}))
        if not self.classes:
            raise UsageError(
                f"index '{printable(snapshot.folder)}' has no labelled videos to name actions by; give some: "
                "client index label VIDEO... LABEL; 'client index suggest' says which"
            )
        if num_unsound := len(snapshot.unsound):
            _logger.warning(
                "index '%s': damaged clips: %d; their videos have no vote, see 'client index verify'",
                snapshot.folder,
                num_unsound,
            )
        code_of = {label: code for code, label in enumerate(self.classes)}
        self._positions = np.array([place for place, label in enumerate(self._labels) if label])
        self._codes = np.array([code_of[label] for label in self._labels if label])

    @property
    def views(self) -> tuple[str, ...]:
        """Views that are fused in the index."""
        return self.snapshot.facts.views

    @cached_property
    def rule(self) -> VoteRule:
        """How they vote: as it was chosen when the index was written, or chosen now where that fits no more."""
        kept = VoteRule.of_fact(self.snapshot.fact(RULE_FACT))
        if kept is not None and kept.fits(label_counts(self.snapshot)):
            return kept
        return choose_rule(self.snapshot.vectors, self._rows, self._labels)

    def shares(
        self,
        queries: NDArray[np.float32],
        num_clips: NDArray[np.int64],
        contents: Sequence[str],
        *,
        has_copies: bool = False,
    ) -> NDArray[np.float64]:
        """What the videos say of n queries. A video with the content of the query has no vote, nor has a copy of it.

        Args:
            queries: Clips, unit length, query by query, `float32 [Q, D]`.
            num_clips: Of each query, at least 1, `int64 [n]`.
            contents: sha256 of each query's file.
            has_copies: Whether copies have a vote, as where a query is a moment: one is no copy because it is alike.

        Returns:
            Shares of the classes and, last, of what is of none, `float64 [n, K + 1]`; all of it where nobody votes.
        """
        snapshot = self.snapshot
        similarities = video_similarities(queries, num_clips, snapshot.vectors, self._rows, self._positions)
        for row, content in zip(similarities, contents, strict=True):
            row[self._has_content(content)] = -np.inf
        cosines, nearest = nearest_videos(similarities, MAX_NEIGHBOURS, has_copies=has_copies)
        return self.rule.shares(cosines, self._codes[nearest], len(self.classes))

    def _has_content(self, content: str) -> NDArray[np.bool_]:
        """Which labelled videos have this content."""
        found = self.snapshot.select("SELECT video_id FROM videos WHERE content_sha256 = ?", [content])
        return np.isin(self._rows.video_ids[self._positions], np.array(found, np.int64).reshape(-1))
