"""CoCon's cooperative losses between two views: L_sim and L_sync.

Both see one unit vector per (video, block) and view: h_v, `float [M, D]` with M = B·N, in the same order for all views.
D(a, b) = 1 - cos(a, b). Source: Rai et al. 2021, L_sim and L_sync.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["SimForm", "SyncForm", "centred", "sim_loss", "sync_loss"]

SimForm = Literal["balanced", "paper"]
SyncForm = Literal["l1", "squared", "paper"]

# One vector has no other to be compared with.
_LEAST_ROWS = 2


def centred(vectors: Tensor, kept: Tensor | None = None) -> Tensor:
    """unit(h - mean h): what a vector has beside what all of the batch have in common.

    Of such vectors L_sim and L_sync are no smaller where all embeddings become one, so nothing draws them there.

    Args:
        vectors: h, unit length, `float [M, D]`.
        kept: of which rows the mean is, `bool [M]`; None for all.
    """
    known = vectors if kept is None or not kept.any() else vectors[kept]
    return F.normalize(vectors.float() - known.float().mean(dim=0), dim=1)


def sim_loss(
    first: Tensor, second: Tensor, *, form: SimForm = "balanced", mu: float = 1.0, kept: Tensor | None = None
) -> Tensor:
    """L_sim: the same (video, block) near across views, different ones at least orthogonal.

    Args:
        first: h of one view, unit length, `float [M, D]`, M ≥ 2.
        second: h of the other view.
        form: `balanced` is the released code's: half the mean of D over the M positives plus half the mean of
            max(0, 1 - D) over the M² - M negatives. `paper` is the slides': the sum of D over the positives plus
            `mu` times the sum of max(0, 1 - D) over the negatives.
        mu: weight of the negatives in the paper's form.
        kept: which rows count, `bool [M]`; None for all.

    Returns:
        Scalar, the same when the views are exchanged; 0 of fewer than two rows.
    """
    if kept is not None:
        first, second = first[kept], second[kept]
        if len(first) < _LEAST_ROWS:
            return 0.0 * (first.sum() + second.sum())
    cosine = first.float() @ second.float().T  # [M, M]
    M = len(cosine)
    positives = 1.0 - cosine.diagonal()
    # max(0, 1 - D) = max(0, cos): the margin of 1 in D.
    negatives = cosine.clamp(min=0.0).sum() - cosine.diagonal().clamp(min=0.0).sum()
    if form == "paper":
        return positives.sum() + mu * negatives
    return 0.5 * positives.mean() + 0.5 * negatives / (M * M - M)


def sync_loss(first: Tensor, second: Tensor, *, form: SyncForm = "l1", kept: Tensor | None = None) -> Tensor:
    """L_sync: the pairwise distances inside one view equal those inside the other.

    Args:
        first: h of one view, unit length, `float [M, D]`.
        second: h of the other view, `float [M, D']`.
        form: `l1` is the released code's mean |ΔS| of the two M×M cosine matrices; `squared` is the mean of ΔS²;
            `paper` is the slides' sum of ΔS².
        kept: which rows count, `bool [M]`; None for all.

    Returns:
        Scalar, the same when the views are exchanged; 0 of fewer than two rows.
    """
    if kept is not None:
        first, second = first[kept], second[kept]
        if len(first) < _LEAST_ROWS:
            return 0.0 * (first.sum() + second.sum())
    difference = first.float() @ first.float().T - second.float() @ second.float().T  # [M, M]
    if form == "l1":
        return difference.abs().mean()
    squared = torch.square(difference)
    return squared.sum() if form == "paper" else squared.mean()
