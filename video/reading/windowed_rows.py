"""The windows of a video's clips, as its grid frames come, in bounded memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.video.clips import ClipSpec, dense_windows

__all__ = ["windowed_rows"]

Row = TypeVar("Row")


def windowed_rows(rows: Iterable[Row], spec: ClipSpec, hop: int) -> Iterator[tuple[NDArray[np.int64], list[Row]]]:
    """Slide the window of a clip over grid frames; the last windows follow the spec's policies.

    Args:
        rows: what is known of each grid frame, in order.
        spec: geometry of the clips, and policies.
        hop: grid frames between the starts of neighbouring windows.

    Yields:
        What `dense_windows` gives, grid positions `int64 [N·T]`, and the rows there: a window as soon as the row after
        it has come, which tells how long its last one is shown, or none has.
    """
    size = spec.num_frames
    buffer: deque[Row] = deque(maxlen=size)
    full: list[Row] = []
    num_rows = num_windows = 0
    for row in rows:
        if full:
            yield np.arange(num_rows - size, num_rows), full
            num_windows += 1
        buffer.append(row)
        num_rows += 1
        full = list(buffer) if num_rows >= size and (num_rows - size) % hop == 0 else []
    first_kept = num_rows - len(buffer)
    for window in dense_windows(num_rows, spec, hop=hop)[num_windows:]:
        yield window, [buffer[position - first_kept] for position in window]
