"""Decoded views of a dataset's videos, kept in memory as far as the budget allows."""

import errno
import logging
import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from torch.utils.data import get_worker_info

from cocon.core.closing import Closing
from cocon.core.errors import EmptyPartError, StorageError, UnreadableVideoError, UsageError, VideoError
from cocon.core.paths import why_no_file
from cocon.core.storage import cause_of_storage
from cocon.training.data.reading.decoded_video import DecodedVideo, load_video
from cocon.training.data.stretches.cutting import EntryLength, Stretch, length_of, name_of
from cocon.video.clips import ClipSpec
from cocon.video.decoding.duration import duration_seconds
from cocon.video.making.recipe import makers_of
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.store.dataset import VideoEntry
from cocon.video.workers.pool import WorkerPool

__all__ = ["VideoFrames"]

_logger = logging.getLogger(__name__)
_BYTES_PER_GIB = 1 << 30
# A folder whose views were never made would fill the terminal with one line per video.
_NAMED_FAILURES = 10
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of rgb at a short side of 128 pixels, a minute takes 150 MB.
_LONG_SECONDS = 60.0


class VideoFrames(Closing):
    """The videos of a dataset by position; a video that fails to load is replaced by its neighbour, and said once.

    Safe for several threads.

    Args:
        entries: the videos.
        root: dataset folder with the store.
        requests: view → geometry and flow.
        cache_gib: memory budget.
        grid: of videos and parts longer than a minute, only the frames are kept that clips of this geometry have, in a
            file without a name: for those who cut clips in order. None keeps all frames of all videos.
        makes_people: look for people where views of them are not stored.

    Attributes:
        entries: the videos.
        num_videos: of them, and of those that `only` left behind.
        footage: of videos that are cut, what a run that goes on must find again, see `Footage.facts`; else empty.
        failures: id → why it could not be loaded, of all that failed so far.
    """

    def __init__(
        self,
        entries: Sequence[VideoEntry],
        root: Path,
        requests: Mapping[str, ViewRequest],
        *,
        cache_gib: float,
        grid: ClipSpec | None = None,
        makes_people: bool = False,
    ) -> None:
        self.entries = tuple(entries)
        self.num_videos = len(self.entries)
        self.footage: dict[str, int | str] = {}
        self.failures: dict[str, str] = {}
        self._absent = frozenset(entry.video_id for entry in entries if why_no_file(entry.path))
        self._root = root
        self._requests = dict(requests)
        self._grid, self._makes_people = grid, makes_people
        self._budget_bytes = int(cache_gib * _BYTES_PER_GIB)
        self._kept: dict[int, DecodedVideo] = {}
        self._broken: dict[int, VideoError] = {}
        self._workers: tuple[int, WorkerPool] | None = None
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> DecodedVideo:
        """The video at a position.

        Raises:
            VideoError: neither it nor any other can be loaded.
        """
        error: VideoError | None = None
        for position in self._candidates(index):
            try:
                return self._load(position)
            except VideoError as failure:
                error = error or failure
                self._broken[position] = failure
                if isinstance(failure, EmptyPartError) and isinstance(self.entries[position], Stretch):
                    continue  # where nothing moved; the video is sound
                self.remember({name_of(self.entries[position]): _reason(self.entries[position], failure)})
        raise error or VideoError("the dataset is empty")

    def only(self, positions: Sequence[int]) -> "VideoFrames":
        """The videos at these positions; those that are in memory move along, the others are forgotten."""
        chosen = VideoFrames(
            [self.entries[position] for position in positions],
            self._root,
            self._requests,
            cache_gib=0,
            grid=self._grid,
            makes_people=self._makes_people,
        )
        chosen.num_videos, chosen.failures = self.num_videos, self.failures
        chosen._kept = {new: self._kept[old] for new, old in enumerate(positions) if old in self._kept}
        kept_bytes, moved_bytes = (
            sum(video.num_bytes for video in kept.values()) for kept in (self._kept, chosen._kept)
        )
        chosen._budget_bytes = self._budget_bytes + kept_bytes - moved_bytes
        return chosen

    def and_those_of(self, others: "VideoFrames") -> "VideoFrames":
        """These videos, then the others of the same views; what is in memory of either stays there."""
        both = self.only(range(len(self)))
        both.entries += others.entries
        both._absent |= others._absent
        both._kept |= {len(self) + index: video for index, video in others._kept.items()}
        return both

    @cached_property
    def lengths(self) -> tuple[EntryLength | None, ...]:
        """How long each video is, as far as its header says; they are looked at once."""
        return tuple(length_of(entry) for entry in self.entries)

    @cached_property
    def made_by(self) -> dict[str, tuple[str, ...]]:
        """View → who made it, of all videos together; looks into every stored view once.

        So too of a view by which people are followed.
        """
        names = list(dict.fromkeys(entry.store_id for entry in self.entries))
        return {view: makers_of(self._root, view, names, flow) for view, flow in needed_views(self._requests).items()}

    def preload(self) -> Iterator[int]:
        """Load everything that fits in memory; yields how many videos have been looked at; raises as `[]` does."""
        for index in range(len(self.entries)):
            if self._budget_bytes > 0:
                self[index]
            yield index + 1

    def for_judging(self) -> "VideoFrames":
        """The videos that encoders are judged on while they are trained: all of them."""
        return self

    def close(self) -> None:
        """End the process that decodes, if there is one."""
        if self._workers is not None and self._workers[0] == os.getpid():
            self._workers[1].close()

    def remember(self, failures: Mapping[str, str]) -> None:
        """Keep id → reason of videos that could not be loaded; each is said once, by the process that trains."""
        for video_id, reason in failures.items():
            if video_id in self.failures:
                continue
            self.failures[video_id] = reason
            if get_worker_info() is not None:  # a process that loads: what it remembers travels with its batches
                continue
            if len(self.failures) <= _NAMED_FAILURES:
                _logger.warning("video '%s' is left out: %s", video_id, reason)
            elif len(self.failures) == _NAMED_FAILURES + 1:
                _logger.warning("more videos are left out; a run lists them in complete.json")

    def _candidates(self, index: int) -> Iterator[int]:
        """A position, and what takes its place where that fails."""
        return ((index + offset) % len(self.entries) for offset in range(len(self.entries)))

    def _load(self, index: int) -> DecodedVideo:
        with self._lock:
            if index in self._kept:
                return self._kept[index]
            if index in self._broken:
                raise self._broken[index]
            entry = self.entries[index]
            if entry.video_id in self.failures:
                raise VideoError(self.failures[entry.video_id])
            with self._as_video_errors(entry):
                video = self._read(entry)
            if video.num_bytes <= self._budget_bytes:
                self._budget_bytes -= video.num_bytes
                self._kept[index] = video
            return video

    @contextmanager
    def _as_video_errors(self, entry: VideoEntry) -> Iterator[None]:
        try:
            yield
        except UsageError as error:  # there is no file, and if there never was one, the list is wrong
            if entry.video_id in self._absent:
                raise
            raise UnreadableVideoError(str(error)) from error
        except (StorageError, OSError) as error:
            cause = cause_of_storage(error)
            if isinstance(error, StorageError) or cause in _FULL:
                raise _no_room(cause) from error
            raise UnreadableVideoError(f"video '{entry.path}' cannot be read: {error.strerror}") from error

    def _read(self, entry: VideoEntry) -> DecodedVideo:
        workers, makes_people = self._worker_pool(), self._makes_people
        if self._grid is None or not _is_long(entry):
            return load_video(entry, self._root, self._requests, workers, makes_people=makes_people)
        with TemporaryDirectory(prefix="cocon-frames-") as folder:  # what is mapped outlives the names of its files
            into = Path(folder)
            return load_video(
                entry, self._root, self._requests, workers, into=into, grid=self._grid, makes_people=makes_people
            )

    def _worker_pool(self) -> WorkerPool:
        """A pool of this process: one that a fork took along talks to another process's workers."""
        if self._workers is None or self._workers[0] != os.getpid():
            pool = WorkerPool()
            self._workers = os.getpid(), pool
            weakref.finalize(self, pool.close)
        return self._workers[1]


def _no_room(cause: int | None) -> StorageError:
    """Where decoded frames cannot be written."""
    why = os.strerror(cause) if cause else "the disk takes no more"
    return StorageError(
        f"decoded frames cannot be written below '{gettempdir()}': {why}; make room there, name another folder in the "
        "environment variable TMPDIR, or keep fewer of them with a smaller data.cache_gib"
    )


def _is_long(entry: VideoEntry) -> bool:
    if entry.end_seconds - entry.start_seconds <= _LONG_SECONDS:
        return False
    return min(entry.end_seconds, duration_seconds(entry.path)) - entry.start_seconds > _LONG_SECONDS


def _reason(entry: VideoEntry, failure: VideoError) -> str:
    """Why a video, or a stretch of it, is left out."""
    place = f"from {entry.start_seconds:g} s to {entry.end_seconds:g} s: " if isinstance(entry, Stretch) else ""
    return f"{place}{failure}"
