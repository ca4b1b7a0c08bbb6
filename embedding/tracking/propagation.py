"""Propagation of labels through a video by the affinity of its features: tracking without training for it.

The cells of a frame's feature map take the labels of the cells that they resemble most, in the first frame and in the
last few. That is how features are asked whether they know what belongs together across frames (Vondrick et al.,
Tracking Emerges by Colorizing Videos, ECCV 2018); the queue of frames, the best k and the radius are those of Jabri et
al. (Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020). `box_tracking.py` follows a box with it.

    for labels in propagated_labels(feature_maps, first_labels): ...        # float32 [h, w, L], one per frame
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.embedding.fusion import softmax
from cocon.embedding.neighbours import unit_vectors

__all__ = ["SMALL_MAPS", "Propagation", "propagated_labels"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Propagation:
    """How labels go from frame to frame. The defaults are those of Jabri et al. for a map of one cell per 8 pixels.

    Attributes:
        num_context: latest frames that labels are taken from, besides the first one; 0 takes the first alone.
        num_neighbours: k, the most similar cells of all these frames together, whose labels are averaged.
        radius_cells: how far away a cell of a latest frame may lie, in cells. The first frame is searched everywhere:
            it is long ago, and its labels are the only true ones.
        temperature: of the softmax over the k cosines; near 0 only the most similar cell counts.
        is_centred: whether the mean over the first frame's cells is taken off every unit vector before comparing them.
            What rectified features have in common everywhere says nothing about which cell is which.
    """

    num_context: int = 20
    num_neighbours: int = 10
    radius_cells: float = 12.0
    temperature: float = 0.05
    is_centred: bool = False

    def __post_init__(self) -> None:
        rules = (
            ("num_context", self.num_context >= 0, "0 or more"),
            ("num_neighbours", self.num_neighbours >= 1, "at least 1"),
            ("radius_cells", self.radius_cells >= 0, "0 or more"),
            ("temperature", self.temperature > 0, "positive"),
        )
        for name, holds, rule in rules:
            if not holds:
                raise ValueError(f"{name} ({getattr(self, name)}) must be {rule}")


# What tracking takes, for maps of some 20 × 20 cells, of which the defaults' twelve cells are the greater part. On
# training videos it follows better than they, most of all by being centred, and takes a quarter of the time.
SMALL_MAPS = Propagation(num_context=4, num_neighbours=5, radius_cells=6.0, is_centred=True)


def propagated_labels(
    feature_maps: Iterable[Floats], first_labels: Floats, propagation: Propagation | None = None
) -> Iterator[Floats]:
    """Labels of every frame of a video, from those of its first one; frames are taken as their labels are asked for.

    A cell's labels are the mean of those of its k most similar cells, weighted by a softmax of the cosines. Labels that
    sum to 1 in every cell, or lie between two bounds, go on doing so.

    Args:
        feature_maps: `float32 [h, w, D]` of each frame, of any length but 0; cells are made unit length.
        first_labels: of the first frame, `float32 [h, w, L]`.
        propagation: how; the defaults of `Propagation` unless given.

    Yields:
        `float32 [h, w, L]` per frame, the first one's as they were given.

    Raises:
        ValueError: the labels are no map, or a feature map is not of their height and width, not of the first one's
            depth, or not finite.
    """
    if first_labels.ndim != 3:
        raise ValueError(f"labels {list(first_labels.shape)} must be [h, w, L]")
    propagation = propagation or Propagation()
    first: Floats | None = None
    centre = np.zeros(1, np.float32)
    latest: deque[tuple[Floats, Floats]] = deque(maxlen=propagation.num_context)
    for index, feature_map in enumerate(feature_maps):
        depth = feature_map.shape[-1] if first is None else first.shape[-1]
        if feature_map.shape != (*first_labels.shape[:2], depth) or not np.isfinite(feature_map).all():
            shape = f"{[*first_labels.shape[:2], depth]}, as labels and first frame are"
            raise ValueError(f"feature map {index} {list(feature_map.shape)} must be finite and {shape}")
        features = unit_vectors(feature_map)
        if propagation.is_centred:
            centre = features.mean(axis=(0, 1)) if first is None else centre
            features = unit_vectors(features - centre)
        if first is None:
            first, labels = features, first_labels.astype(np.float32)
        else:
            labels = _propagated(features, [(first, first_labels), *latest], propagation)
            latest.append((features, labels))
        yield labels


def _propagated(features: Floats, context: list[tuple[Floats, Floats]], propagation: Propagation) -> Floats:
    """Labels `float32 [h, w, L]` of a frame from a context whose first frame is searched everywhere."""
    height, width, depth = features.shape
    first_labels, latest = context[0][1], context[1:]
    num_labels, radius = first_labels.shape[-1], int(min(propagation.radius_cells, height))
    propagated = np.empty(first_labels.shape, np.float32)
    for row in range(height):  # row by row: of the latest frames, only rows within reach are compared
        band = slice(max(0, row - radius), row + radius + 1)
        within = [context[0], *((near[band], labels[band]) for near, labels in latest)]
        keys = np.concatenate([near.reshape(-1, depth) for near, _ in within])  # [n, D]
        values = np.concatenate([labels.reshape(-1, num_labels) for _, labels in within])  # [n, L]
        cosines = features[row] @ keys.T  # [w, n]
        is_far = _is_far(row, np.arange(height)[band], width, propagation.radius_cells)
        cosines[:, height * width :][np.tile(is_far, len(latest))] = -np.inf
        propagated[row] = _mean_of_best(cosines, values, propagation)
    return propagated


def _is_far(row: int, rows: NDArray[np.int64], width: int, radius_cells: float) -> NDArray[np.bool_]:
    """Which cells of other rows are too far from each cell of a row: `bool [w, rows·w]`."""
    columns = np.arange(width)
    squares = (rows[:, None] - row) ** 2 + (columns[:, None, None] - columns) ** 2  # [w, rows, w]
    return (squares > radius_cells**2).reshape(width, -1)


def _mean_of_best(cosines: Floats, values: Floats, propagation: Propagation) -> Floats:
    """Labels `float32 [n, L]` weighted by a softmax of the k best cosines in each row of `float32 [w, n]`: `[w, L]`."""
    k = min(propagation.num_neighbours, cosines.shape[1])
    best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]  # [w, k]
    weights = softmax(np.take_along_axis(cosines, best, axis=1) / np.float32(propagation.temperature))  # [w, k]
    mean: Floats = np.einsum("wk,wkl->wl", weights, values[best])
    return mean
