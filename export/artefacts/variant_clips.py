"""Clips that a variant is calibrated and judged on: of the run's own videos, as `cocon evaluate` cuts them.

    clips = clips_for_variants(run, contract)
    quantise(onnx_path, clips.calibration(), contract, path)
    measure_fidelity(reference, variant, clips.judged(), source=clips.source)

Where the videos are gone, of generated figures. Few videos, and little time: a gate is no evaluation.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError, VideoError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.embedding.contract import ModelContract
from cocon.export.artefacts.parity_clips import figure_clips
from cocon.export.artefacts.variant_comparison import JudgedVideo
from cocon.training.data.augment import centred_clip
from cocon.training.data.datasets import open_dataset
from cocon.training.data.reading.decoded_video import load_video
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import grid_indices, regular_windows
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.workers.pool import WorkerPool

__all__ = ["VariantClips", "clips_for_variants", "given_clips"]

_logger = logging.getLogger(__name__)

_NUM_CALIBRATION = 32
_NUM_QUERIES = _NUM_GALLERY = 256
_CLIPS_PER_VIDEO = 2
_CALIBRATION_S, _JUDGING_S = 60.0, 120.0
_NUM_FIGURES = 32  # a fifth of a second each
_MAX_SECONDS = 60.0  # of a video: an hour is not decoded for two clips
_NUM_TRIED = 8  # videos, before all are taken to be gone


@dataclass(frozen=True, slots=True)
class VariantClips:
    """What a variant is made and judged by.

    Attributes:
        source: whose videos, in words.
        calibration: reads clips to calibrate on, `uint8 [K, N, T, H, W, C]`, K ≥ 1.
        judged: reads the videos to judge by, of which as few as possible are among those of the calibration.
    """

    source: str
    calibration: Callable[[], NDArray[np.uint8]]
    judged: Callable[[], Iterator[JudgedVideo]]


def given_clips(clips: NDArray[np.uint8], source: str = "given clips", num_calibration: int = 0) -> VariantClips:
    """Clips that are at hand, `uint8 [K, N, T, H, W, C]`, a video each; the first ones calibrate, or all of them."""
    judged = clips[num_calibration:]
    return VariantClips(
        source, lambda: clips[: num_calibration or None], lambda: (JudgedVideo(c[None]) for c in judged)
    )


def clips_for_variants(run: RunFolder, contract: ModelContract) -> VariantClips:
    """Clips of the videos that a run was trained on, and of its test videos where there are labels.

    Args:
        run: the run folder.
        contract: of the view whose clips are wanted.
    """
    try:
        dataset = open_dataset(run.config.data)
        plan = _planned(dataset)
    except UsageError as error:
        _logger.info("variants are judged on generated clips: %s", error)
        return _of_figures(contract)
    read = partial(_read, dataset.root, contract)
    if next(read(plan.calibration[:_NUM_TRIED], _CALIBRATION_S), None) is None:
        return _of_figures(contract)
    return VariantClips(
        f"videos of '{printable(real_path(dataset.root).name)}'",
        lambda: _alternating(read(plan.calibration, _CALIBRATION_S)),
        lambda: read(plan.judged, _JUDGING_S),
    )


def _of_figures(contract: ModelContract) -> VariantClips:
    clips = figure_clips(contract, _NUM_FIGURES)
    return given_clips(clips, "generated figures, as the run's own videos are gone", len(clips) // 4)


def _alternating(videos: Iterator[JudgedVideo]) -> NDArray[np.uint8]:
    """A clip of each video, of its end and of its beginning by turns: `uint8 [K, N, T, H, W, C]`."""
    return np.stack([video.clips[-(position % 2)] for position, video in enumerate(videos)])


class _Plan(NamedTuple):
    """Which videos are read, in this order, each with whether it is a query."""

    calibration: list[tuple[VideoEntry, bool]]
    judged: list[tuple[VideoEntry, bool]]


def _planned(dataset: DatasetFolder) -> _Plan:
    """Calibrate on training videos; test videos ask for others of these. Without labels, nobody asks."""
    train, test = (_shuffled(dataset.split(split)) for split in ("train", "test"))
    others = train[_NUM_CALIBRATION:] if len(train) > 2 * _NUM_CALIBRATION else train
    gallery, queries = ([each for each in some if each.label] for some in (others, test))
    if gallery and not queries:  # a set without test videos
        gallery, queries = _halves(gallery)
    asking = ((each, True) for each in queries[:_NUM_QUERIES])
    asked = ((each, False) for each in (gallery or [*test, *others])[:_NUM_GALLERY])
    # By turns, for when time is up.
    judged = [each for each in chain.from_iterable(zip_longest(asking, asked)) if each is not None]
    return _Plan([(each, False) for each in train[:_NUM_CALIBRATION]], judged)


def _shuffled(entries: Sequence[VideoEntry]) -> list[VideoEntry]:
    """In an order of their own, the same each time: the first ones are of all classes."""
    return [entries[at] for at in np.random.default_rng(0).permutation(len(entries))]


def _halves(entries: Sequence[VideoEntry]) -> tuple[list[VideoEntry], list[VideoEntry]]:
    """Two halves, of which no group is in both."""
    groups: dict[str, list[VideoEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.group or entry.video_id].append(entry)
    halves = [list(chain.from_iterable(islice(groups.values(), first, None, 2))) for first in (0, 1)]
    return halves[0], halves[1]


def _read(
    root: Path, contract: ModelContract, entries: Sequence[tuple[VideoEntry, bool]], limit_s: float
) -> Iterator[JudgedVideo]:
    """The videos of a dataset that can be read, until the time is up."""
    deadline = time.monotonic() + limit_s
    with WorkerPool() as workers:
        for entry, is_query in entries:
            try:
                clips = _clips(root, contract, entry, workers)
            except (VideoError, UsageError, OSError) as error:
                _logger.info("variants are judged without '%s': %s", printable(entry.video_id), error)
            else:
                yield JudgedVideo(clips, entry.label, entry.group or entry.video_id, is_query)
            if time.monotonic() > deadline:
                break


def _clips(root: Path, contract: ModelContract, entry: VideoEntry, workers: WorkerPool) -> NDArray[np.uint8]:
    """The first and the last clip of a video's first minute, `uint8 [K, N, T, H, W, C]`; one if there is no other."""
    view, spec = contract.view, contract.clip
    end = min(entry.end_seconds, entry.start_seconds + _MAX_SECONDS)
    beginning = replace(entry, video_id=entry.store_id, end_seconds=end)
    request = {view: ViewRequest(contract.geometry, contract.flow)}
    is_followed = contract.geometry.following is not None
    decoded = load_video(beginning, root, request, workers, makes_people=is_followed).views[view]
    grid = grid_indices(decoded.timestamps, spec)
    windows = np.unique(regular_windows(len(grid), spec, num_clips=_CLIPS_PER_VIDEO), axis=0)
    frames = grid[windows].reshape(len(windows), spec.num_blocks, spec.frames_per_block)  # [K, N, T]
    return np.stack([centred_clip(decoded, clip, contract.geometry.crop_px) for clip in frames])
