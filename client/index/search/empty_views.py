"""Hits that are like their query because nobody is to be seen in either.

Where nobody is found, pose and mask are empty, and every empty clip has the same vector: two videos without a person
are as alike in these views as two can be, whatever they show. Nothing in an index says which clips are empty, nor need
it: encoders give two clips that are not the same pictures vectors that differ.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.video.views import VIEWS

__all__ = ["shared_emptiness"]

# Batches of other sizes move a float32 vector by a millionth.
_SAME_COSINE = 1 - 1e-5


def shared_emptiness(
    views: Sequence[str], queries: NDArray[np.float32], found: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    """The views in which a clip of a query and the clip that it found are both empty.

    Args:
        views: That are fused, side by side in a vector and of one width; in others nothing says where a view ends.
        queries: Clips that ask, of unit length, `float32 [n, D]`.
        found: Clips of other contents, likewise.

    Returns:
        Of each pair, none where all views are the same: then the pictures are.
    """
    if not len(queries) or queries.shape[1] % len(views):
        return [()] * len(queries)
    parts = [each.astype(np.float64).reshape(len(each), len(views), -1) for each in (queries, found)]  # [n, V, D / V]
    lengths = [np.maximum(np.linalg.norm(part, axis=2), np.finfo(np.float64).tiny) for part in parts]
    are_same = (parts[0] * parts[1]).sum(axis=2) / (lengths[0] * lengths[1]) >= _SAME_COSINE  # [n, V]
    are_of_people = np.array([VIEWS[view].maker == "people" for view in views])
    if not are_of_people.all():
        are_same &= ~are_same[:, ~are_of_people].all(axis=1, keepdims=True)
    are_empty = are_same & are_of_people
    return [tuple(view for view, is_empty in zip(views, row, strict=True) if is_empty) for row in are_empty.tolist()]
