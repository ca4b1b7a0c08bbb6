"""Predicting each sample's assignment from every other one of the same moment (SwAV, ViCC)."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["swapped_prediction_loss"]


def swapped_prediction_loss(codes: Sequence[Tensor], scores: Sequence[Tensor], *, temperature: float) -> Tensor:
    """Mean over i, mean over j ≠ i, of the cross-entropy of q_i and softmax(scores_j / τ), mean over the batch.

    Args:
        codes: q, soft assignments without gradient, each `float [B, P]`, one per sample of a video.
        scores: cosines with the prototypes, each `float [B, P]`, in the same order.
        temperature: τ.

    Returns:
        Scalar. Source: Caron et al. 2020 for two samples, Toering et al. 2022 (ViCC) for four.
    """
    logs = [torch.log_softmax(each / temperature, dim=1) for each in scores]
    terms = [-(code * log).sum(dim=1).mean() for i, code in enumerate(codes) for j, log in enumerate(logs) if i != j]
    return torch.stack(terms).mean()
