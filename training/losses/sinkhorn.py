"""Soft assignments of samples to prototypes that use all prototypes alike (Caron et al. 2020, SwAV)."""

import torch
from torch import Tensor

__all__ = ["sinkhorn"]


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
