"""Storing the views that a worker process makes of one video."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cocon.core.errors import StorageError, UsageError
from cocon.core.storage import refused
from cocon.video.making.job import Order, make_views_job
from cocon.video.store.files import write_frames, write_keypoints
from cocon.video.store.spool import Spool
from cocon.video.store.stored_view import FRAMES_WITH_PERSON, Attributes
from cocon.video.views import VIEWS
from cocon.video.workers.pool import WorkerPool, named

__all__ = ["UnwritableFolderError", "make_and_store", "writing"]


class UnwritableFolderError(UsageError):
    """The views folder cannot be written: the fault of no video, and the end of the run."""


@contextmanager
def writing(views: Path) -> Iterator[None]:
    """Call what the system refuses meanwhile, such as a full disk, the fault of the views folder.

    Raises:
        UnwritableFolderError: the folder cannot be written.
        StorageError: the disk takes no more.
    """
    try:
        yield
    except OSError as error:
        reason = refused(error, f"views folder '{views}'")
        raise reason if isinstance(reason, StorageError) else UnwritableFolderError(str(reason)) from error


def make_and_store(pool: WorkerPool, root: Path, video_id: str, order: Order, wanted: Mapping[str, Attributes]) -> None:
    """Make views of a video in a worker process and store them.

    Args:
        pool: of the process.
        root: dataset folder.
        video_id: whose views.
        order: the job.
        wanted: view → what is to be recorded with it.

    Raises:
        VideoError: the video, or a user's own view of it, is unfit; the message names the video.
        UnwritableFolderError: the views cannot be stored.
        StorageError: the disk takes no more.
    """
    views = root / "views"
    spools: dict[str, Spool] = {}
    facts: Mapping[str, Any] = {}
    with ExitStack() as files:
        for message in named(pool.run(make_views_job, order), order.path):
            with writing(views):
                for name, rows in message.arrays.items():
                    if name not in spools:
                        spools[name] = files.enter_context(Spool(views))
                    spools[name].add(rows)
            facts = message.fields
        with writing(views):
            for view, attributes in wanted.items():
                _store(root, view, video_id, spools, facts, attributes)


def _store(
    root: Path,
    view: str,
    video_id: str,
    spools: Mapping[str, Spool],
    facts: Mapping[str, Any],
    attributes: Attributes,
) -> None:
    known = dict(attributes) | {"lost": facts["lost"]} if facts["lost"] else dict(attributes)
    known_of_view = facts["views"][view]
    if known_of_view["num_with_person"] is not None:
        known[FRAMES_WITH_PERSON] = known_of_view["num_with_person"]
    rows, seconds = spools[view].whole(), spools["seconds"].whole()
    if VIEWS[view].content == "key points":
        size = {"height": known_of_view["height"], "width": known_of_view["width"]}
        write_keypoints(root, video_id, rows, seconds, **size, attributes=known)
    else:
        write_frames(root, view, video_id, rows, seconds, attributes=known)
