"""From a frame to its soft nearest neighbour in other videos, and back to its own video (CycleContrast)."""

import torch.nn.functional as F
from torch import Tensor

from cocon.training.losses.info_nce import queued_info_nce

__all__ = ["cycle_loss", "soft_nearest_neighbours"]


def soft_nearest_neighbours(queries: Tensor, neighbours: Tensor, *, temperature: float) -> Tensor:
    """normalise( Σ_j w_j u_j ), w = softmax over j of q·u_j / τ.

    Args:
        queries: unit length, `float [B, D]`; the gradient flows into them through the weights.
        neighbours: u, unit length, `float [U, D]`, without gradient.
        temperature: τ.

    Returns:
        Unit length, `float [B, D]`.
    """
    weights = (queries @ neighbours.T / temperature).softmax(dim=1)  # [B, U]
    return F.normalize(weights @ neighbours, dim=1)


def cycle_loss(
    queries: Tensor,
    positives: Tensor,
    neighbours: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    rows_per_video: int = 0,
) -> Tensor:
    """A query's soft nearest neighbour must be nearer to the query's own video than to others.

    Args:
        queries: frames, unit length, `float [B, D]`.
        positives: further frames of the same videos, unit length, `float [B, D]`.
        neighbours: where the soft nearest neighbour is sought, unit length, `float [U, D]`.
        negatives: unit length, `float [K, D]`.
        temperature: τ, of the weights and of the contrast.
        rows_per_video: see `queued_info_nce`.

    Returns:
        Scalar. Source: Wu and Wang 2021, cycle loss.
    """
    found = soft_nearest_neighbours(queries, neighbours, temperature=temperature)
    return queued_info_nce(found, positives, negatives, temperature=temperature, rows_per_video=rows_per_video)
