"""Adding videos to a catalogue: what need not be embedded again, and what becomes of each result."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from cocon.client.index.catalog import Catalog
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding, completed
from cocon.core.paths import why_no_file
from cocon.video.store.belonging import label_of
from cocon.video.store.dataset import content_sha256

__all__ = ["AddReport", "Addition", "Outcome", "absolute"]

OutcomeKind = Literal["added", "updated", "unchanged", "duplicate", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one video.

    Attributes:
        video: Path, as it was given.
        kind: See `AddReport`.
        failure: Why it failed; None unless it did.
    """

    video: str
    kind: OutcomeKind
    failure: FailedVideo | None = None


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `VideoIndex.add` did.

    Attributes:
        added: New videos.
        updated: Videos whose content, place, label or overlap had changed.
        unchanged: Videos that were there already.
        duplicate: Videos with the content of another one, which was kept.
        failures: Videos that could not be embedded.
    """

    added: int
    updated: int
    unchanged: int
    duplicate: int
    failures: tuple[FailedVideo, ...]


class Addition:
    """One run over videos to add.

    Args:
        catalog: Open for writing, the writer lock held.
        overlap: Of the clips that will be stored.
        folders: Of videos whose sub-folders are labels.
        on_outcome: Called when it is known what became of a video.
    """

    def __init__(
        self, catalog: Catalog, overlap: float, folders: Iterable[Path], on_outcome: Callable[[Outcome], None]
    ) -> None:
        self._catalog = catalog
        self._overlap = overlap
        self._folders = tuple(folders)
        self._on_outcome = on_outcome
        self._counts: Counter[OutcomeKind] = Counter()
        self._failures: list[FailedVideo] = []

    def outdated(self, paths: Iterable[str | PathLike[str]]) -> Iterator[str]:
        """Paths whose videos must be embedded; the others are accounted for at once."""
        for given in paths:
            path = os.fspath(given)
            try:
                # A FIFO would wait for a writer, a device may never end.
                kind = None if why_no_file(path) else self._known(path, content_sha256(Path(path)))
            except OSError:
                kind = None  # decoding it will say what is wrong
            if kind is None:
                yield path
            else:
                self._note(Outcome(path, kind))

    def store(self, result: VideoEmbedding | FailedVideo) -> None:
        """Commit one result of embedding."""
        result = completed(result)
        if isinstance(result, FailedVideo):
            self._failures.append(result)
            self._note(Outcome(result.video, "failed", result))
            return
        # Its twin may have been stored since it was looked up, and it may itself be the place another one moved from.
        kind = self._known(result.video, result.content_sha256)
        if kind is None:
            place = absolute(result.video)
            label = self._label(result.video, self._catalog.label_of(place))
            was_there = self._catalog.put(place, result, label=label, overlap=self._overlap)
            kind = "updated" if was_there else "added"
        self._note(Outcome(result.video, kind))

    def report(self) -> AddReport:
        """What has been done so far."""
        counts = self._counts
        return AddReport(
            counts["added"], counts["updated"], counts["unchanged"], counts["duplicate"], tuple(self._failures)
        )

    def _known(self, path: str, digest: str) -> OutcomeKind | None:
        """What becomes of a video whose content is in the catalogue already; None when it must be embedded."""
        holder = self._catalog.holder_of(digest)
        if holder is None:
            return None
        place = absolute(path)
        label = self._label(path, holder.label if holder.video == place else None)
        if holder.video != place and Path(holder.video).exists():
            self._catalog.remove([place])  # what it held before is gone
            return "duplicate"
        if holder.overlap != self._overlap:
            return None
        if (holder.video, holder.label) == (place, label):
            return "unchanged"
        self._catalog.move(holder.video, place, label=label)
        return "updated"

    def _label(self, path: str, before: str | None) -> str | None:
        """What a video is labelled now; what it was before where nothing tells."""
        label = label_of(Path(path), self._folders)
        return before if label is None else label or None

    def _note(self, outcome: Outcome) -> None:
        self._counts[outcome.kind] += 1
        self._on_outcome(outcome)


def absolute(path: str | PathLike[str]) -> str:
    """A video's name in an index. Links are kept: the name the user has for it is its name there."""
    return os.path.abspath(path)  # noqa: PTH100  # Path.resolve follows links
