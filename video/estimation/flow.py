"""Optical flow between frames, and its byte form.

A byte is 128 + v·127/20 for a displacement of v pixels at the view's own size, clipped to ±20 px.

    spec = FlowSpec(interval_seconds=1 / 15, algorithm="dis", size_px=128)
    estimate_flow(first, later, spec)       # RGB uint8 [480, 640, 3] twice → bytes uint8 [128, 171, 2]
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from cocon.video.geometry import resize, resized_shape

__all__ = [
    "FLOW_ALGORITHMS",
    "MIN_FLOW_SIZE_PX",
    "FlowAlgorithm",
    "FlowSpec",
    "estimate_flow",
    "flow_from_bytes",
    "flow_identity",
    "flow_to_bytes",
    "resize_flow_bytes",
    "with_later_frame",
]

T = TypeVar("T")

FlowAlgorithm = Literal["dis", "tvl1", "farneback"]
FLOW_ALGORITHMS: tuple[FlowAlgorithm, ...] = get_args(FlowAlgorithm)
# DIS reads outside its buffers and dies on pictures 8 to 15 px high and more than 20 px wide (OpenCV 4.11).
MIN_FLOW_SIZE_PX = 16

_BOUND_PX = 20.0
_BYTES_PER_PX = 127.0 / _BOUND_PX
# A strip this long and narrow shows no motion worth an estimate, which can take minutes at 128 × 25,600 px.
_MAX_ASPECT = 16

_MEDIUM_FINEST_SCALE = 1

# Of what we make of OpenCV's functions; raise it with every change that estimates other bytes.
_REVISION = 1

_Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """What a flow view measures.

    Attributes:
        interval_seconds: displacement is taken to the frame this much later.
        algorithm: how a video's flow is estimated: `dis`, `tvl1` or `farneback`.
        size_px: short side of the frames between which it is measured, at least 16.
    """

    interval_seconds: float = 1 / 15
    algorithm: FlowAlgorithm = "dis"
    size_px: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.interval_seconds < float("inf"):
            raise ValueError(f"flow.interval_seconds ({self.interval_seconds}) must be positive")
        if self.algorithm not in FLOW_ALGORITHMS:
            raise ValueError(f"flow.algorithm '{self.algorithm}' is unknown; known ones: {', '.join(FLOW_ALGORITHMS)}")
        if self.size_px < MIN_FLOW_SIZE_PX:
            raise ValueError(f"flow.size_px ({self.size_px}) must be at least {MIN_FLOW_SIZE_PX}")


def flow_identity(algorithm: FlowAlgorithm) -> str:
    """Who estimates flow here: algorithm, our revision, and the release of the OpenCV that is loaded."""
    import cv2

    return f"{algorithm} r{_REVISION} (opencv {'.'.join(cv2.__version__.split('.')[:2])})"


def flow_to_bytes(flow: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Displacements in pixels `float [..., 2]` to bytes."""
    clipped = np.clip(flow, -_BOUND_PX, _BOUND_PX)
    return np.rint(128.0 + clipped * _BYTES_PER_PX).astype(np.uint8)


def flow_from_bytes(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes `uint8 [..., 2]` to displacements in pixels."""
    return ((pixels.astype(np.float32) - 128.0) / _BYTES_PER_PX).astype(np.float32)


def resize_flow_bytes(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bytes `uint8 [h, w, 2]` as they are for the picture resized to `uint8 [height, width, 2]`: vectors scale too."""
    import cv2

    if pixels.shape[:2] == (height, width):
        return pixels
    scale = np.array([width / pixels.shape[1], height / pixels.shape[0]])
    rescaled = np.clip(np.rint((np.arange(256)[:, None] - 128.0) * scale + 128.0), 1, 255).astype(np.uint8)  # [256, 2]
    return cv2.LUT(resize(pixels, height, width), rescaled[None])


def estimate_flow(first: NDArray[np.uint8], later: NDArray[np.uint8], spec: FlowSpec) -> NDArray[np.uint8]:
    """Flow that takes a point of the first frame to the later one, both at `spec.size_px`.

    Frames are resized to the short side `spec.size_px` first. A picture more than 16 times as long as wide is taken
    to rest.

    Args:
        first: RGB `uint8 [H, W, 3]`.
        later: Another of the same video.
        spec: Algorithm and size.

    Returns:
        Bytes `uint8 [h, w, 2]` (x, y), min(h, w) = `spec.size_px`.
    """
    height, width = resized_shape(first.shape[0], first.shape[1], spec.size_px)
    if max(height, width) > _MAX_ASPECT * spec.size_px:
        return np.full((height, width, 2), 128, np.uint8)
    small = resize(first, height, width), resize(later, height, width)
    return flow_to_bytes(_ESTIMATORS[spec.algorithm](_gray(small[0]), _gray(small[1])))


def with_later_frame(frames: Iterable[tuple[float, T]], interval_seconds: float) -> Iterator[tuple[float, tuple[T, T]]]:
    """Pair every frame of a stream with the one nearest to `interval_seconds` later (the last one near the end)."""
    waiting: deque[tuple[float, T]] = deque()
    previous: tuple[float, T] | None = None
    for seconds, frame in frames:
        waiting.append((seconds, frame))
        while waiting and previous is not None and waiting[0][0] + interval_seconds <= (previous[0] + seconds) / 2:
            first_seconds, first = waiting.popleft()
            yield first_seconds, (first, previous[1])
        previous = (seconds, frame)
    for seconds, frame in waiting:
        assert previous is not None
        yield seconds, (frame, previous[1])


def _gray(pixels: NDArray[np.uint8]) -> _Gray:
    import cv2

    gray: _Gray = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return gray


class _Kept(threading.local):
    """This thread's DIS estimator: with its buffers there already, a flow takes 15 to 20 % less time."""

    dis: Any = None


_kept = _Kept()


def _dis(first: _Gray, later: _Gray) -> NDArray[np.float32]:
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset."""
    import cv2

    if _kept.dis is None:
        _kept.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # A small picture makes it go on at finer scales than its preset's, for all that come after: put it back.
    _kept.dis.setFinestScale(_MEDIUM_FINEST_SCALE)
    flow: NDArray[np.float32] = _kept.dis.calc(first, later, None)
    return flow


def _tvl1(first: _Gray, later: _Gray) -> NDArray[np.float32]:
    """Duality-based TV-L1 (Zach, Pock and Bischof, DAGM 2007), OpenCV's default parameters."""
    import cv2

    # A new one each time: it remembers the number of scales of the smallest picture, and making it costs nothing here.
    flow: NDArray[np.float32] = cv2.optflow.DualTVL1OpticalFlow.create().calc(first, later, None)
    return flow


def _farneback(first: _Gray, later: _Gray) -> NDArray[np.float32]:
    """Polynomial expansion (Farnebäck, SCIA 2003), the parameters of OpenCV's optical flow tutorial."""
    import cv2

    flow: NDArray[np.float32] = cv2.calcOpticalFlowFarneback(
        first, later, None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0
    )
    return flow


_ESTIMATORS: dict[str, Callable[[_Gray, _Gray], NDArray[np.float32]]] = {
    "dis": _dis,
    "tvl1": _tvl1,
    "farneback": _farneback,
}
