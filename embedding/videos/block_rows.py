"""Blocks of any clips and videos as the rows of an encoder's batch, and what it says of each.

An encoder takes rows of N blocks, which do not see each other: its gate holds it to that. So a row may hold blocks of
several clips or videos, each block goes through it once, and a clip is made of what it said of its blocks. Only what is
neither affine nor a mean, such as a classifier with a memory or a pooling that is learned, must see the N blocks of a
clip in one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.contract import EncoderSpec
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
        pooled: Vector of the clip that each block is of, `float32 [M, D]`, where only the encoder makes it; else None.
    """

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    num_parts: int = 1
    are_of_clips: bool = False
    pooled: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of_rows(cls, outputs: Outputs, *, are_clips: bool, encoder: EncoderSpec) -> Self:
        """Of the blocks of R rows, in their order.

        Args:
            outputs: Of the rows.
            are_clips: Whether each row holds the blocks of one clip, so that its logits are those of the clip.
            encoder: Whose they are.
        """
        num_blocks, num_parts = outputs.blocks.shape[1], encoder.num_parts
        vectors = outputs.blocks.reshape(-1, outputs.blocks.shape[2])  # [R·N, D]
        pooled = outputs.embedding.repeat(num_blocks, axis=0) if encoder.pools_whole_clips else None
        if outputs.block_logits is not None:
            return cls(vectors, outputs.block_logits.reshape(len(vectors), -1), num_parts, pooled=pooled)
        if outputs.logits is not None and are_clips:
            logits = outputs.logits.repeat(num_blocks, axis=0)
            return cls(vectors, logits, num_parts, are_of_clips=True, pooled=pooled)
        return cls(vectors, None, num_parts, pooled=pooled)

    @classmethod
    def joined(cls, parts: "Sequence[BlockVectors]") -> Self:
        """Of several, one after the other, all by one encoder; all have logits or none has."""
        vectors = np.concatenate([part.vectors for part in parts])
        logits, pooled = _joined([part.logits for part in parts]), _joined([part.pooled for part in parts])
        return cls(vectors, logits, parts[0].num_parts, parts[0].are_of_clips, pooled)

    def split(self, lengths: Sequence[int]) -> "list[BlockVectors]":
        """Parts of these lengths; what is left over, the filler of the last row, is dropped."""
        ends = np.cumsum(lengths)
        slices = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        return [
            replace(self, vectors=self.vectors[part], logits=_part(self.logits, part), pooled=_part(self.pooled, part))
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
        vectors = clip_vectors(blocks, self.num_parts) if self.pooled is None else self.pooled[numbers[:, 0]]
        return Outputs(vectors, blocks, self._logits(numbers))

    def _logits(self, numbers: NDArray[np.int64]) -> NDArray[np.float32] | None:
        if self.logits is None:
            return None
        return self.logits[numbers[:, 0]] if self.are_of_clips else clip_logits(self.logits[numbers], self.num_parts)


def _joined(parts: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def _part(values: NDArray[np.float32] | None, part: slice) -> NDArray[np.float32] | None:
    return None if values is None else values[part]


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
