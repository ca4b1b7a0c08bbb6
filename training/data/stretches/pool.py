"""The stretches that are at hand: decoded ahead of who draws from them, into files that are mapped and have no name.

    with PooledFrames(footage, root, requests, cache_gib=4.0) as frames:
        plan = frames.plan(batch_size=16, seed=0)
        for step in range(num_steps):
            frames.look_ahead(plan, step, called_off=Event())
            videos = [frames[draw.position] for draw in plan.draws(step)]

Pages that were read are given back to the system, so what is at hand takes disk and no memory.
"""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from cocon.core.closing import Closing
from cocon.core.errors import VideoError
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo, load_video
from cocon.training.data.stretches.cutting import Footage, few_of_each, name_of
from cocon.training.data.stretches.descriptors import num_mappable_files
from cocon.training.data.stretches.draws import PoolPlan
from cocon.video.clips import ClipSpec
from cocon.video.reading.live import ViewRequest
from cocon.video.store.archive import forget_pages
from cocon.video.store.private_folder import place_on_disk, private_folder
from cocon.video.workers.cores import num_cores, told_threads
from cocon.video.workers.pool import WorkerPool

__all__ = ["PooledFrames"]

_logger = logging.getLogger(__name__)

_BYTES_PER_GIB = 1 << 30
# Decoders give way to the network; while it waits for them they have the machine.
_NICENESS = 10
_RECHECK_S = 0.1
# Stretches of a long video that stand for all of it where all videos are looked at again and again.
_NUM_JUDGED = 4


