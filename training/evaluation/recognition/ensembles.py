"""How much each view counts when several decide together: equally, as in the paper, or as the training videos say."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from cocon.embedding.neighbours import query_chunks
from cocon.video.views import VIEWS

__all__ = ["PAPER_WEIGHTS", "pool_weights", "pooled", "retrieval_weights"]

# Only the ratios matter, and those of views that are not there fall away.
PAPER_WEIGHTS: Mapping[str, float] = {name: view.paper_weight for name, view in VIEWS.items()}

# A probability of 0, as of a class that a fold has never seen, is an error of 14 nats and not of infinitely many.
_LEAST_PROBABILITY = 1e-6
# Where the views are never wrong, ever larger weights are ever a little better.
_LARGEST_WEIGHT = 10.0
# No view is worth more than 99 times as much as one that is right half of the time, nor less than 1/99.
_LEAST_RECALL = 0.01


def pool_weights(probabilities: Mapping[str, NDArray[np.float64]], targets: NDArray[np.int64]) -> dict[str, float]:
    """Weights w ≥ 0 of views whose `pooled` probabilities have the least negative log likelihood, which is convex in w.

    Their sum says how sure the views together may be; equal ones where no view says anything.

    Args:
        probabilities: view → class probabilities of videos that the classifier has not seen, `float64 [V, K]`.
        targets: true class of each video, `int64 [V]`.

    Returns:
        view → weight.
    """
    rows = np.arange(len(targets))
    logs = np.stack([_log(table) for table in probabilities.values()])  # [views, V, K]
    true_logs = logs[:, rows, targets]  # [views, V]

    def loss_and_gradient(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = np.einsum("a,avk->vk", weights, logs)
        losses = logsumexp(scores, axis=1) - scores[rows, targets]
        expected = np.einsum("vk,avk->av", np.exp(log_softmax(scores, axis=1)), logs)
        return float(losses.mean()), (expected - true_logs).mean(axis=1)

    equal = np.full(len(logs), 1.0 / len(logs))
    found = minimize(loss_and_gradient, equal, jac=True, method="L-BFGS-B", bounds=[(0.0, _LARGEST_WEIGHT)] * len(logs))
    weights = found.x if found.x.sum() > 1e-6 else equal
    return dict(zip(probabilities, weights.tolist(), strict=True))


def pooled(tables: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Logarithmic opinion pool (Genest and Zidek, Statistical Science 1986): Π p^w of the views, scaled to sum 1.

    Unlike a mean it lets one view rule out what another takes for possible, so views that know different things add up.

    Args:
        tables: view → class probabilities, `float64 [..., K]`, all of one shape.
        weights: view → weight.
    """
    first, *others = (weights[view] * _log(table) for view, table in tables.items())
    return np.asarray(np.exp(log_softmax(sum(others, first), axis=-1)))


def retrieval_weights(
    embeddings: Mapping[str, NDArray[np.float32]], labels: NDArray[np.str_], groups: NDArray[np.str_]
) -> dict[str, float]:
    """Weights a / (1 - a) of views, where a is R@1 among the training videos of other groups; Σ w = 1.

    Args:
        embeddings: view → unit vectors of the training videos, `float32 [V, D]`.
        labels: `str [V]`.
        groups: a video's own group is not searched, `str [V]`; at least two groups.

    Returns:
        view → weight, positive; a is kept within 0.01 … 0.99.
    """
    numbers = np.unique(groups, return_inverse=True)[1]  # quicker to compare than names
    odds = {}
    for view, vectors in embeddings.items():
        nearest = np.empty(len(vectors), np.int64)
        for chunk in query_chunks(len(vectors), len(vectors)):
            cosines = vectors[chunk] @ vectors.T  # [v, V]
            cosines[numbers[chunk, None] == numbers] = -np.inf
            nearest[chunk] = cosines.argmax(axis=1)
        recall = np.clip((labels[nearest] == labels).mean(), _LEAST_RECALL, 1 - _LEAST_RECALL)
        odds[view] = float(recall / (1 - recall))
    return {view: value / sum(odds.values()) for view, value in odds.items()}


def _log(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, _LEAST_PROBABILITY))
