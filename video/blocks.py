"""The blocks that clips share: of a set of windows, each distinct block once, and which of them make a clip.

A block is its T grid positions, whatever clip it is cut for. Clips that overlap by whole blocks share most of them, and
in a video shorter than a clip a block may come again.

    grid     0 1 2 3 4 5 6 7 8 9          T = 2, N = 3, a clip every second block
    clip 0   [0 1|2 3|4 5]                blocks 0, 1, 2
    clip 1           [4 5|6 7|8 9]        blocks 2, 3, 4: two of them are new
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.video.clips import ClipSpec

__all__ = ["DistinctBlocks", "check_overlap", "distinct_blocks", "overlap_hop"]

_MAX_OVERLAP = 0.9


class DistinctBlocks:
    """Numbers the blocks of windows in the order in which they first come.

    Args:
        frames_per_block: T.
    """

    def __init__(self, frames_per_block: int) -> None:
        self._frames_per_block = frames_per_block
        self._known: dict[tuple[int, ...], int] = {}
        self.num_blocks = 0

    def __len__(self) -> int:
        """Blocks that are known by their positions now."""
        return len(self._known)

    def take(self, window: NDArray[np.int64]) -> tuple[tuple[int, ...], list[int]]:
        """Number the blocks of the next window.

        Args:
            window: grid positions `int64 [N·T]`.

        Returns:
            Number of each of its N blocks, and the places in the window, from 0 to N - 1, of those that came for the
            first time, whose numbers follow one another.
        """
        blocks = list(map(tuple, window.reshape(-1, self._frames_per_block).tolist()))
        new: list[int] = []
        for place, block in enumerate(blocks):
            if block not in self._known:
                self._known[block] = self.num_blocks
                self.num_blocks += 1
                new.append(place)
        return tuple(self._known[block] for block in blocks), new

    def forget_before(self, position: int) -> None:
        """Forget blocks that begin before a grid position, where none such will come any more: memory stays bounded."""
        self._known = {block: number for block, number in self._known.items() if block[0] >= position}


def distinct_blocks(
    windows: Iterable[NDArray[np.int64]], frames_per_block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every distinct block of some windows.

    Args:
        windows: grid positions, each `int64 [n·T]`.
        frames_per_block: T.

    Returns:
        Blocks `int64 [U, T]`, and the number of each window's blocks, one window after the other, `int64 [Σn]`.
    """
    taken, blocks = DistinctBlocks(frames_per_block), []
    numbers: list[int] = []
    for window in windows:
        numbered, new = taken.take(window)
        numbers += numbered
        blocks.append(window.reshape(-1, frames_per_block)[new])
    return np.concatenate(blocks), np.array(numbers, np.int64)


def check_overlap(overlap: float) -> None:
    """Raise `UsageError` unless a share of a clip may be repeated by the next."""
    if not 0 <= overlap <= _MAX_OVERLAP:
        raise UsageError(f"overlap ({overlap}) must be from 0 to {_MAX_OVERLAP}")


def overlap_hop(spec: ClipSpec, overlap: float) -> int:
    """Grid frames from the start of a clip to that of the next: whole blocks, so that clips share them.

    Clips of one block share none, and a hop of less than a block is kept in frames.

    Args:
        spec: geometry of the clips.
        overlap: share of a clip that the next one repeats, at least 0 and less than 1.
    """
    frames = spec.num_frames * (1 - overlap)
    hop, T = max(1, round(frames)), spec.frames_per_block
    return hop if spec.num_blocks == 1 or hop < T else T * max(1, round(frames / T))
