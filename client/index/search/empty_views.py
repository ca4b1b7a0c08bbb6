"""Hits that are like their query because nobody is to be seen in either.

Where nobody is found, pose and mask are empty, and every empty clip has the same vector: two videos without a person
are as alike in these views as two can be, whatever they show. Nothing in an index says which clips are empty, nor need
it: encoders give two clips that are not the same pictures vectors that differ. Where all views are of people, the same
pictures are told from empty ones by a third video, which has that vector only where nobody is to be seen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.means import part_lengths
from cocon.video.views import VIEWS

__all__ = ["are_of_people", "shared_emptiness"]

# Batches of other sizes move a float32 vector by a millionth.
_SAME_COSINE = 1 - 1e-5


def are_of_people(views: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the views show people alone, and nothing where there are none: `bool [V]`."""
    return np.array([VIEWS[view].maker == "people" for view in views])


def shared_emptiness(
    widths_of: Mapping[str, int],
    queries: NDArray[np.float32],
    found: NDArray[np.float32],
    others: NDArray[np.float32],
    are_third: NDArray[np.bool_],
) -> list[tuple[str, ...]]:
    """The views in which a clip of a query and the clip that it found are both empty.

    Args:
        widths_of: Views that are fused, side by side in a vector → how many numbers each has, which is seen by their
            lengths, the same in all clips; in others nothing says where a view ends.
        queries: Clips that ask, of unit length, `float32 [n, D]`.
        found: Clips of other contents, likewise.
        others: Clips of the index, likewise, `float32 [m, D]`.
        are_third: Whether each of them is of another video than a pair's two: `bool [n, m]`.

    Returns:
        Of each pair, none where all views are the same, unless that is so of a third video too: then the pictures are.
    """
    all_clips, views, widths = np.concatenate([queries, found, others]), [*widths_of], [*widths_of.values()]
    if not len(queries) or len(part_lengths(all_clips, widths)) != len(views):
        return [()] * len(queries)
    asking, there, beside = (_unit_parts(each, widths) for each in (queries, found, others))
    are_same = np.stack([(one * other).sum(axis=1) for one, other in zip(asking, there, strict=True)], axis=1)
    are_same = are_same >= _SAME_COSINE  # [n, V]
    of_people = are_of_people(views)
    if of_people.all():
        are_alike = np.stack([one @ other.T for one, other in zip(there, beside, strict=True)], axis=2) >= _SAME_COSINE
        are_same &= (are_alike & are_third[:, :, None]).any(axis=1)
    else:
        are_same &= ~are_same[:, ~of_people].all(axis=1, keepdims=True)
    are_empty = are_same & of_people
    return [tuple(view for view, is_empty in zip(views, row, strict=True) if is_empty) for row in are_empty.tolist()]


def _unit_parts(vectors: NDArray[np.float32], widths: Sequence[int]) -> list[NDArray[np.float64]]:
    """Each view's part of vectors `[n, D]` by itself, of unit length: `[n, D_v]`."""
    parts = np.split(vectors.astype(np.float64), np.cumsum(widths)[:-1], axis=1)
    return [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), np.finfo(np.float64).tiny) for part in parts]
