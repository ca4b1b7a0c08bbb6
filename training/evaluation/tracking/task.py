"""A box followed through videos by feature maps of single frames that were not trained for it.

`cocon evaluate RUN --task tracking --data DIR`. The stage, the shape and size of the frames and the propagation are
those that `cocon export --feature-maps` and `client track` use by default, so the figures are about the very thing.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from cocon.core.errors import UsageError, VideoError
from cocon.embedding.tracking.box_tracking import tracked_boxes
from cocon.embedding.tracking.cell_grid import convolution_offset_cells
from cocon.embedding.tracking.feature_maps import STAGE
from cocon.embedding.tracking.propagation import SMALL_MAPS
from cocon.training.evaluation.recognition.evaluate import untrained_encoder
from cocon.training.evaluation.tasks import TaskRequest, TaskResult
from cocon.training.evaluation.tracking.figures import TrackingScores, mean_scores, motionless, one_pass_scores
from cocon.training.evaluation.tracking.sequences import TrackingSequence, TrackingVideo, find_sequences
from cocon.training.models.encoder import Encoder, default_device
from cocon.training.run_folder.warm_start import RANDOM
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool

__all__ = ["MAX_FIGURES", "evaluate", "found_boxes"]

_logger = logging.getLogger(__name__)

# Generated videos evaluated at most; where there are more, they are chosen evenly. A benchmark is evaluated as a whole.
MAX_FIGURES = 60

_VIEW = "rgb"
_MOTIONLESS = "no motion"
_CALIBRATION_VIDEOS, _CALIBRATION_FRAMES = 10, 16
_FRAMES_AT_A_TIME = 16

Boxes = NDArray[np.float64]


def evaluate(request: TaskRequest) -> TaskResult:
    """Success and precision of a run's encoder of view `rgb`, of the same network untrained, and of the box at rest.

    Raises:
        UsageError: the run has no such view, its trunk no such stage, or the folder has no videos with boxes.
        VideoError: none of the videos can be read.
    """
    encoder, contract = request.run.encoder(_VIEW)
    if STAGE not in encoder.backbone.stage_names:
        raise UsageError(
            f"--task tracking needs '{STAGE}' of a residual trunk; '{contract.encoder.backbone}' has no such stage"
        )
    videos = find_sequences(request.data, MAX_FIGURES)
    limits = MediaLimits()
    with WorkerPool(limits) as pool:
        encoders = {contract.method: encoder}
        if request.has_random:
            batches = _batches(videos[:_CALIBRATION_VIDEOS], pool, limits)
            encoders = {RANDOM: untrained_encoder(request.run.config, _VIEW, batches)} | encoders
        return _judged(request, encoders, videos, pool, limits)


def found_boxes(encoder: Encoder, sequence: TrackingSequence) -> Boxes:
    """Follow the first true box of a video: `float64 [F, 4]`, in pixels as the true ones are.

    Args:
        encoder: in evaluation mode, where it is to compute.
        sequence: the video.
    """
    maps = _maps(encoder, sequence)
    first = next(maps)
    stride_px = sequence.frames.shape[1] / len(first)
    tracked = tracked_boxes(
        chain([first], maps),
        sequence.boxes[0],
        sequence.height,
        sequence.width,
        SMALL_MAPS,
        offset_cells=convolution_offset_cells(stride_px),
    )
    return np.stack([each.box for each in tracked])


def _judged(
    request: TaskRequest,
    encoders: Mapping[str, Encoder],
    videos: Sequence[TrackingVideo],
    pool: WorkerPool,
    limits: MediaLimits,
) -> TaskResult:
    for encoder in encoders.values():
        encoder.to(default_device())
    scores: dict[tuple[str, str], list[TrackingScores]] = {}
    sizes: set[tuple[int, int]] = set()
    failures: dict[str, str] = {}
    with request.progress_bar("following boxes") as on_progress:
        for index, video in enumerate(videos):
            try:
                sequences = video.load(pool, limits)
            except VideoError as error:
                failures[video.name] = str(error)
                _logger.warning("video '%s' is left out: %s", video.name, error)
                sequences = []
            for sequence in sequences:
                if sequence.doubt:
                    _logger.warning("video '%s' has %s", video.name, sequence.doubt)
                sizes.add((sequence.width, sequence.height))
                found = {method: found_boxes(encoder, sequence) for method, encoder in encoders.items()}
                for method, boxes in ({_MOTIONLESS: motionless(sequence.boxes)} | found).items():
                    each = one_pass_scores(boxes, sequence.boxes)
                    scores.setdefault((sequence.scene, method), []).append(each)
            on_progress(index + 1, len(videos))
    if not scores:
        reason = next(iter(failures.values()))
        raise VideoError(f"none of the videos of '{request.data}' can be judged; of the first: {reason}")
    return TaskResult(_title(sizes), tuple(_row(*key, each) for key, each in scores.items()), failures)


def _row(scene: str, method: str, scores: list[TrackingScores]) -> dict[str, str | float]:
    mean = mean_scores(scores)
    figures = {"success_auc": 100 * mean.success_auc, "precision_at_20_px": 100 * mean.precision_at_20_px}
    return {"method": method, "view": _VIEW, "scene": scene, **figures, "videos": float(len(scores))}


def _title(sizes: set[tuple[int, int]]) -> str:
    smallest, *others = (f"{width} × {height} px" for width, height in sorted(sizes))
    span = f"from {smallest} to {others[-1]}" if others else f"of {smallest}"
    return f"boxes followed from the first frame, per cent; pictures {span}"


def _batches(videos: Sequence[TrackingVideo], pool: WorkerPool, limits: MediaLimits) -> Iterator[torch.Tensor]:
    """A batch of each video, frames as clips of a block of one frame each: `uint8 [B, 1, 1, h, w, 3]`."""
    for video in videos:
        try:
            sequence = video.load(pool, limits)[0]
        except VideoError:
            continue  # it is named when it is evaluated
        chosen = np.linspace(0, len(sequence.frames) - 1, min(_CALIBRATION_FRAMES, len(sequence.frames))).astype(int)
        yield torch.from_numpy(sequence.frames[chosen])[:, None, None]


@torch.no_grad()
def _maps(encoder: Encoder, sequence: TrackingSequence) -> Iterator[NDArray[np.float32]]:
    """Feature maps `float32 [h, w, D']`, frame by frame; each frame is a block of its own."""
    frames = torch.from_numpy(sequence.frames)[:, None]  # [F, 1, h, w, 3]
    for start in range(0, len(frames), _FRAMES_AT_A_TIME):
        batch = frames[start : start + _FRAMES_AT_A_TIME].to(encoder.mean.device)
        maps = encoder.frame_maps(batch, STAGE)[:, 0]  # [B, h, w, D']
        yield from maps.float().cpu().numpy()
