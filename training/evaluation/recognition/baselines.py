"""What needs no network: histograms of a video's motion or of its colours, judged as embeddings of an encoder are.

    result = evaluate_baseline("flow-histogram", videos, DEFAULT_OPTIONS)

An encoder that does not beat them is of no use on these videos, whatever it gains over an untrained one.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cocon.core.progress import OnProgress
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.evaluation.recognition.features import VideoFeatures, labelled_videos
from cocon.training.evaluation.recognition.result import EvaluationResult, MetricOptions, evaluate_features
from cocon.video.store.archive import forget_pages
from cocon.video.views import VIEWS

__all__ = ["BASELINES", "Baseline", "check_baseline", "color_histogram", "evaluate_baseline", "flow_histogram"]

Baseline = Literal["flow-histogram", "color-histogram"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

_GRID = 4
_NUM_DIRECTIONS = 8
_NUM_LEVELS = 4
# Frames that are counted at a time; floats of a whole video take many times its own memory.
_FRAMES = 32


def evaluate_baseline(name: Baseline, videos: EvaluationVideos, options: MetricOptions) -> EvaluationResult:
    """Figures of a baseline, which `name` is its method.

    Args:
        name: which.
        videos: the videos; the view that it counts need not be among those that are judged.
        options: what is counted.

    Raises:
        UsageError: see `evaluate_features`.
        VideoError: no video that has a label can be loaded, or none has the view.
    """
    view, histogram = _OF_BASELINE[name]
    features = {}
    for split, frames in videos.with_view(view).items():
        with videos.progress_bar(f"counting {name} of {split} videos") as on_progress:
            features[split] = _features(frames, view, histogram, on_progress)
    return evaluate_features(features, name, options)


def check_baseline(name: Baseline, videos: EvaluationVideos) -> None:
    """Raise `MissingViewError` if none of the videos has the view that a baseline counts; none is read for that."""
    view, _ = _OF_BASELINE[name]
    videos.with_view(view)


def flow_histogram(flow: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where on a 4 × 4 grid a video moves, and in which of eight directions, weighed by how far.

    Args:
        flow: view `flow` of a video, `uint8 [F, H, W, 2]`.

    Returns:
        Square roots of the shares, so that a cosine is the overlap of two histograms (Bhattacharyya): unit length,
        `float32 [128]`. Where nothing moves all are equal.
    """
    num_rows, num_columns = flow.shape[1:3]
    rows, columns = (np.arange(size) * _GRID // size for size in (num_rows, num_columns))
    cells = (rows[:, None] * _GRID + columns) * _NUM_DIRECTIONS  # [H, W]
    counts = np.zeros(_GRID * _GRID * _NUM_DIRECTIONS)
    for part in _parts(flow):
        moved = part.astype(np.float32) - VIEWS["flow"].neutral
        turns = np.arctan2(moved[..., 1], moved[..., 0]) / (2 * np.pi)  # -0.5 to 0.5
        directions = np.round(turns * _NUM_DIRECTIONS).astype(np.int64) % _NUM_DIRECTIONS
        lengths = np.hypot(moved[..., 0], moved[..., 1])
        counts += np.bincount((cells + directions).ravel(), lengths.ravel(), minlength=len(counts))
    return _root_of_shares(counts)


def color_histogram(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Which colours a video has, of 4 levels each of red, green and blue, wherever they are.

    Args:
        rgb: `uint8 [F, H, W, 3]`.

    Returns:
        As of `flow_histogram`, `float32 [64]`.
    """
    counts = np.zeros(_NUM_LEVELS**3)
    for part in _parts(rgb):
        levels = part.astype(np.int64) * _NUM_LEVELS // 256
        colours = (levels[..., 0] * _NUM_LEVELS + levels[..., 1]) * _NUM_LEVELS + levels[..., 2]
        counts += np.bincount(colours.ravel(), minlength=len(counts))
    return _root_of_shares(counts)


_OF_BASELINE: Mapping[str, tuple[str, Callable[[NDArray[np.uint8]], NDArray[np.float32]]]] = MappingProxyType(
    {"flow-histogram": ("flow", flow_histogram), "color-histogram": ("rgb", color_histogram)}
)


def _features(
    frames: VideoFrames,
    view: str,
    histogram: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    on_progress: OnProgress,
) -> VideoFeatures:
    entries, vectors = [], []
    for video in labelled_videos(frames, on_progress=on_progress):
        pixels = video.views[view].pixels
        assert pixels is not None  # only key points have none
        entries.append(video.entry)
        vectors.append(histogram(pixels))
    return VideoFeatures(
        embeddings={view: np.stack(vectors)},
        labels=np.array([entry.label for entry in entries]),
        groups=np.array([entry.group or entry.video_id for entry in entries]),
        entries=tuple(entries),
    )


def _parts(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Some frames at a time; of a video that lies on disk no more is held in memory."""
    for start in range(0, len(frames), _FRAMES):
        yield frames[start : start + _FRAMES]
        forget_pages(frames)


def _root_of_shares(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Square roots of the shares of counts `float64 [D]`, unit length, `float32 [D]`."""
    total = counts.sum()
    shares = counts / total if total > 0 else np.full(len(counts), 1.0 / len(counts))
    return np.sqrt(shares).astype(np.float32)
