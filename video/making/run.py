"""Makes the views of a dataset folder and stores them beside its videos.

    made = make_views(DatasetFolder.open(Path("videos")), Recipe(), on_failure=print)
    made.num_made, made.num_there, len(made.failures)

One decoding pass per video makes all its views. Each file appears whole or not at all; what is there already, from the
same content and by the same recipe, is not made again. Neither are failures tried again that are remembered,
unless a busy machine may have caused them.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cocon.core.errors import CoconError, StorageError, UnreadableVideoError
from cocon.core.folder_lock import folder_lock
from cocon.core.paths import check_file
from cocon.core.printable import in_one_line, printable
from cocon.core.progress import OnProgress
from cocon.video.estimation.identity import MADE_BY
from cocon.video.estimation.people import require_people
from cocon.video.making.failures import Failure, FailureMemory
from cocon.video.making.job import Order
from cocon.video.making.recipe import Recipe, is_current
from cocon.video.making.storing import UnwritableFolderError, make_and_store, writing
from cocon.video.own_views.source import OwnSource
from cocon.video.store.dataset import DatasetFolder, VideoEntry, content_sha256
from cocon.video.store.files import stored_attributes
from cocon.video.store.stored_view import FRAMES_WITH_PERSON, Attributes
from cocon.video.workers.pool import WorkerPool
from cocon.video.workers.side_by_side import side_by_side

__all__ = ["MadeViews", "VideoOutcome", "make_views"]

VideoOutcomeKind = Literal["made", "there", "failed", "failed before"]


@dataclass(frozen=True, slots=True)
class VideoOutcome:
    """What became of one video.

    Attributes:
        kind: `made` if at least one of its views was, `there` if all were.
        failure: why it failed, now or before; None if it did not.
        lost: why some of its pictures are missing from its views; empty if none is known to be.
        is_nobody_found: whether people were looked for and in no frame found.
    """

    kind: VideoOutcomeKind
    failure: Failure | None = None
    lost: str = ""
    is_nobody_found: bool = False


@dataclass(frozen=True, slots=True)
class MadeViews:
    """What became of a dataset folder; numbers of videos.

    Attributes:
        num_made: at least one view of them was made.
        num_there: all their views were there.
        num_failed: failed now.
        num_failed_before: failed before, and were not tried again.
        num_truncated: with views of those pictures only that decode.
        nobody_found: those in which people were looked for and in no frame found, by their paths in the folder.
    """

    num_made: int
    num_there: int
    num_failed: int
    num_failed_before: int
    num_truncated: int
    nobody_found: tuple[str, ...]


def make_views(
    dataset: DatasetFolder,
    recipe: Recipe,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    num_workers: int | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    on_progress: OnProgress | None = None,
) -> MadeViews:
    """Make and store the views of every video, in worker processes.

    Args:
        dataset: the folder.
        recipe: what to make.
        overwrite: also what is there, and what failed before.
        retry_failed: also what failed before.
        num_workers: videos at a time; one per core unless given.
        on_failure: called when a video has failed.
        on_progress: called with (number of videos done, total).

    Raises:
        UsageError: people are to be estimated and cannot be here, another process makes views in this folder, or it
            cannot be written.
        StorageError: the disk takes no more; what is made is kept.
    """
    if recipe.needs_estimator:
        require_people()
    dataset = dataset.of_whole_videos()
    views = dataset.root / "views"
    with ExitStack() as held:
        with writing(views):
            views.mkdir(exist_ok=True)
            held.enter_context(folder_lock(views, "views folder"))
            _sweep(views)
            memory = FailureMemory(views / "failures.jsonl")
        num_called = Counter(entry.path.stem for entry in dataset.videos)
        on_failure = on_failure or (lambda failure: None)
        run = _Run(dataset, recipe, memory, num_called, on_failure, overwrite, retry_failed or overwrite)
        side_by_side(
            dataset.videos, run.make, run.note, limits=recipe.limits, num_workers=num_workers, on_progress=on_progress
        )
        return run.end()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run over a dataset folder. `make` is called in threads, the rest in the caller's."""

    dataset: DatasetFolder
    recipe: Recipe
    memory: FailureMemory
    num_called: Mapping[str, int]  # file name without ending → videos of that name
    on_failure: Callable[[Failure], None]
    overwrite: bool
    retry_failed: bool
    outcomes: list[VideoOutcome] = field(default_factory=list)
    nobody_found: list[str] = field(default_factory=list)

    def make(self, pool: WorkerPool, entry: VideoEntry) -> VideoOutcome:
        root, recipe = self.dataset.root, self.recipe
        tried: dict[str, Any] = {"views": {view: {} for view in recipe.views}, "limits": recipe.changed_limits}
        digest: str | None = None
        try:
            digest = _digest(entry.path)
            sources = self._sources(entry)
            attributes = {view: recipe.attributes(view, digest, sources.get(view)) for view in recipe.views}
            tried["views"] = {view: _remembered(known) for view, known in attributes.items()}
            wanted = {view: known for view, known in attributes.items() if not self._is_there(view, entry, known)}
            before = self.memory.of(entry.video_id)
            if wanted and before and before.is_of(digest, tried) and not self.retry_failed:
                return VideoOutcome("failed before", before)
            if wanted:
                order = Order(entry.path, tuple(wanted), recipe.flow, sources, recipe.limits)
                make_and_store(pool, root, entry.video_id, order, wanted)
            return _stored_outcome("made" if wanted else "there", root, entry.video_id, recipe.views)
        except (UnwritableFolderError, StorageError):
            raise
        except CoconError as error:
            return self._failed(entry, digest, tried, error)

    def note(self, entry: VideoEntry, outcome: VideoOutcome) -> None:
        self.outcomes.append(outcome)
        if outcome.is_nobody_found:
            self.nobody_found.append(self._name(entry))
        if outcome.kind == "failed":
            assert outcome.failure is not None
            with writing(self.dataset.root / "views"):
                self.memory.note(outcome.failure)
            self.on_failure(outcome.failure)
        elif outcome.kind != "failed before":
            before = self.memory.of(entry.video_id)
            if before and set(before.recipe.get("views", ())) <= set(self.recipe.views):
                self.memory.forget(entry.video_id)

    def end(self) -> MadeViews:
        with writing(self.dataset.root / "views"):
            self.memory.settle([entry.video_id for entry in self.dataset.videos])
        kinds = Counter(outcome.kind for outcome in self.outcomes)
        return MadeViews(
            kinds["made"],
            kinds["there"],
            kinds["failed"],
            kinds["failed before"],
            sum(bool(outcome.lost) for outcome in self.outcomes),
            tuple(sorted(self.nobody_found)),
        )

    def _is_there(self, view: str, entry: VideoEntry, wanted: Attributes) -> bool:
        return not self.overwrite and is_current(self.dataset.root, view, entry.video_id, wanted)

    def _sources(self, entry: VideoEntry) -> dict[str, OwnSource]:
        """View → the user's own for a video. A file name that several videos have says nothing."""
        stem = entry.path.stem if self.num_called[entry.path.stem] == 1 else entry.video_id
        found = {view: self.recipe.source(view, entry.video_id, stem) for view in self.recipe.views}
        return {view: source for view, source in found.items() if source}

    def _name(self, entry: VideoEntry) -> str:
        """Of a video, its path in the folder if it lies there."""
        root, path = self.dataset.root, entry.path
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def _failed(
        self, entry: VideoEntry, digest: str | None, tried: Mapping[str, Any], error: CoconError
    ) -> VideoOutcome:
        path, video = entry.path, self._name(entry)
        # The folder may be moved, and its memory with it.
        reason = str(error).replace(str(path), video).replace(printable(path), printable(video))
        message = in_one_line(reason)
        failure = Failure(video, entry.video_id, digest, tried, type(error).__name__, message)
        is_known = failure == self.memory.of(entry.video_id) and not (failure.may_pass or self.retry_failed)
        return VideoOutcome("failed before" if is_known else "failed", failure)


