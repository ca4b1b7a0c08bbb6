"""Ordered features: what a video shows first, then and last, which the mean over all of it does not tell."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["NUM_PARTS", "ordered_feature"]

NUM_PARTS = 3


def ordered_feature(
    blocks: NDArray[np.float32], seconds: NDArray[np.float64], duration_seconds: float
) -> NDArray[np.float32]:
    """Means of the blocks in the first, middle and last third of a video, one after the other.

    Each mean is of unit length again and all are divided by √3, so the cosine of two ordered features is the mean of
    the cosines of their parts. A part in which no block lies takes the block nearest to its middle, or several that
    are equally near, such as the crops of one.

    Args:
        blocks: unit vectors of blocks in any order, a block that several clips share once for each,
            `float32 [M, D]`, M ≥ 1.
        seconds: middle of each block after the first frame, `float64 [M]`.
        duration_seconds: time of the last frame after the first; 0 of a single picture.

    Returns:
        Unit vector, `float32 [3·D]`.
    """
    part_seconds = duration_seconds / NUM_PARTS
    positions = seconds / part_seconds if part_seconds > 0 else np.zeros_like(seconds)
    parts = np.clip(positions.astype(np.int64), 0, NUM_PARTS - 1)  # [M]
    means = []
    for part in range(NUM_PARTS):
        is_here = parts == part
        if not is_here.any():
            distances = np.abs(positions - (part + 0.5))
            is_here = distances <= distances.min() + 1e-9
        mean = blocks[is_here].mean(axis=0, dtype=np.float64)  # [D]
        means.append(mean / np.linalg.norm(mean))
    return (np.concatenate(means) / np.sqrt(NUM_PARTS)).astype(np.float32)
