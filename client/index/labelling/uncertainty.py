"""What labelled videos leave open of the others: between which two labels a linear classifier cannot decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["OpenQuestions", "open_questions"]

# Of ridge regression on standardised vectors, for each of their dimensions.
_STRENGTH = 1.0
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class OpenQuestions:
    """How sure the labels of V vectors are.

    Attributes:
        doubts: 1 where two labels are equally likely, towards 0 where one is far ahead, `float64 [V]`.
        labels: K labels, in alphabetical order.
        likeliest: Codes of the two likeliest of them, the better one first, `int64 [V, 2]`.
    """

    doubts: NDArray[np.float64]
    labels: tuple[str, ...]
    likeliest: NDArray[np.int64]


def open_questions(vectors: NDArray[np.float32], labels: Sequence[str | None]) -> OpenQuestions | None:
    """Classify vectors by those of them that have labels: ridge regression of each label against the others.

    Args:
        vectors: `float32 [V, D]`.
        labels: Of each; None or empty where it has none.

    Returns:
        None where there are not two labels.
    """
    names = sorted({label for label in labels if label})
    if len(names) < 2:
        return None
    code_of = {name: code for code, name in enumerate(names)}
    known = np.array([place for place, label in enumerate(labels) if label], np.int64)
    wanted = -np.ones((len(known), len(names)))
    wanted[np.arange(len(known)), [code_of[label] for label in labels if label]] = 1.0
    scores = _ridge(vectors.astype(np.float64), known, wanted)  # [V, K]
    likeliest = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    best = np.take_along_axis(scores, likeliest, axis=1)
    margins = best[:, 0] - best[:, 1]
    return OpenQuestions(np.exp(-margins / max(float(np.median(margins)), _LEAST)), tuple(names), likeliest)


def _ridge(vectors: NDArray[np.float64], known: NDArray[np.int64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of each class `float64 [V, K]`, learned from some vectors."""
    scaled = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + _LEAST)
    learned, mean = scaled[known], wanted.mean(axis=0)
    dim = vectors.shape[1]
    products = learned.T @ learned + _STRENGTH * dim * np.eye(dim)
    scores: NDArray[np.float64] = scaled @ np.linalg.solve(products, learned.T @ (wanted - mean)) + mean
    return scores
