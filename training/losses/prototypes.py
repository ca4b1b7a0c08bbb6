"""Samples assigned softly to prototypes, and each sample's assignment predicted from the others of the same moment.

Source: Caron et al. 2020 (SwAV), Toering et al. 2022 (ViCC).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["sinkhorn", "swapped_prediction_loss"]


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """The assignment nearest to the scores in which prototypes have equal shares and every sample is assigned once.

    Q = e^{scores/ε}, then `iterations` times: every prototype's column is brought to the sum 1/P, every sample's row to
    1/M. Computed with logarithms, so nothing overflows however small ε is.

    Args:
        scores: cosines of samples and prototypes, `float [M, P]`, of all processes together.
        epsilon: ε; the smaller, the harder the assignments.
        iterations: of both steps.

    Returns:
        `float [M, P]`, rows of sum 1, without gradient.
    """
    logs = scores.float() / epsilon
    for _ in range(iterations):
        logs = logs - torch.logsumexp(logs, dim=0, keepdim=True)  # constant factors cancel in the next step
        logs = logs - torch.logsumexp(logs, dim=1, keepdim=True)
    return logs.exp()


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
