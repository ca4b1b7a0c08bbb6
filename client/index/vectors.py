"""What may enter an index."""

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError

__all__ = ["check_vectors"]

_UNIT_TOLERANCE = 1e-3


def check_vectors(vectors: NDArray[np.float32], embedding_dim: int, *, source: str) -> None:
    """Raise `MismatchError` unless `vectors` is `float32 [K, embedding_dim]`, finite and of unit length.

    FAISS itself accepts NaN and vectors of any length, and answers with nonsense.
    """
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != embedding_dim:
        found = f"{vectors.dtype} {list(vectors.shape)}"
        raise MismatchError(f"vectors of {source} are {found}, must be float32 [K, {embedding_dim}]")
    if not np.isfinite(vectors).all():
        raise MismatchError(f"vectors of {source} are not finite")
    worst = float(np.abs(np.linalg.norm(vectors, axis=1) - 1.0).max(initial=0.0))
    if worst > _UNIT_TOLERANCE:
        raise MismatchError(f"vectors of {source} are off unit length by {worst:.4f}, must be within {_UNIT_TOLERANCE}")