class PooledFrames(VideoFrames):
    """Videos and stretches of which some are at hand at a time; see the module.

    Args:
        footage: what there is to draw from.
        root: dataset folder with the store.
        requests: view → geometry and flow.
        cache_gib: disk for what is at hand.
        makes_people: look for people where views of them are not stored.
    """

    def __init__(
        self,
        footage: Footage,
        root: Path,
        requests: Mapping[str, ViewRequest],
        *,
        cache_gib: float,
        makes_people: bool = False,
    ) -> None:
        super().__init__(footage.entries, root, requests, cache_gib=cache_gib, makes_people=makes_people)
        self.num_videos = footage.num_videos
        self.footage = footage.facts
        self._footage = footage
        self._mean_bytes = footage.mean_bytes
        self._cache_gib = cache_gib
        self._num_files = num_mappable_files()
        self._decoders = _Decoders()
        self._plan: PoolPlan | None = None
        self._called_off = Event()
        self._begun: dict[int, Future[DecodedVideo]] = {}
        self._failed: dict[int, Future[DecodedVideo]] = {}
        self._read_from: set[int] = set()

    def plan(self, batch_size: int, seed: int) -> PoolPlan:
        """What each step draws, with as many stretches at hand as fit."""
        numbers = {name: number for number, name in enumerate(dict.fromkeys(map(name_of, self.entries)))}
        videos = tuple(numbers[name_of(entry)] for entry in self.entries)
        assert self._footage.reuse is not None
        self._warn_of_little_room(batch_size)
        return PoolPlan(videos, batch_size, seed, self._footage.reuse, self.capacity)

    def look_ahead(self, plan: PoolPlan, step: int, called_off: Event) -> None:
        """Begin to decode what a step and those after it need, and forget what none of them does.

        Args:
            plan: what steps draw.
            step: counted from 0.
            called_off: once it is set, nobody waits for what is being decoded.
        """
        with self._lock:
            self._plan, self._called_off = plan, called_off
            self._give_pages_back()
            wanted = [self._stand_in(position) for position in plan.wanted(step, max(1, plan.capacity // 4))]
            now = {self._stand_in(draw.position) for draw in plan.draws(step)}
            for position in self._begun.keys() - set(wanted):
                self._forget(position)
            for position in wanted:
                if position in self._begun or position in self._failed:
                    continue
                if self.num_bytes_at_hand >= self._budget_bytes:
                    if position not in now:
                        break
                    self._make_room(wanted, now)
                self._begin(position)

    def only(self, positions: Sequence[int]) -> "PooledFrames":
        """The videos and stretches at these positions; those that are at hand move along."""
        chosen = PooledFrames(
            self._footage.only(positions),
            self._root,
            self._requests,
            cache_gib=self._cache_gib,
            makes_people=self._makes_people,
        )
        chosen.failures, chosen._decoders = self.failures, self._decoders
        chosen.footage = self.footage
        with self._lock:
            places = {old: new for new, old in enumerate(positions)}
            chosen._begun = {places[old]: self._begun.pop(old) for old in places.keys() & self._begun.keys()}
            chosen._failed = {places[old]: self._failed[old] for old in places.keys() & self._failed.keys()}
        return chosen

    def for_judging(self) -> VideoFrames:
        """Whole videos, and of long ones a few stretches, read anew whenever they are looked at."""
        entries = [self.entries[position] for position in few_of_each(self.entries, _NUM_JUDGED)]
        judged = VideoFrames(entries, self._root, self._requests, cache_gib=0, makes_people=self._makes_people)
        judged.num_videos, judged.failures = self.num_videos, self.failures
        return judged

    def preload(self) -> Iterator[int]:
        """Nothing is read before it is needed; yields all videos at once."""
        yield len(self.entries)

    def fits(self, position: int, clip: ClipSpec) -> bool:
        """Whether a whole clip fits into a video or stretch, as far as its file says."""
        return self._footage.fits(position, clip)

    @property
    def num_bytes_at_hand(self) -> float:
        """On disk, and of what is being decoded what is expected."""
        with self._lock:
            futures, expected = self._begun.values(), self._mean_bytes
            return sum(future.result().num_bytes if _is_there(future) else expected for future in futures)

    def described(self) -> str:
        """What is drawn from, in a line of text."""
        num_here = min(len(self.entries), self.capacity)
        return (
            f"{self.num_videos} videos are {len(self.entries)} stretches: up to {num_here} at hand in "
            f"'{place_on_disk()}', each drawn from {self._footage.reuse} times on average (data.reuse)"
        )

    def close(self) -> None:
        """Stop decoding, and give the disk space back."""
        self._decoders.close()
        with self._lock:
            self._begun.clear()
        super().close()

    @property
    def capacity(self) -> int:
        """How many are at hand at a time: as many as fit, if so many may be mapped with a quarter more ahead."""
        return min(self._footage.capacity(self._budget_bytes), max(2, 4 * self._num_files // (5 * len(self._requests))))

    def _warn_of_little_room(self, batch_size: int) -> None:
        number = min(batch_size, len(self.entries))
        needed_gib = self._footage.needed_bytes(number) / _BYTES_PER_GIB
        if self._cache_gib < needed_gib < math.inf:
            _logger.warning(
                "%d stretches fit at a time, fewer than a batch has clips (%d), so that it has several of one; for as "
                "many as clips: --set data.cache_gib=%g", self.capacity, batch_size, math.ceil(needed_gib * 100) / 100
            )  # fmt: skip

    def _load(self, index: int) -> DecodedVideo:
        with self._lock:
            future = self._failed.get(index) or self._begun.get(index) or self._begin(index)
            self._read_from.add(index)
        try:
            return self._awaited(future)
        except VideoError:
            with self._lock:
                self._failed[index] = future
                self._begun.pop(index, None)
            raise

    def _awaited(self, future: Future[DecodedVideo]) -> DecodedVideo:
        while not self._called_off.is_set():
            with suppress(TimeoutError):
                return future.result(_RECHECK_S)
        raise CancelledError

    def _candidates(self, index: int) -> Iterator[int]:
        return super()._candidates(index) if self._plan is None else self._plan.substitutes(index)

    def _stand_in(self, position: int) -> int:
        """The position itself, or of one that is known to fail the next that is not."""
        if position not in self._failed:
            return position
        return next((other for other in self._candidates(position) if other not in self._failed), position)

    def _begin(self, position: int) -> Future[DecodedVideo]:
        future = self._begun[position] = self._decoders.begin(self._decoded, position)
        return future

    def _decoded(self, workers: WorkerPool, folder: Path, position: int) -> DecodedVideo:
        entry = self.entries[position]
        # What is mapped outlives the names of its files: a process that is killed leaves nothing but what is under way.
        with self._as_video_errors(entry), TemporaryDirectory(dir=folder) as into:
            people = self._makes_people
            return load_video(entry, self._root, self._requests, workers, into=Path(into), makes_people=people)

    def _forget(self, position: int) -> None:
        self._begun.pop(position).cancel()
        self._read_from.discard(position)

    def _make_room(self, wanted: Sequence[int], now: set[int]) -> None:
        """Forget what is needed last, where files hold more than they say."""
        for position in reversed(wanted):
            if self.num_bytes_at_hand < self._budget_bytes:
                return
            if position in self._begun and position not in now:
                self._forget(position)

    def _give_pages_back(self) -> None:
        for position in self._read_from & self._begun.keys():
            if _is_there(future := self._begun[position]):
                for view in future.result().views.values():
                    forget_pages(view.rows)
        self._read_from.clear()


class _Decoders(Closing):
    """Threads that each have a worker process decode, into a folder."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_num_decoders(), thread_name_prefix="decode")
        self._workers = WorkerPool(niceness=_NICENESS)
        self._under_way: set[Future[DecodedVideo]] = set()
        self._held = ExitStack()
        self._folder: Path | None = None

    def begin(self, decode: Callable[[WorkerPool, Path, int], DecodedVideo], position: int) -> Future[DecodedVideo]:
        """Have a position decoded."""
        if self._folder is None:
            self._folder = self._held.enter_context(private_folder("stretches", place_on_disk()))
        future = self._threads.submit(decode, self._workers, self._folder, position)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def close(self) -> None:
        """Stop all of it; what a process works at ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while wait(list(self._under_way), timeout=_RECHECK_S).not_done:
            self._workers.close()  # again and again: a thread may just be starting a process
        self._workers.close()
        self._held.close()


def _num_decoders() -> int:
    """This process's share of the cores: torchrun starts several on a machine."""
    return told_threads() or max(1, num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _is_there(future: Future[DecodedVideo]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
