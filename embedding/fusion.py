"""Fusion of several views into one embedding or one decision.

The fused embedding is the concatenation of √w_v · e_v, so the cosine of two fused embeddings is the weighted mean of
the views' cosines. Views are taken in alphabetical order; a view that is missing is left out, and its weight with it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.video.views import VIEWS

__all__ = ["EQUAL_WEIGHTS", "fuse_embeddings", "fuse_probabilities", "softmax"]

Float = TypeVar("Float", bound=np.floating[Any])

EQUAL_WEIGHTS: Mapping[str, float] = {name: view.weight for name, view in VIEWS.items()}


def fuse_embeddings(
    embeddings: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float] = EQUAL_WEIGHTS
) -> NDArray[np.float32]:
    """Concatenate unit vectors of several views.

    Args:
        embeddings: view → `float32 [..., D_v]`, unit length, the leading shape the same for all.
        weights: view → weight, positive; only their ratios matter.

    Returns:
        `float32 [..., Σ D_v]`, unit length.
    """
    views = sorted(embeddings)
    total = sum(weights[view] for view in views)
    parts = [np.sqrt(weights[view] / total) * embeddings[view] for view in views]
    fused = np.concatenate(parts, axis=-1)
    normalised = fused / np.linalg.norm(fused, axis=-1, keepdims=True)  # exact unit length despite rounding
    return normalised.astype(np.float32)


def fuse_probabilities(
    probabilities: Mapping[str, NDArray[Float]], weights: Mapping[str, float] = EQUAL_WEIGHTS
) -> NDArray[Float]:
    """Weighted mean of class probabilities `float [..., K]` of several views, in their type."""
    views = sorted(probabilities)
    total = sum(weights[view] for view in views)
    mean = sum(weights[view] / total * probabilities[view] for view in views)
    return np.asarray(mean, dtype=probabilities[views[0]].dtype)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities of `float32 [..., K]`."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
