"""Blocks of any clips and videos as the rows of an encoder's batch, and what it says of each.

An encoder takes rows of N blocks, which do not see each other: its gate holds it to that. So a row may hold blocks of
several clips or videos, each block goes through it once, and a clip is made of what it said of its blocks. Only a
classifier that is not affine, such as one with a memory, must see the N blocks of a clip in one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.embedder import Outputs
from cocon.embedding.videos.clip_vectors import clip_logits, clip_vectors

__all__ = ["BlockVectors", "as_rows"]


@dataclass(frozen=True, slots=True)
class BlockVectors:
    """What one view's encoder says about M blocks.

    Attributes:
        vectors: Unit length, `float32 [M, D]`.
        logits: What each says as a member of each part, see `clip_logits`, `float32 [M, P·L]`; or with `are_of_clips`
            those of the clip that it is of, `float32 [M, L]`; None where there are none.
        num_parts: P, of the encoder's pooling.
        are_of_clips: Whether the logits are those of clips: every N blocks that follow one another are one.
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    num_parts: int = 1
    are_of_clips: bool = False

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of_rows(cls, outputs: Outputs, *, are_clips: bool, num_parts: int = 1) -> Self:
        """Of the blocks of R rows, in their order.

        Args:
            outputs: Of the rows.
            are_clips: Whether each row holds the blocks of one clip, so that its logits are those of the clip.
            num_parts: P, of the encoder's pooling.
        """
        num_blocks = outputs.blocks.shape[1]
        vectors = outputs.blocks.reshape(-1, outputs.blocks.shape[2])  # [R·N, D]
        if outputs.block_logits is not None:
            return cls(vectors, outputs.block_logits.reshape(len(vectors), -1), num_parts)
        if outputs.logits is not None and are_clips:
            return cls(vectors, outputs.logits.repeat(num_blocks, axis=0), num_parts, are_of_clips=True)
        return cls(vectors, None, num_parts)

    @classmethod
    def joined(cls, parts: "Sequence[BlockVectors]") -> Self:
        """Of several, one after the other, all by one encoder; all have logits or none has."""
        logits = [part.logits for part in parts if part.logits is not None]
        vectors = np.concatenate([part.vectors for part in parts])
        known, first = np.concatenate(logits) if logits else None, parts[0]
        return cls(vectors, known, first.num_parts, first.are_of_clips)

    def split(self, lengths: Sequence[int]) -> "list[BlockVectors]":
        """Parts of these lengths; what is left over, the filler of the last row, is dropped."""
        ends = np.cumsum(lengths)
        slices = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        return [
            replace(self, vectors=self.vectors[part], logits=None if self.logits is None else self.logits[part])
            for part in slices
        ]

    def clips(self, numbers: NDArray[np.int64]) -> Outputs:
        """What the encoder would say about clips of these blocks.

        Args:
            numbers: Of the N blocks of each of K clips, `int64 [K, N]`.

        Raises:
            MismatchError: A clip's vector is not finite, or its blocks cancel each other out.
        """
        blocks = self.vectors[numbers]  # [K, N, D]
        return Outputs(clip_vectors(blocks, self.num_parts), blocks, self._logits(numbers))

    def _logits(self, numbers: NDArray[np.int64]) -> NDArray[np.float32] | None:
        if self.logits is None:
            return None
        return self.logits[numbers[:, 0]] if self.are_of_clips else clip_logits(self.logits[numbers], self.num_parts)


def as_rows(runs: Sequence[NDArray[np.uint8]], num_blocks: int) -> NDArray[np.uint8]:
    """Put blocks into rows; the last row is filled up with its last block.

    Args:
        runs: Blocks, each `uint8 [M_i, T, H, W, C]`.
        num_blocks: N, of a row.

    Returns:
        `uint8 [R, N, T, H, W, C]`, R as small as may be.
    """
    num_missing = -sum(map(len, runs)) % num_blocks
    blocks = np.concatenate([*runs, *[runs[-1][-1:]] * num_missing]) if len(runs) > 1 or num_missing else runs[0]
    return blocks.reshape(-1, num_blocks, *blocks.shape[1:])
