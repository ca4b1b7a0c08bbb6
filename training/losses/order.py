"""Telling which of two tuples of frames was shuffled (VCLR)."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["order_loss", "shuffled_tuples"]

# Every permutation of three but the identity and the reversal, which looks like a video played backwards.
_SHUFFLES = ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1))


def shuffled_tuples(features: Tensor) -> tuple[Tensor, Tensor]:
    """Shuffle each tuple with probability one half; drawn from torch's global generator.

    Args:
        features: of three frames in order, `float [B, 3, D]`.

    Returns:
        The features in their new order, and whether each tuple was shuffled, `bool [B]`.
    """
    num_tuples = len(features)
    shuffles = torch.tensor(_SHUFFLES)[torch.randint(len(_SHUFFLES), (num_tuples,))]  # [B, 3]
    is_shuffled = torch.rand(num_tuples) < 0.5
    order = torch.where(is_shuffled[:, None], shuffles, torch.arange(3)).to(features.device)
    moved = features.gather(1, order[:, :, None].expand_as(features))
    return moved, is_shuffled.to(features.device)


def order_loss(logits: Tensor, is_query_shuffled: Tensor, is_key_shuffled: Tensor) -> Tensor:
    """Cross-entropy of the four cases: neither, the query, the key, both.

    Args:
        logits: `float [B, 4]`.
        is_query_shuffled: `bool [B]`.
        is_key_shuffled: `bool [B]`.

    Returns:
        Scalar. Source: Kuang et al. 2021 (VCLR), order loss.
    """
    return F.cross_entropy(logits, is_query_shuffled.long() + 2 * is_key_shuffled.long())
