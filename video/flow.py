"""Optical flow between frames, and its byte form.

A byte is 128 + v·127/20 for a displacement of v pixels at the view's own size, clipped to ±20 px.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FlowSpec", "dis_flow", "flow_from_bytes", "flow_to_bytes", "rescale_flow_bytes", "with_later_frame"]

_BOUND_PX = 20.0
_BYTES_PER_PX = 127.0 / _BOUND_PX


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """What a flow view measures.

    Attributes:
        interval_seconds: displacement is taken to the frame this much later.
        algorithm: how a live video's flow is estimated.
    """

    interval_seconds: float = 1 / 15
    algorithm: str = "dis"


def flow_to_bytes(flow: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Displacements in pixels `float [..., 2]` to bytes."""
    clipped = np.clip(flow, -_BOUND_PX, _BOUND_PX)
    return np.rint(128.0 + clipped * _BYTES_PER_PX).astype(np.uint8)


def flow_from_bytes(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes `uint8 [..., 2]` to displacements in pixels."""
    return ((pixels.astype(np.float32) - 128.0) / _BYTES_PER_PX).astype(np.float32)


def rescale_flow_bytes(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Multiply the displacements by `scale`, as resizing the picture by that factor does."""
    if scale == 1.0:
        return pixels
    return np.clip(np.rint((pixels.astype(np.float32) - 128.0) * scale + 128.0), 1, 255).astype(np.uint8)


def dis_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Dense inverse search flow (Kroeger et al. 2016, OpenCV's medium preset) of two RGB frames `uint8 [H, W, 3]`.

    Returns:
        Displacement in pixels `float32 [H, W, 2]` (x, y) that takes a point of the first frame to the second.
    """
    import cv2

    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    gray = [cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY) for pixels in (first, second)]
    flow: NDArray[np.float32] = estimator.calc(gray[0], gray[1], None)
    return flow


def with_later_frame(
    frames: Iterable[tuple[float, NDArray[np.uint8]]], interval_seconds: float
) -> Iterator[tuple[float, tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
    """Pair every frame of a stream with the one nearest to `interval_seconds` later (the last one near the end)."""
    waiting: deque[tuple[float, NDArray[np.uint8]]] = deque()
    previous: tuple[float, NDArray[np.uint8]] | None = None
    for seconds, pixels in frames:
        waiting.append((seconds, pixels))
        while waiting and previous is not None and waiting[0][0] + interval_seconds <= (previous[0] + seconds) / 2:
            first_seconds, first = waiting.popleft()
            yield first_seconds, (first, previous[1])
        previous = (seconds, pixels)
    for seconds, pixels in waiting:
        assert previous is not None
        yield seconds, (pixels, previous[1])
