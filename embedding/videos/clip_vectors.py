"""The vector of a clip out of the unit vectors of its blocks, by the pooling that its contract names.

    clip_vectors(blocks, num_parts=1)      # mean: the unit mean of all blocks, which forgets their order
    clip_vectors(blocks, num_parts=3)      # thirds: what a clip shows first, then and last

The graph of an exported encoder computes the same (`training/models/pooling.py`); here blocks that several clips share
become the clips' vectors, and each has gone through the encoder once.
"""

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.neighbours import unit_vectors

__all__ = ["clip_logits", "clip_vectors", "part_bounds"]


def part_bounds(num_blocks: int, num_parts: int) -> tuple[tuple[int, int], ...]:
    """Where each of so many equally long parts of a clip begins and ends, in blocks.

    A block belongs to the part in which its middle lies. A part in which none does takes the block nearest to its
    middle, or both that are equally near.

    Args:
        num_blocks: N, at least 1.
        num_parts: P, at least 1.

    Returns:
        For each part the first block, and the one after the last.
    """
    middles = (2 * np.arange(num_blocks) + 1) * num_parts  # in units of 1 / (2·N·P) of the clip
    parts = middles // (2 * num_blocks)
    bounds = []
    for part in range(num_parts):
        inside = np.flatnonzero(parts == part)
        if not len(inside):
            distances = np.abs(middles - (2 * part + 1) * num_blocks)
            inside = np.flatnonzero(distances == distances.min())
        bounds.append((int(inside[0]), int(inside[-1]) + 1))
    return tuple(bounds)


def clip_vectors(blocks: NDArray[np.float32], num_parts: int) -> NDArray[np.float32]:
    """Unit means of the blocks of each part, one after the other, divided by √P.

    So the cosine of two clips is the mean of the cosines of their parts.

    Args:
        blocks: unit vectors of the blocks of K clips, `float32 [K, N, D]`.
        num_parts: P, see `part_bounds`.

    Returns:
        Unit vectors, `float32 [K, P·D]`; zero where the blocks of a clip cancel each other out.
    """
    bounds = part_bounds(blocks.shape[1], num_parts)
    means = [unit_vectors(blocks[:, begin:end].mean(axis=1)) for begin, end in bounds]
    return means[0] if num_parts == 1 else unit_vectors(np.concatenate(means, axis=1))


def clip_logits(block_logits: NDArray[np.float32], num_parts: int) -> NDArray[np.float32]:
    """Logits of clips out of what an affine classifier says of each block as a member of each part.

    Args:
        block_logits: of the blocks of K clips, part by part, `float32 [K, N, P·L]`.
        num_parts: P, see `part_bounds`.

    Returns:
        The sum over parts of the mean over their blocks, `float32 [K, L]`.
    """
    bounds = part_bounds(block_logits.shape[1], num_parts)
    said = np.split(block_logits, num_parts, axis=2)  # of each part, [K, N, L]
    means = [of[:, begin:end].mean(axis=1) for of, (begin, end) in zip(said, bounds, strict=True)]
    return np.asarray(sum(means[1:], means[0]), np.float32)
