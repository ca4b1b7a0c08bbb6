"""Batches of multi-view clips, made ahead of who takes them.

Every sample depends on (seed, step, video) alone, so a resumed run draws the same: see `stretches/draws.py`.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from cocon.core.ahead import produced_ahead
from cocon.core.errors import VideoError
from cocon.training.config.run import Config
from cocon.training.data.augment import random_clips
from cocon.training.data.frames import VideoFrames
from cocon.training.data.sampling import ClipSampler, FrameSampler
from cocon.training.data.stretches.draws import BatchPlan, Draw, EpochPlan, PoolPlan, steps_per_epoch
from cocon.training.data.stretches.opening import view_requests
from cocon.training.data.stretches.pool import PooledFrames
from cocon.training.data.stretches.waits import DecoderWaits
from cocon.video.clips import nearest_frames

__all__ = ["Batch", "ClipBatches", "clip_batches", "steps_per_epoch", "to_device", "view_requests"]

# Batches that wait to be taken: enough for a step that is faster than the others.
_MAX_WAITING = 2


class Batch(TypedDict):
    """B clips; what a process that loads says of videos that failed is taken out on the way.

    `clips`: view → `uint8 [B, N, T, H, W, C]`, the same moments of the same videos in every view; `targets`: index of
    each video's label, `int64 [B]`, -1 without one.
    """

    clips: dict[str, Tensor]
    targets: Tensor


def clip_batches(
    frames: VideoFrames,
    config: Config,
    labels: Sequence[str] = (),
    *,
    first_step: int,
    num_steps: int,
    seed: int | None = None,
    share: tuple[int, int] = (0, 1),
    batch_size: int | None = None,
    sampler: FrameSampler | None = None,
    counts: Sequence[int] = (),
) -> "ClipBatches":
    """Training batches of steps `first_step` to `num_steps`, the same whatever step one starts from.

    The processes that train together load equal shares of the same batches, which make the whole in the order of ranks.

    Args:
        frames: the videos.
        config: clip geometry, augmentation, workers.
        labels: class names; the position is the target.
        first_step: where to begin.
        num_steps: where to end, exclusive.
        seed: of order, moments and augmentation; `training.seed` if None.
        share: number of this process, and processes in all, of which the batch size must be a multiple.
        batch_size: clips of a batch, of all processes together; `training.batch_size` if None.
        sampler: what is drawn of a video; a clip if None.
        counts: clips of each video in an epoch, see `EpochPlan`.
    """
    seed = config.training.seed if seed is None else seed
    size = batch_size or config.training.batch_size
    rank, world_size = share
    own = slice(size * rank // world_size, size * (rank + 1) // world_size)
    plan: BatchPlan = EpochPlan(len(frames), size, seed, tuple(counts))
    if isinstance(frames, PooledFrames):
        plan = frames.plan(size, seed)
    clips = _RandomClips(frames, config, labels, seed, sampler or ClipSampler(config.clip))
    return ClipBatches(clips, plan, range(first_step, num_steps), own, config.data.workers)


class ClipBatches:
    """Batches that are made ahead, by one thread, or as many processes; where videos are pooled, by as many threads.

    Args:
        clips: makes one.
        plan: which, by step.
        steps: of the batches.
        share: of each batch.
        num_workers: processes or threads.
    """

    def __init__(self, clips: "_RandomClips", plan: BatchPlan, steps: range, share: slice, num_workers: int) -> None:
        self._clips, self._plan, self._steps, self._share = clips, plan, steps, share
        self._num_workers = num_workers
        self._loader: DataLoader[Batch] | None = None

    def __iter__(self) -> Generator[Batch, None, None]:
        """The batches, from the first; who does not take them all closes it. Raises as `VideoFrames`."""
        if self._num_workers and not isinstance(self._plan, PoolPlan):
            yield from self._by_processes()
            return
        waits = DecoderWaits(self._plan.reuse) if isinstance(self._plan, PoolPlan) else None
        called_off = Event()
        made = produced_ahead(partial(self._by_threads, called_off), max_waiting=_MAX_WAITING, stop=called_off)
        following = partial(next, made, None)
        try:
            while (batch := waits.take(following) if waits else following()) is not None:
                yield batch
        finally:
            made.close()
            called_off.clear()  # the thread has ended; who looks at the videos hereafter may wait

    def _by_threads(self, called_off: Event) -> Iterator[Batch]:
        frames, plan = self._clips.frames, self._plan
        with ThreadPoolExecutor(max(1, self._num_workers), thread_name_prefix="clips") as threads:
            for step in self._steps:
                if isinstance(plan, PoolPlan) and isinstance(frames, PooledFrames):
                    frames.look_ahead(plan, step, called_off)
                yield _stacked(list(threads.map(partial(self._clip, called_off), plan.draws(step)[self._share])))

    def _clip(self, called_off: Event, draw: Draw) -> Batch:
        if called_off.is_set():
            raise CancelledError
        return self._clips.clip(draw)

    def _by_processes(self) -> Iterator[Batch]:
        if self._loader is None:  # whose processes stay, with what they keep of the videos
            self._loader = DataLoader(
                self._clips,
                batch_sampler=_Draws(self._plan, self._steps, self._share),
                num_workers=self._num_workers,
                persistent_workers=True,
                collate_fn=_collated,
                # Its own: a draw from torch's global numbers per start would put a resumed run's dropout out of step.
                generator=torch.Generator().manual_seed(0),
            )
        loaded: Any  # as `_collated` makes it
        for loaded in self._loader:
            self._clips.frames.remember(loaded["failures"])
            if "error" in loaded:
                raise VideoError(loaded["error"])
            yield {"clips": loaded["clips"], "targets": loaded["targets"]}


class _Loaded(TypedDict, total=False):
    """What comes from a process that loads: `Batch` or one sample of it, failures so far, or why there is none."""

    clips: dict[str, Tensor]
    targets: Tensor
    failures: dict[str, str]
    error: str


def _collated(samples: list[_Loaded]) -> _Loaded:
    failures = {name: why for sample in samples for name, why in sample.pop("failures").items()}
    for sample in samples:
        if "error" in sample:
            return {"failures": failures, "error": sample["error"]}
    batch: _Loaded = default_collate(samples)
    batch["failures"] = failures
    return batch


def _stacked(clips: Sequence[Batch]) -> Batch:
    """One batch of single clips; by NumPy, since torch would take threads of its own for it."""
    views = {view: np.stack([clip["clips"][view].numpy() for clip in clips]) for view in clips[0]["clips"]}
    return {
        "clips": {view: torch.from_numpy(stacked) for view, stacked in views.items()},
        "targets": torch.tensor([int(clip["targets"]) for clip in clips]),
    }


class _RandomClips(Dataset[Batch]):
    def __init__(
        self, frames: VideoFrames, config: Config, labels: Sequence[str], seed: int, sampler: FrameSampler
    ) -> None:
        self.frames = frames
        self._config = config
        self._sampler = sampler
        self._targets = {label: index for index, label in enumerate(labels)}
        self._seed = seed

    def __getitem__(self, draw: Draw) -> _Loaded:  # type: ignore[override]  # as `_collated` takes it
        assert get_worker_info() is not None
        try:
            clip = self.clip(draw)
            return {"clips": clip["clips"], "targets": clip["targets"], "failures": dict(self.frames.failures)}
        except VideoError as error:  # torch would send a traceback
            return {"error": str(error), "failures": dict(self.frames.failures)}

    def clip(self, draw: Draw) -> Batch:
        """One clip, without the dimension of the batch."""
        rng = np.random.default_rng([self._seed, *draw.numbers])
        video = self.frames[draw.position]
        seconds = video.timestamps[self._sampler.draw(video.timestamps, rng)]  # [N, T]
        indices = {view: nearest_frames(decoded.timestamps, seconds) for view, decoded in video.views.items()}
        sizes_px = {view: self._config.geometry(view).crop_px for view in indices}
        clips = random_clips(video.views, indices, sizes_px, self._config.augment, rng)
        target = self._targets.get(video.entry.label, -1)
        return {"clips": {v: torch.from_numpy(clip) for v, clip in clips.items()}, "targets": torch.tensor(target)}


class _Draws(Sampler[list[Draw]]):
    """A share of each batch."""

    def __init__(self, plan: BatchPlan, steps: range, share: slice) -> None:
        self._plan, self._steps, self._share = plan, steps, share

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[Draw]]:
        return (self._plan.draws(step)[self._share] for step in self._steps)


def to_device(batch: Batch, device: torch.device) -> tuple[Mapping[str, Tensor], Tensor]:
    """Clips and targets on a device."""
    clips = {view: tensor.to(device, non_blocking=True) for view, tensor in batch["clips"].items()}
    return clips, batch["targets"].to(device, non_blocking=True)
