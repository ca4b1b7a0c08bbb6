"""InfoNCE with remembered keys as negatives (He et al. 2020, MoCo), and with given negatives only."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["intra_frame_loss", "queued_info_nce"]


def queued_info_nce(
    queries: Tensor, positives: Tensor, negatives: Tensor, *, temperature: float, rows_per_video: int = 0
) -> Tensor:
    """Each query must pick its positive among negatives: those that all queries share, and positives of other videos.

    -mean over r of log ( e^{q_r·k_r/τ} / ( e^{q_r·k_r/τ} + Σ_j e^{q_r·n_j/τ} + Σ_{s of another video} e^{q_r·k_s/τ} ) )

    Args:
        queries: unit length, `float [R, D]`.
        positives: unit length, `float [R, D]`.
        negatives: unit length, `float [K, D]`.
        temperature: τ.
        rows_per_video: so many rows in turn are of one video; 0 leaves the last sum out.

    Returns:
        Scalar.
    """
    own = (queries * positives).sum(dim=1, keepdim=True)  # [R, 1]
    cosines = [own, queries @ negatives.T]
    if rows_per_video:
        video = torch.arange(len(queries), device=queries.device) // rows_per_video
        cosines.append((queries @ positives.T).masked_fill(video[:, None] == video, -torch.inf))
    logits = torch.cat(cosines, dim=1) / temperature  # [R, 1 + K (+ R)]
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def intra_frame_loss(queries: Tensor, same: Tensor, different: Tensor, *, temperature: float) -> Tensor:
    """Each frame must prefer itself, seen otherwise, to another frame of its video, to each by itself.

    -mean over (b, m) of log ( e^{q_b·s_b/τ} / ( e^{q_b·s_b/τ} + e^{q_b·d_bm/τ} ) )

    Args:
        queries: unit length, `float [B, D]`.
        same: the same frame under another augmentation, `float [B, D]`.
        different: other frames of the same video, `float [B, M, D]`.
        temperature: τ.

    Returns:
        Scalar. Source: Kuang et al. 2021 (VCLR), intra-frame loss.
    """
    own = (queries * same).sum(dim=1, keepdim=True)  # [B, 1]
    others = torch.einsum("bd,bmd->bm", queries, different)  # [B, M]
    return F.softplus((others - own) / temperature).mean()