def _stored_outcome(kind: VideoOutcomeKind, root: Path, video_id: str, views: tuple[str, ...]) -> VideoOutcome:
    """What is to be said of a video that has all its views, by what they record."""
    known = [stored_attributes(root, view, video_id) or {} for view in views]
    counts = [attributes[FRAMES_WITH_PERSON] for attributes in known if FRAMES_WITH_PERSON in attributes]
    lost = next((str(attributes["lost"]) for attributes in known if "lost" in attributes), "")
    return VideoOutcome(kind, None, lost, bool(counts) and not any(counts))


def _digest(path: Path) -> str:
    check_file(path, "video")
    try:
        return content_sha256(path)
    except OSError as error:
        raise UnreadableVideoError(f"video '{printable(path)}' cannot be read ({error.strerror})") from error


def _remembered(attributes: Attributes) -> dict[str, float | str]:
    """What a failure counts for: the content is remembered beside it, and another release is no reason to try again."""
    return {name: value for name, value in attributes.items() if name not in ("content_sha256", MADE_BY)}


def _sweep(views: Path) -> None:
    """Remove what killed runs left half-written; the holder of the lock is the only one that writes."""
    for pattern in (".*.partial", "*/.*.partial"):
        for path in views.glob(pattern):
            path.unlink(missing_ok=True)
