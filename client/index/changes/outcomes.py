"""What becomes of videos that are added: told when it is committed, and counted."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Literal, Self

from cocon.client.pipeline.video_embedding import FailedVideo
from cocon.core.errors import CoconError

__all__ = ["AddReport", "Outcome", "OutcomeKind", "Outcomes"]

OutcomeKind = Literal["added", "updated", "unchanged", "duplicate", "failed"]

# Changes that need no embedding are committed together: so many, or those of so long.
_MOST_TOGETHER, _LONGEST_S = 1000, 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one video.

    Attributes:
        video: Path, as it was given.
        kind: See `AddReport`.
        failure: Why it failed; None unless it did.
        failed_before: Whether it did so before, and was not tried again.
        num_clips: That were embedded.
        empty_views: See `VideoEmbedding`.
    """

    video: str
    kind: OutcomeKind
    failure: FailedVideo | None = None
    failed_before: bool = False
    num_clips: int = 0
    empty_views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `VideoIndex.add` did.

    Attributes:
        added: New videos.
        updated: Videos whose content, place, label or overlap had changed.
        unchanged: Videos that were there already.
        duplicate: New places of a content that is at another one too.
        failures: Videos that could not be embedded.
        num_failed_before: So many of them failed before, and were not tried again.
    """

    added: int
    updated: int
    unchanged: int
    duplicate: int
    failures: tuple[FailedVideo, ...]
    num_failed_before: int = 0


class Outcomes:
    """The outcomes of one run, whose changes are committed in batches; a context manager, which commits the last.

    Args:
        transaction: Makes one.
        on_outcome: Called when what became of a video is committed.
    """

    def __init__(
        self, transaction: Callable[[], AbstractContextManager[None]], on_outcome: Callable[[Outcome], None]
    ) -> None:
        self._transaction = transaction
        self._on_outcome = on_outcome
        self._batch: ExitStack | None = None
        self._begin_s = 0.0
        self._waiting: list[Outcome] = []
        self._told: list[Outcome] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CoconError | sqlite3.Error):  # the changes themselves may have failed
            batch, self._batch = self._batch, None
            if batch is not None:
                batch.__exit__(kind, error, None)
        else:
            self.commit()

    def changing(self) -> AbstractContextManager[None]:
        """A transaction within the batch: all of its changes are made, or none."""
        if self._batch is None:
            with ExitStack() as opened:
                opened.enter_context(self._transaction())
                self._batch, self._begin_s = opened.pop_all(), time.monotonic()
        return self._transaction()

    def note(self, outcome: Outcome) -> None:
        """It is told as soon as the changes before it are committed."""
        self._waiting.append(outcome)
        is_long = time.monotonic() - self._begin_s > _LONGEST_S
        if self._batch is None or is_long or len(self._waiting) >= _MOST_TOGETHER:
            self.commit()

    def commit(self) -> None:
        """Commit the batch, and tell its outcomes."""
        batch, self._batch = self._batch, None
        if batch is not None:
            batch.close()
        waiting, self._waiting = self._waiting, []
        for outcome in waiting:
            self._told.append(outcome)
            self._on_outcome(outcome)

    def report(self) -> AddReport:
        """What has been done so far."""
        counts = Counter(outcome.kind for outcome in self._told)
        failures = tuple(outcome.failure for outcome in self._told if outcome.failure is not None)
        done = counts["added"], counts["updated"], counts["unchanged"], counts["duplicate"]
        return AddReport(*done, failures, sum(outcome.failed_before for outcome in self._told))
