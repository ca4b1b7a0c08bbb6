"""Laying vectors out in a plane, so that what lies close together there is alike: t-SNE, by openTSNE.

A hundred thousand vectors of 256 take it a minute and a half on two cores. UMAP takes as long on one core, which is all
that it uses if it is to be the same again, keeps fewer than half as many neighbours, and tells of no progress.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.projection.neighbours import nearest
from cocon.core.progress import OnProgress, no_progress
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["METHOD", "laid_out"]

METHOD = "t-SNE"

_SEED = 20_260_801
# Directions that are kept before neighbours are looked for, and vectors that they are found from.
_NUM_DIRECTIONS = 50
_MAX_MEASURED = 50_000
# How many neighbours count, about; fewer where there are few vectors.
_PERPLEXITY = 15
_NEIGHBOURS_PER_PERPLEXITY = 3
# Below so many vectors there is no neighbourhood to keep: the two widest directions are drawn.
_MIN_VECTORS = 12
# Iterations, first with neighbours pulled together, as t-SNE's authors have it.
_PHASES = (250, 500)
_EXAGGERATION = 12.0
# Few vectors that are pulled together would end in one place.
_VECTORS_PER_EXAGGERATION = 100
# Threads that meet after every iteration cost more than they gain below so many vectors.
_MIN_FOR_THREADS = 10_000
_MOMENTUM = 0.8
_ITERATIONS_PER_CALL = 5
_START_WIDTH = 1e-4
# What share of all progress the search for neighbours counts.
_NEIGHBOUR_STEPS = 100


def laid_out(vectors: NDArray[np.float32], *, on_progress: OnProgress = no_progress) -> NDArray[np.float32]:
    """Places of vectors in the square from -1 to 1, always the same on one machine.

    Args:
        vectors: `float32 [M, D]`.
        on_progress: Called with steps done, of how many; what it raises ends the work.

    Returns:
        `float32 [M, 2]`.
    """
    directions = _main_directions(vectors)
    if len(vectors) < _MIN_VECTORS or not np.ptp(directions, axis=0).any():
        return _fitted(_plane(directions))
    total = _NEIGHBOUR_STEPS + sum(_PHASES)

    def on_neighbours(done: int, count: int | None) -> None:
        on_progress(_NEIGHBOUR_STEPS * done // (count or 1), total)

    placed = _embedding(directions, on_neighbours)
    done = _NEIGHBOUR_STEPS
    pulled = float(np.clip(len(vectors) / _VECTORS_PER_EXAGGERATION, 1, _EXAGGERATION))
    for num_iterations, exaggeration in zip(_PHASES, (pulled, 1.0), strict=True):
        placed = placed.optimize(
            num_iterations,
            exaggeration=exaggeration,
            momentum=_MOMENTUM,
            use_callbacks=True,
            callbacks=_told(on_progress, done, total),
            callbacks_every_iters=_ITERATIONS_PER_CALL,
        )
        done += num_iterations
    on_progress(total, total)
    return _fitted(np.asarray(placed))


def _embedding(directions: NDArray[np.float32], on_progress: OnProgress) -> Any:  # noqa: ANN401  # untyped
    import faiss
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    num_threads = faiss.omp_get_max_threads() if len(directions) >= _MIN_FOR_THREADS else 1
    perplexity = min(_PERPLEXITY, (len(directions) - 1) / _NEIGHBOURS_PER_PERPLEXITY)
    count = int(_NEIGHBOURS_PER_PERPLEXITY * perplexity)
    found = nearest(directions, directions, count + 1, on_progress=on_progress).without_selves()
    affinities = PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(found.rows, found.distances), perplexity=perplexity, n_jobs=num_threads
    )
    start = _plane(directions).astype(np.float64)
    start += np.random.default_rng(_SEED).normal(scale=1e-2 * start.std(), size=start.shape)  # copies must part
    start *= _START_WIDTH / start[:, 0].std()
    return TSNEEmbedding(start, affinities, n_jobs=num_threads, random_state=_SEED)


def _told(on_progress: OnProgress, done: int, total: int) -> Callable[[int, float, NDArray[np.float64]], bool]:
    def on_iteration(iteration: int, error: float, places: NDArray[np.float64]) -> bool:
        on_progress(done + iteration, total)
        return False  # whether to end

    return on_iteration


def _main_directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors as what they are along the directions in which they differ most, the first first: `float32 [M, E]`."""
    if not len(vectors):
        return np.zeros((0, 1), np.float32)
    measured = vectors[sample_of(np.arange(len(vectors)), _MAX_MEASURED, seed=_SEED)].astype(np.float64)
    middle = measured.mean(axis=0)
    measured -= middle
    _, found = np.linalg.eigh(measured.T @ measured)
    found = found[:, ::-1][:, :_NUM_DIRECTIONS]
    found *= np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])  # or the sign is chance
    return np.asarray((vectors - middle.astype(np.float32)) @ found.astype(np.float32), np.float32)


def _plane(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two; vectors of one dimension have no second."""
    plane = np.zeros((len(directions), 2), np.float32)
    plane[:, : directions.shape[1]] = directions[:, :2]
    return plane


def _fitted(places: NDArray[Any]) -> NDArray[np.float32]:
    """Places in the square from -1 to 1, in their proportions."""
    if not len(places):
        return np.zeros((0, 2), np.float32)
    low, high = places.min(axis=0), places.max(axis=0)
    return np.asarray((places - (low + high) / 2) / max((high - low).max() / 2, np.finfo(np.float32).tiny), np.float32)
