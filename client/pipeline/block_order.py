"""The blocks of a video's clips in order of time: those that clips share once, and at a regular hop where wanted."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.embedding.neighbours import unit_vectors
from cocon.video.clips import ClipSpec

__all__ = ["OrderedBlocks", "ordered_blocks"]

# Share of a step between frames: times are rounded by containers and decoders.
_SAME_MOMENT = 0.25


@dataclass(frozen=True, slots=True)
class OrderedBlocks:
    """The L blocks of a video.

    Attributes:
        begins: When each begins, in seconds, rising: `float64 [L]`.
        ends: When it ends; at most where the video does.
        vectors: Unit length, `float32 [L, D]`.
        step_seconds: Between frames of a block; less than the model's where a short video was shrunk to a clip.
    """

    begins: NDArray[np.float64]
    ends: NDArray[np.float64]
    vectors: NDArray[np.float32] = field(repr=False)
    step_seconds: float

    def at_hop(self, hop_frames: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Blocks that begin at a regular hop, and last one that ends with the video.

        Where clips overlap too little to have such a block, it is the mean of its neighbours, of unit length again: it
        would share its frames with them.

        Args:
            hop_frames: From one to the next.

        Returns:
            When each begins, `float64 [M]`, and vectors, `float32 [M, D]`.
        """
        if len(self.begins) == 1:
            return self.begins, self.vectors
        hop, first, last = hop_frames * self.step_seconds, self.begins[0], self.begins[-1]
        tolerance = _SAME_MOMENT * self.step_seconds
        begins = first + hop * np.arange(int((last - first + tolerance) / hop) + 1)
        if last - begins[-1] > tolerance:
            begins = np.append(begins, last)
        before = np.clip(np.searchsorted(self.begins, begins, side="right") - 1, 0, len(self.begins) - 2)
        share = (begins - self.begins[before]) / (self.begins[before + 1] - self.begins[before])
        share = np.clip(share, 0.0, 1.0)[:, None].astype(np.float32)  # [M, 1]
        return begins, unit_vectors((1 - share) * self.vectors[before] + share * self.vectors[before + 1])


def ordered_blocks(embedding: VideoEmbedding, spec: ClipSpec) -> OrderedBlocks:
    """Put the blocks of all clips in a row: those of overlapping clips once, those past the end not at all.

    Args:
        embedding: Of the video.
        spec: Its clips' geometry.
    """
    step = _step_seconds(embedding, spec)
    begins, ends = _block_spans(embedding, spec, step)  # [K, N] each
    order = np.argsort(begins, axis=None, kind="stable")
    begins, ends = begins.reshape(-1)[order], ends.reshape(-1)[order]
    is_new = np.diff(begins, prepend=-np.inf) > step * _SAME_MOMENT
    is_new[1:] &= ends[1:] - begins[1:] > step * _SAME_MOMENT
    vectors = embedding.blocks.reshape(len(order), -1)[order[is_new]]
    return OrderedBlocks(begins[is_new], ends[is_new], vectors, step)


def _step_seconds(embedding: VideoEmbedding, spec: ClipSpec) -> float:
    if spec.step_seconds is not None:
        step = spec.step_seconds
    else:
        assert spec.step_frames is not None
        step = spec.step_frames * float(embedding.end_seconds[-1]) / max(1, embedding.num_frames)
    if spec.short_video == "shrink" and len(embedding) == 1:
        return min(step, float(embedding.end_seconds[0] - embedding.start_seconds[0]) / spec.num_frames)
    return step


def _block_spans(
    embedding: VideoEmbedding, spec: ClipSpec, step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each clip's blocks begin and end, at most where the clip does: `float64 [K, N]` twice."""
    starts, ends = embedding.start_seconds[:, None], embedding.end_seconds[:, None]
    length = step * spec.frames_per_block
    begins = starts + length * np.arange(spec.num_blocks)  # [K, N]
    return begins, np.minimum(begins + length, ends)
