"""Batches of multi-view clips.

Every sample depends on (seed, epoch, video, how often the epoch drew it before) alone, so a resumed run draws the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from cocon.core.errors import VideoError
from cocon.training.config.run import Config
from cocon.training.data.augment import random_clips
from cocon.training.data.frames import VideoFrames
from cocon.training.data.sampling import ClipSampler, FrameSampler
from cocon.video.clips import nearest_frames
from cocon.video.reading.reader import ViewRequest

__all__ = ["Batch", "clip_batches", "steps_per_epoch", "to_device", "view_requests"]

Key = tuple[int, int, int]  # epoch, video, how often the epoch drew it before


class Batch(TypedDict):
    """B clips; what a process that loads says of videos that failed is taken out on the way.

    `clips`: view → `uint8 [B, N, T, H, W, C]`, the same moments of the same videos in every view; `targets`: index of
    each video's label, `int64 [B]`, -1 without one.
    """

    clips: dict[str, Tensor]
    targets: Tensor


def view_requests(config: Config) -> dict[str, ViewRequest]:
    """What the configured views need, in the form the readers take."""
    return {view: ViewRequest(config.geometry(view), config.flow_spec(view)) for view in config.views}


def steps_per_epoch(num_videos: int, batch_size: int) -> int:
    """Full batches in one pass over the videos; at least one, for which videos are drawn more than once."""
    return max(1, num_videos // batch_size)


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
) -> DataLoader[Batch]:
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
    """
    seed = config.training.seed if seed is None else seed
    dataset = _RandomClips(frames, config, labels, seed, sampler or ClipSampler(config.clip))
    size = batch_size or config.training.batch_size
    rank, world_size = share
    own = slice(size * rank // world_size, size * (rank + 1) // world_size)
    order = _BatchOrder(len(frames), size, first_step, num_steps, seed, own)
    workers = config.data.workers
    # Its own generator: one draw from torch's global numbers per start would put a resumed run's dropout out of step.
    return _ClipLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collated,
        generator=torch.Generator().manual_seed(seed),
    )


class _Loaded(TypedDict, total=False):
    """What may come from a process that loads: `Batch` or one sample of it, failures so far, or why there is none."""

    clips: dict[str, Tensor]
    targets: Tensor
    failures: dict[str, str]
    error: str


class _ClipLoader(DataLoader[Batch]):
    """Keeps in `VideoFrames` here what failed in the processes that load."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # of torch's own class
        assert isinstance(self.dataset, _RandomClips)
        for loaded in super().__iter__():
            self.dataset.frames.remember(loaded["failures"])
            if "error" in loaded:
                raise VideoError(loaded["error"])
            yield {"clips": loaded["clips"], "targets": loaded["targets"]}


def _collated(samples: list[_Loaded]) -> _Loaded:
    failures = {name: why for sample in samples for name, why in sample.pop("failures").items()}
    for sample in samples:
        if "error" in sample:
            return {"failures": failures, "error": sample["error"]}
    batch: _Loaded = default_collate(samples)
    batch["failures"] = failures
    return batch


class _RandomClips(Dataset[Batch]):
    def __init__(
        self, frames: VideoFrames, config: Config, labels: Sequence[str], seed: int, sampler: FrameSampler
    ) -> None:
        self.frames = frames
        self._config = config
        self._sampler = sampler
        self._targets = {label: index for index, label in enumerate(labels)}
        self._seed = seed

    def __getitem__(self, key: Key) -> _Loaded:  # type: ignore[override]  # as `_collated` takes it
        try:
            clip = self._clip(key)
            return {"clips": clip["clips"], "targets": clip["targets"], "failures": dict(self.frames.failures)}
        except VideoError as error:
            if get_worker_info() is None:
                raise
            return {"error": str(error), "failures": dict(self.frames.failures)}  # torch would send a traceback

    def _clip(self, key: Key) -> Batch:
        epoch, index, repeat = key
        # A video that is drawn again must show another clip: a copy would be its own negative.
        rng = np.random.default_rng([self._seed, epoch, index, *([repeat] if repeat else [])])
        video = self.frames[index]
        seconds = video.timestamps[self._sampler.draw(video.timestamps, rng)]  # [N, T]
        indices = {view: nearest_frames(decoded.timestamps, seconds) for view, decoded in video.views.items()}
        sizes_px = {view: self._config.geometry(view).crop_px for view in indices}
        clips = random_clips(video.views, indices, sizes_px, self._config.augment, rng)
        target = self._targets.get(video.entry.label, -1)
        return {"clips": {v: torch.from_numpy(clip) for v, clip in clips.items()}, "targets": torch.tensor(target)}


class _BatchOrder(Sampler[list[Key]]):
    """Shuffles each epoch on its own and drops the videos that do not fill a batch; gives a share of each batch."""

    def __init__(
        self, num_videos: int, batch_size: int, first_step: int, num_steps: int, seed: int, share: slice
    ) -> None:
        self._num_videos = num_videos
        self._batch_size = batch_size
        self._steps = range(first_step, num_steps)
        self._seed = seed
        self._share = share

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[Key]]:
        per_epoch = steps_per_epoch(self._num_videos, self._batch_size)
        for step in self._steps:
            epoch, position = divmod(step, per_epoch)
            order = np.random.default_rng([self._seed, epoch]).permutation(self._num_videos)
            places = np.arange(position * self._batch_size, (position + 1) * self._batch_size)[self._share]
            repeats, places = np.divmod(places, self._num_videos)
            yield [(epoch, int(index), int(again)) for index, again in zip(order[places], repeats, strict=True)]


def to_device(batch: Batch, device: torch.device) -> tuple[Mapping[str, Tensor], Tensor]:
    """Clips and targets on a device."""
    clips = {view: tensor.to(device, non_blocking=True) for view, tensor in batch["clips"].items()}
    return clips, batch["targets"].to(device, non_blocking=True)
