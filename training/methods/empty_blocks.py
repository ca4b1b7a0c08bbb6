"""Blocks of a view that show nothing: where nobody was found, pose and mask are the same picture in every video.

Their embeddings are all alike, whatever is learned. Compared across views they would draw those of every other view to
one, so they take no part in any loss, and spread is measured without them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from cocon.training.distributed import gathered
from cocon.training.losses.info_nce import Answerable
from cocon.training.methods.method import embedding_spread
from cocon.video.views import view_named

__all__ = ["answerable_blocks", "empty_blocks", "empty_blocks_of_all", "shown_in_both", "spread_of_shown"]

# Blocks of fewer videos spread little, however good they are.
_LEAST_VIDEOS = 3


def empty_blocks(clips: Tensor, view: str) -> Tensor:
    """Whether every byte of a block is the view's neutral one, `bool [B, N]`, of clips `uint8 [B, N, T, H, W, C]`."""
    return (clips == view_named(view).neutral).flatten(2).all(dim=2)


def empty_blocks_of_all(clips: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """View → `empty_blocks` of the clips of every process, `bool [W·B, N]`."""
    return {view: gathered(empty_blocks(of, view).to(torch.uint8)).bool() for view, of in clips.items()}


def answerable_blocks(is_empty: Tensor, num_predicted: int) -> Answerable | None:
    """What L_cpc asks of clips whose last blocks are predicted; None where nothing is empty.

    An empty block is no target. A clip that shows nothing before predicts nothing; what it shows then is a target.

    Args:
        is_empty: of all blocks, `bool [B, N]`.
        num_predicted: P of them, the last ones, are predicted.
    """
    if not is_empty.any():
        return None
    offered = ~is_empty[:, -num_predicted:]
    has_context = ~is_empty[:, :-num_predicted].all(dim=1, keepdim=True)
    return Answerable(offered & has_context, offered)


def shown_in_both(first: Tensor, second: Tensor) -> Tensor | None:
    """Which blocks are empty in neither of two views, `bool [B·N]`; None for all of them."""
    is_empty = first | second
    return ~is_empty.flatten() if is_empty.any() else None


def spread_of_shown(vectors: Tensor, is_empty: Tensor) -> Tensor | None:
    """Spread of the blocks that show something; None where too few videos do.

    Args:
        vectors: unit vectors of all blocks, video by video, `float [B·N, D]`.
        is_empty: `bool [B, N]`.
    """
    if not is_empty.any():
        return embedding_spread(vectors)
    if int((~is_empty).any(dim=1).sum()) < min(_LEAST_VIDEOS, len(is_empty)):
        return None
    return embedding_spread(vectors[~is_empty.flatten()])
