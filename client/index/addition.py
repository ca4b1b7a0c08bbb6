"""Adding videos to a catalogue: what need not be embedded again, and what becomes of each result."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from cocon.client.index.files.contents import Contents, Place
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
        duplicate: New places of a content that is at another one too.
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
        contents: Of the index, open for writing.
        overlap: Of the clips that will be stored.
        folders: Of videos whose sub-folders are labels.
        on_outcome: Called when it is known what became of a video.
    """

    def __init__(
        self, contents: Contents, overlap: float, folders: Iterable[Path], on_outcome: Callable[[Outcome], None]
    ) -> None:
        self._contents = contents
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
            held = self._contents.at(place)
            is_new = self._contents.put(place, result, label=self._label(result.video, held), overlap=self._overlap)
            kind = "added" if is_new else "updated"
        self._note(Outcome(result.video, kind))

    def report(self) -> AddReport:
        """What has been done so far."""
        counts = self._counts
        return AddReport(
            counts["added"], counts["updated"], counts["unchanged"], counts["duplicate"], tuple(self._failures)
        )

    def _known(self, path: str, digest: str) -> OutcomeKind | None:
        """What becomes of a video whose content is in the index already; None when it must be embedded."""
        found = self._contents.with_content(digest)
        if found is None or found.overlap != self._overlap:
            return None
        place = absolute(path)
        held = self._contents.at(place)
        label = self._label(path, held)
        is_new = held is None or held.video_id != found.video_id
        others = [other for other in found.places if other != place]
        vacated = [other for other in others if not (_holds(other, digest) if is_new else Path(other).exists())]
        if not is_new and not vacated and held is not None and held.label == label:
            return "unchanged"
        self._contents.move(found.video_id, place, label=label, vacated=vacated)
        return "duplicate" if is_new and len(vacated) < len(others) else "updated"

    def _label(self, path: str, held: Place | None) -> str | None:
        """What a video is labelled now; what its place was labelled before where nothing tells."""
        label = label_of(Path(path), self._folders)
        return (held.label if held else None) if label is None else label or None

    def _note(self, outcome: Outcome) -> None:
        self._counts[outcome.kind] += 1
        self._on_outcome(outcome)


def absolute(path: str | PathLike[str]) -> str:
    """A video's name in an index. Links are kept: the name the user has for it is its name there."""
    return os.path.abspath(path)  # noqa: PTH100  # Path.resolve follows links


def _holds(place: str, digest: str) -> bool:
    """Whether a file is there with this content."""
    try:
        return not why_no_file(place) and content_sha256(Path(place)) == digest
    except OSError:
        return False
