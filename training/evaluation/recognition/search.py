"""What `client search` finds: an index of the training videos, asked for the test videos.

    hits = search_hits(features["train"], features["test"], {"rgb": 1.0})

Everything is as it is unless one says otherwise: clips lie side by side, a video is as like another as their most
similar clips, and the first hits are ranked by order as well where the labels of the training videos say that it helps.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.fusion import fuse_embeddings
from cocon.embedding.ranking.mixing import MomentGallery, Moments, chosen_mix
from cocon.training.evaluation.recognition.features import IndexedClips, VideoFeatures

__all__ = ["search_hits"]


def search_hits(train: VideoFeatures, test: VideoFeatures, weights: Mapping[str, float]) -> NDArray[np.bool_] | None:
    """Whether the first hit of each test video is of its class, `bool [U]`; None where clips were not kept.

    Args:
        train: the videos of the index.
        test: the videos that ask.
        weights: views that are searched by, and how much each counts when they are fused; positive.
    """
    if train.indexed is None or test.indexed is None:
        return None
    stored, asking = _moments(train.indexed, weights), _moments(test.indexed, weights)
    mix = chosen_mix(stored, train.labels.tolist()).mix
    gallery = MomentGallery(stored)
    nearest = []
    for first, count in zip(asking.first_rows, asking.num_rows, strict=True):
        rows = np.arange(first, first + count)
        blocks = asking.blocks_of(rows).astype(np.float32) if mix else np.empty((count, 0, 0), np.float32)
        nearest.append(gallery.nearest(asking.vectors[rows], blocks, [mix])[0])
    return np.asarray(train.labels[np.array(nearest)] == test.labels)


def _moments(clips: IndexedClips, weights: Mapping[str, float]) -> Moments:
    """The clips of all views together."""
    blocks = {view: clips.blocks[view] for view in weights}

    def blocks_of(rows: NDArray[np.int64]) -> NDArray[np.float16]:
        some = {view: of[rows] for view, of in blocks.items()}
        if len(some) == 1:
            return next(iter(some.values()))
        fused = fuse_embeddings({view: of.astype(np.float32) for view, of in some.items()}, weights)
        return fused.astype(np.float16)

    vectors = fuse_embeddings({view: clips.vectors[view] for view in weights}, weights)
    firsts = np.cumsum(clips.num_clips) - clips.num_clips
    return Moments(vectors, blocks_of, firsts, clips.num_clips)
