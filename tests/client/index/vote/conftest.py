"""Generated galleries of labelled videos, whose classes overlap as much as is wanted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.row_table import RowTable


@dataclass(frozen=True, slots=True)
class Gallery:
    """Videos of some clips each, as an index has them."""

    vectors: NDArray[np.float32]
    rows: RowTable
    labels: list[str | None]


def gallery_of(videos: Sequence[NDArray[np.float32]], labels: Sequence[str | None]) -> Gallery:
    counts = np.array([len(clips) for clips in videos])
    table = RowTable(np.arange(1, len(videos) + 1), np.cumsum(counts) - counts, counts, int(counts.sum()))
    return Gallery(np.concatenate(videos), table, list(labels))


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def clustered(
    seed: int, *, num_classes: int, per_class: int, noise: float, dim: int = 16, num_clips: int = 3
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Clips and labels of videos around the centres of classes, which are the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(num_classes, dim))
    rng = np.random.default_rng(seed)
    videos, labels = [], []
    for number, centre in enumerate(centres):
        for _ in range(per_class):
            middle = centre + noise * rng.normal(size=dim)
            videos.append(unit(middle + 0.3 * rng.normal(size=(num_clips, dim))))
            labels.append(f"class {number:02d}")
    return videos, labels
