"""Adding videos to an index: what need not be embedded again, and what becomes of each result."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

from cocon.client.fetching.urls import is_remote
from cocon.client.index.catalogue.moments import MOMENTS_KEY
from cocon.client.index.catalogue.places import Content, Place, Values
from cocon.client.index.changes.contents import Contents
from cocon.client.index.changes.failed_files import FailedFiles
from cocon.client.index.changes.missing_files import is_surely_gone
from cocon.client.index.changes.observation import Elsewhere, Observation, SeenFile, absolute
from cocon.client.index.changes.outcomes import Outcome, OutcomeKind, Outcomes
from cocon.client.index.query.conditions import plain_text, value_of
from cocon.client.index.records import FailedFile
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding, completed, unreadable
from cocon.core.errors import VideoError
from cocon.core.texts.normal_forms import existing_form
from cocon.video.store.belonging import columns_of, label_of

__all__ = ["Addition"]


class Addition:
    """One run over videos to add.

    Args:
        contents: Of the index, open for writing.
        failed: What failed before.
        outcomes: Are told what becomes of the videos.
        overlap: Of the clips that will be stored.
        folders: Of videos whose sub-folders are labels.
        retry_failed: Try again what failed before.
        elsewhere: Where URLs are looked up; None if they are not.
    """

    def __init__(
        self,
        contents: Contents,
        failed: FailedFiles,
        outcomes: Outcomes,
        *,
        overlap: float,
        folders: Iterable[Path] = (),
        retry_failed: bool = False,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._contents = contents
        self._failed = failed
        self._outcomes = outcomes
        self._overlap = overlap
        self._folders = tuple(folders)
        self._retry_failed = retry_failed
        self._disk = Observation(contents, elsewhere)
        self._asked: deque[SeenFile] = deque()
        self._asked_for: dict[str, list[SeenFile]] = {}
        self._postponed: list[str] = []
        self._wait_for_twins = True
        self._moved: set[str] = set()
        self._checked: set[int] = set()

    def outdated(self, paths: Iterable[str | PathLike[str]]) -> Iterator[Iterator[str]]:
        """Paths whose videos must be embedded, in the order in which `store` is to have the results; in two parts.

        The others are accounted for at once. Copies of a video wait until that is stored; those of one that fails are
        the second part.
        """
        yield self._outdated(paths)
        self._wait_for_twins = False
        yield self._outdated(self._postponed)

    def _outdated(self, paths: Iterable[str | PathLike[str]]) -> Iterator[str]:
        for given in paths:
            seen = self._look(existing_form(os.fspath(given)))
            if isinstance(seen, FailedVideo):
                self._fail(seen, None)
            elif (kind := self._known(seen)) is not None:
                self._outcomes.note(Outcome(seen.path, kind))
            elif not self._has_failed_before(seen) and not self._waits_for_its_twin(seen):
                self._outcomes.commit()
                self._asked.append(seen)
                yield seen.path
        self._outcomes.commit()

    def store(self, result: VideoEmbedding | FailedVideo) -> None:
        """Commit one result of embedding."""
        seen, result = self._asked.popleft(), completed(result)
        twins = self._asked_for.pop(seen.content.sha256, [])
        if isinstance(result, FailedVideo):
            self._fail(result, seen)
        else:
            if result.content_sha256 != seen.content.sha256:  # it has changed since it was looked at
                seen = replace(seen, content=replace(seen.content, sha256=result.content_sha256, is_settled=False))
            # Its twin may have been stored since, and it may itself be the place another one moved from.
            became = self._known(seen) or self._put(seen, result)
            self._outcomes.note(Outcome(seen.path, became, num_clips=len(result), empty_views=result.empty_views))
        for twin in twins:
            if (kind := self._known(twin)) is not None:
                self._outcomes.note(Outcome(twin.path, kind))
            else:
                self._postponed.append(twin.path)
        self._outcomes.commit()

    def _waits_for_its_twin(self, seen: SeenFile) -> bool:
        """Whether the same content is being embedded already."""
        if self._wait_for_twins and seen.content.sha256 in self._asked_for:
            self._asked_for[seen.content.sha256].append(seen)
            return True
        self._asked_for[seen.content.sha256] = []
        return False

    def _look(self, path: str) -> SeenFile | FailedVideo:
        # A FIFO would wait for a writer, a device may never end.
        if not self._disk.is_fetched(path) and (problem := unreadable(path)) is not None:
            return FailedVideo(path, problem)
        try:
            seen = self._disk.of(path)
            self._contents.check_known(seen.place, *self._said(seen.place))
        except (VideoError, OSError) as error:
            return FailedVideo(path, error)
        return seen

    def _known(self, seen: SeenFile) -> OutcomeKind | None:
        """What becomes of a video whose content is in the index already; None when it must be embedded."""
        found, held = self._contents.with_content(seen.content.sha256), self._contents.at(seen.place)
        if found is None or found.overlap != self._overlap:
            return None
        if held is None or held.video_id != found.video_id:
            return self._move(seen)
        return self._keep(seen, found, held)

    def _keep(self, seen: SeenFile, found: Content, held: Place) -> OutcomeKind:
        """What becomes of a video that is where it was."""
        gone = []
        if found.video_id not in self._checked:  # once for all of its copies
            self._checked.add(found.video_id)
            gone = [other for other in found.places if other != seen.place and is_surely_gone(other)]
        (label, values), lasting = self._said(seen.place), seen.content.lasting
        is_changed = bool(gone) or held.known.after(label, values) != held.known
        is_failed = self._failed.is_known(seen.place)
        if is_changed or is_failed or (lasting is not None and held.stamp != lasting):
            with self._outcomes.changing():
                self._contents.move(held.video_id, seen.place, label=label, values=values, stamp=lasting)
                self._contents.forget(gone)
                self._failed.forget([seen.place])
        was_moved = seen.place in self._moved
        self._moved.discard(seen.place)
        return "updated" if is_changed or was_moved else "unchanged"

    def _move(self, seen: SeenFile) -> OutcomeKind:
        """Note that a place has a known content; and likewise of the places where this content was, in turn.

        Where files swap names, each place has what another one had.
        """
        kind: OutcomeKind | None = None
        waiting = deque([(seen.place, seen.content)])
        with self._outcomes.changing():
            while waiting:
                place, content = waiting.popleft()
                found = self._contents.with_content(content.sha256)
                if found is None:
                    continue  # it is to be embedded when it is named
                others = {
                    other: self._disk.elsewhere(other, content.sha256) for other in found.places if other != place
                }
                vacated = {other: now for other, now in others.items() if now != "the same"}
                (label, values), stamp = self._said(place), content.lasting
                self._contents.move(found.video_id, place, label=label, values=values, stamp=stamp, vacated=vacated)
                self._failed.forget([place, *vacated])
                waiting += [(other, now) for other, now in vacated.items() if now != "nothing"]
                if kind is None:
                    kind = "duplicate" if len(vacated) < len(others) else "updated"
                else:
                    self._moved.add(place)
        assert kind is not None
        return kind

    def _put(self, seen: SeenFile, video: VideoEmbedding) -> OutcomeKind:
        (label, values), stamp = self._said(seen.place), seen.content.lasting
        with self._outcomes.changing():
            is_new = self._contents.put(
                seen.place, video, overlap=self._overlap, label=label, values=values, stamp=stamp
            )
            self._move(seen)
        return "added" if is_new else "updated"

    def _has_failed_before(self, seen: SeenFile) -> bool:
        """Whether the same would be tried again, and in vain; then it is accounted for."""
        before = self._failed.of(seen.place)
        sha256 = seen.content.sha256
        if self._retry_failed or before is None or not before.is_lasting or before.content_sha256 != sha256:
            return False
        failure = FailedVideo.told(seen.path, before.kind, before.message)
        self._outcomes.note(Outcome(seen.path, "failed", failure, failed_before=True))
        return True

    def _fail(self, failure: FailedVideo, seen: SeenFile | None) -> None:
        """Remember a failure; a file that is another one than before has lost its old moments."""
        place = absolute(failure.video)
        sha256 = seen.content.sha256 if seen else None
        held = self._contents.at(place)
        lost = held if held is not None and sha256 is not None and held.content_sha256 != sha256 else None
        failed = FailedFile(place, sha256, type(failure.error).__name__, failure.message)
        is_there = os.path.lexists(place) or (seen is not None and is_remote(place))
        is_news = is_there and failed != self._failed.of(place)  # False for any text
        if lost is not None or is_news:
            with self._outcomes.changing():
                self._failed.note(failed, lost.known if lost is not None else None)
                self._contents.vacate([place] if lost is not None else [])
        self._outcomes.note(Outcome(failure.video, "failed", failure))

    def _said(self, place: str) -> tuple[str | None, Values]:
        """What a video is labelled now, empty for not at all, None where nothing tells; and a manifest's columns."""
        if is_remote(place):
            return None, {}
        path = Path(place)
        columns = {plain_text(name): value_of(text) for name, text in columns_of(path).items() if name != MOMENTS_KEY}
        return label_of(path, self._folders), columns
