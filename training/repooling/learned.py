"""Learning to pool: a clip told by every other of its blocks is found by the blocks between them, in their order.

    fit_pooling(encoder, blocks, seed=0)      # encoder.pooler, and nothing else of it

The encoder is frozen and labels are not needed. The blocks of a clip are two halves, the even and the odd ones, which
show the same thing in the same order. A half is to be told, by the vector that the pooling makes of it, from the halves
of other videos, and from its own other half backwards: InfoNCE at a temperature of 0.1.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.core.progress import OnProgress
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, encode_blocks
from cocon.training.evaluation.recognition.features import Encoders
from cocon.training.models.encoder import Encoder
from cocon.training.models.learned_pooling import LearnedPooling

__all__ = ["blocks_of_videos", "fit_pooling"]

_STEPS = 400
_BATCH = 64
_RATE = 1e-3
_TEMPERATURE = 0.1
# Of each video, spread evenly: more of a long one are alike.
_MOST_CLIPS = 8
_LEAST_VIDEOS = 8


@torch.no_grad()
def blocks_of_videos(
    encoders: Encoders, frames: VideoFrames, *, on_progress: OnProgress
) -> dict[str, list[NDArray[np.float32]]]:
    """Unit vectors of the blocks of each video's clips, at most eight of them; one that fails to load is left out.

    Args:
        encoders: view → encoder in evaluation mode and contract.
        frames: the videos.
        on_progress: called with (videos done, videos in all).

    Returns:
        View → of each video, `float32 [K, N, D]`.
    """
    found: dict[str, list[NDArray[np.float32]]] = {view: [] for view in encoders}
    for index, entry in enumerate(frames.entries):
        if (video := frames[index]).entry is entry:
            for view, (encoder, contract) in encoders.items():
                seen = encode_blocks(encoder, contract, video, protocol=DEFAULT_PROTOCOL, has_dense=False)
                chosen = seen.numbers[np.unique(np.linspace(0, len(seen.numbers) - 1, _MOST_CLIPS).astype(np.int64))]
                found[view].append(encoder.block_vectors(seen.maps[0])[torch.from_numpy(chosen)].numpy())
        on_progress(index + 1, len(frames))
    return found


def fit_pooling(encoder: Encoder, blocks: Sequence[NDArray[np.float32]], *, seed: int) -> None:
    """Fit the learned pooling of an encoder, from anew; the same seed and blocks give the same.

    Args:
        encoder: with a pooling that is learned; left in evaluation mode.
        blocks: of each video's clips, `float32 [K, N, D]`.
        seed: of the rotations that it begins with, and of what is drawn.

    Raises:
        UsageError: there are fewer than eight videos, or clips of less than two blocks.
    """
    if len(blocks) < _LEAST_VIDEOS:
        raise UsageError(f"a pooling is learned from {_LEAST_VIDEOS} videos or more, of which there are {len(blocks)}")
    if blocks[0].shape[1] < 2:
        raise UsageError("a pooling is learned of clips of two blocks or more (clip.num_blocks); take mean")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pooler = LearnedPooling(encoder.embedding_dim)
    optimizer = torch.optim.Adam(pooler.parameters(), lr=_RATE)
    for clips in _drawn(blocks, seed):
        loss = _loss(pooler, clips)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # not in the stubs
        optimizer.step()
    encoder.pooler = pooler.eval()


def _drawn(blocks: Sequence[NDArray[np.float32]], seed: int) -> Iterator[Tensor]:
    """Batches of clips `float [B, N, D]`, each of another video."""
    rng = np.random.default_rng(seed)
    for _ in range(_STEPS):
        videos = rng.permutation(len(blocks))[:_BATCH]
        yield torch.from_numpy(np.stack([blocks[video][rng.integers(len(blocks[video]))] for video in videos]))


def _loss(pooler: LearnedPooling, clips: Tensor) -> Tensor:
    even, odd = clips[:, 0::2], clips[:, 1::2]
    asking, wanted, backwards = pooler(even), pooler(odd), pooler(odd.flip(1))
    scores = torch.cat([asking @ wanted.T, (asking * backwards).sum(dim=1, keepdim=True)], dim=1)  # [B, B + 1]
    return F.cross_entropy(scores / _TEMPERATURE, torch.arange(len(clips)))
