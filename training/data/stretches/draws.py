"""What the batch of a step is drawn from: a function of the seed and the step alone, so a resumed run draws the same.

    EpochPlan(num_videos=100, batch_size=16, seed=0).draws(step)        # every video once an epoch
    EpochPlan(4, 2, 0, counts=(1, 1, 3, 1)).draws(step)                 # the third one three times
    PoolPlan(videos, batch_size=16, seed=0, reuse=32, capacity=45).draws(step)

Drawing several clips of what is decoded anyway is known as data echoing (Choi et al. 2019, arXiv:1907.05550); here each
is of other moments, in other crops.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchPlan", "Draw", "EpochPlan", "PoolPlan", "steps_per_epoch"]

# In the place of an epoch's number, and none of them.
_ARRIVALS, _POOL = 2**32 - 1, 2**32 - 2
# So many steps ahead it is looked which stretches are needed first.
_STEPS_AHEAD = 8


class Draw(NamedTuple):
    """A clip to be made: position of its video, and the numbers that its random generator is seeded with."""

    position: int
    numbers: tuple[int, ...]


class BatchPlan(Protocol):
    """Tells every step's batch."""

    def draws(self, step: int) -> list[Draw]:
        """The clips of a step's batch, counted from 0."""
        ...


def steps_per_epoch(num_videos: int, batch_size: int, counts: Sequence[int] = ()) -> int:
    """Full batches in one pass over the videos; at least one, for which videos are drawn more than once.

    Args:
        num_videos: that are drawn from.
        batch_size: clips of a batch.
        counts: see `EpochPlan`.
    """
    return _full_batches(tuple(counts), batch_size) if counts else max(1, num_videos // batch_size)


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """Shuffles each epoch on its own and drops the videos that do not fill a batch.

    Attributes:
        num_videos: that are drawn from.
        batch_size: clips of a batch.
        seed: of the order.
        counts: clips of each video in an epoch, at most; one of each if empty. A batch has no two clips of one video
            unless there are fewer videos than it has clips.
    """

    num_videos: int
    batch_size: int
    seed: int
    counts: tuple[int, ...] = ()

    def draws(self, step: int) -> list[Draw]:
        """The clips of a step's batch; a video that is drawn again must show another: a copy is its own negative."""
        epoch, position = divmod(step, steps_per_epoch(self.num_videos, self.batch_size, self.counts))
        if self.counts:
            videos, times = _dealt(self.counts, self.batch_size, (self.seed, epoch))
            return [
                Draw(index, (epoch, index, *([again] if again else [])))
                for index, again in zip(videos[position].tolist(), times[position].tolist(), strict=True)
            ]
        order = _shuffled(self.num_videos, (self.seed, epoch))
        places = np.arange(position * self.batch_size, (position + 1) * self.batch_size)
        repeats, places = np.divmod(places, self.num_videos)
        return [
            Draw(index, (epoch, index, *([again] if again else [])))
            for index, again in zip(order[places].tolist(), repeats.tolist(), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Draws from the stretches that are at hand, of which new ones arrive as others have been drawn from enough.

    A batch has different stretches, and as many videos as there are. Once all stretches are at hand, they are drawn in
    epochs.

    Attributes:
        videos: number of the video of each stretch.
        batch_size: clips of a batch.
        seed: of arrivals and draws.
        reuse: how often a stretch is drawn from on average before it leaves.
        capacity: stretches that are at hand at a time.
    """

    videos: tuple[int, ...]
    batch_size: int
    seed: int
    reuse: int
    capacity: int

    def draws(self, step: int) -> list[Draw]:
        """The clips of a step's batch."""
        if self.is_complete(step):
            return EpochPlan(len(self.videos), self.batch_size, self.seed).draws(step)
        epoch = step // steps_per_epoch(len(self.videos), self.batch_size)
        pool = np.array(self.members(step))
        shuffled = pool[_generator(self.seed, _POOL, step).permutation(len(pool))]
        turns = np.argsort(_times_before(np.array(self.videos)[shuffled]), kind="stable")
        repeats, places = np.divmod(np.arange(self.batch_size), len(pool))
        return [
            Draw(index, (epoch, index, again, step + 1))
            for index, again in zip(shuffled[turns][places].tolist(), repeats.tolist(), strict=True)
        ]

    def is_complete(self, step: int) -> bool:
        """Whether all stretches are at hand."""
        return self.capacity >= len(self.videos) <= self._num_arrived(step)

    def members(self, step: int) -> list[int]:
        """Positions of the stretches that a step draws from, those that arrived first in front."""
        arrived = self._num_arrived(step)
        return list(dict.fromkeys(self._at(max(0, arrived - self.capacity), arrived)))

    def wanted(self, step: int, num_ahead: int) -> list[int]:
        """Positions of those that should be at hand at a step, in the order in which they are needed.

        Args:
            step: counted from 0.
            num_ahead: arrivals of later steps.
        """
        soon = (draw.position for later in range(step, step + _STEPS_AHEAD) for draw in self.draws(later))
        here = dict.fromkeys(self.members(step))
        arrived = self._num_arrived(step)
        later = self._at(arrived, int(min(arrived + num_ahead, self._num_arrivals)))
        return list(dict.fromkeys(chain((position for position in soon if position in here), here, later)))

    def substitutes(self, position: int) -> Iterator[int]:
        """The stretch itself, and in what order others take its place: as they arrive."""
        order = _shuffled(len(self.videos), (self.seed, _ARRIVALS, 0))
        start = int(np.flatnonzero(order == position)[0])
        yield from np.roll(order, -start).tolist()

    @property
    def _num_arrivals(self) -> float:
        """How many arrive in all: each once where all have room, else there is no end to it."""
        return len(self.videos) if self.capacity >= len(self.videos) else math.inf

    def _num_arrived(self, step: int) -> int:
        first = min(self.batch_size, self.capacity, len(self.videos))
        return int(min(first + -(-step * self.batch_size // self.reuse), self._num_arrivals))

    def _at(self, first: int, stop: int) -> list[int]:
        """Positions of some arrivals, by their numbers; each turn has all stretches in another order."""
        count, found = len(self.videos), list[int]()
        while first < stop:
            turn, place = divmod(first, count)
            part = _shuffled(count, (self.seed, _ARRIVALS, turn))[place : place + stop - first].tolist()
            found += part
            first += len(part)
        return found


@lru_cache(maxsize=8)
def _full_batches(counts: tuple[int, ...], batch_size: int) -> int:
    """The most batches that clips of different videos fill; where there are too few videos, that all clips fill."""
    fewest, most = 1, max(1, sum(counts) // batch_size)
    if len(counts) < batch_size:
        return most
    while (
        fewest < most
    ):  # no batch takes a second clip of a video, so of one with more clips than batches some are left
        middle = (fewest + most + 1) // 2
        if np.minimum(counts, middle).sum() >= middle * batch_size:
            fewest = middle
        else:
            most = middle - 1
    return fewest


@lru_cache(maxsize=8)
def _dealt(
    counts: tuple[int, ...], batch_size: int, numbers: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of videos by batch `int64 [K, B]`, and how often each came before in the epoch `int64 [K, B]`."""
    rng, num_batches = _generator(*numbers), _full_batches(counts, batch_size)
    num_clips, every = num_batches * batch_size, np.arange(len(counts))
    wanted = np.array(counts) if len(counts) < batch_size else np.minimum(counts, num_batches)
    wanted *= -(-num_clips // int(wanted.sum()))  # of too few clips each is there several times
    kept = rng.permutation(np.repeat(every, wanted))[:num_clips]
    of_all, of_some = np.divmod(np.bincount(kept, minlength=len(counts)), num_batches)
    repeated = rng.permutation(every[of_some > 1])
    single = rng.permutation(every[of_some == 1])
    dealt = _turns([*of_some[repeated].tolist(), *[1] * len(single)], num_batches, rng)
    videos = np.concatenate([np.repeat(every, of_all * num_batches), np.repeat(repeated, of_some[repeated]), single])
    batch = np.concatenate([np.tile(np.arange(num_batches), int(of_all.sum())), dealt])
    ordered = videos[np.lexsort((rng.random(num_clips), batch))]
    return ordered.reshape(num_batches, batch_size), _times_before(ordered).reshape(num_batches, batch_size)


def _turns(numbers: Sequence[int], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """So many different ones out of `count` for each number, one after the other, all of them equally often in the end.

    They are taken from one shuffled turn after another; what one turn has already given is not taken from the next.
    """
    found = [np.empty(0, np.int64)]
    waiting = rng.permutation(count)
    for number in numbers:
        chosen, waiting = waiting[:number], waiting[number:]
        found.append(chosen)
        if missing := number - len(chosen):
            turn = rng.permutation(count)
            more = turn[~np.isin(turn, chosen)][:missing]
            found.append(more)
            waiting = turn[~np.isin(turn, more)]
    return np.concatenate(found)


@lru_cache(maxsize=8)
def _shuffled(count: int, numbers: tuple[int, ...]) -> NDArray[np.int64]:
    return _generator(*numbers).permutation(count)


def _generator(*numbers: int) -> np.random.Generator:
    return np.random.default_rng(list(numbers))


def _times_before(videos: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each number came before in a list of them."""
    order = np.argsort(videos, kind="stable")
    ordered = videos[order]
    first = np.searchsorted(ordered, ordered)  # where each number's group begins
    times = np.empty(len(videos), np.int64)
    times[order] = np.arange(len(videos)) - first
    return times
