"""Some of many, always the same."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["sample_of"]


def sample_of(values: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """At most `count` of rising values, in their order: `int64 [min(n, count)]`."""
    if count >= len(values):
        return values
    return np.sort(np.random.default_rng(seed).choice(values, count, replace=False))
