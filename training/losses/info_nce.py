"""InfoNCE over every cell of every predicted block (CoCon's L_cpc), with remembered keys, and with given negatives.

Source of remembered keys: He et al. 2020 (MoCo).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Answerable", "dense_info_nce", "dense_top1", "intra_frame_loss", "queued_info_nce"]


class Answerable(NamedTuple):
    """Which blocks of a batch take part in L_cpc; all do where this is None.

    Attributes:
        asked: whether a block is to be predicted, `bool [B, P]`.
        offered: whether it is among the targets, `bool [B, P]`; all that are asked are.
    """

    asked: Tensor
    offered: Tensor


def dense_info_nce(
    predictions: Tensor, targets: Tensor, *, temperature: float, blocks: Answerable | None = None
) -> Tensor:
    """Each predicted cell must pick its own target among all target cells of the batch.

    -mean over (b, i, k) of log softmax over (b', i', k') of ẑ_bik · z_b'i'k' / τ at (b, i, k). The negatives are the
    other cells of the same block (spatial), the same cell at other times (temporal) and all other videos (easy).

    Args:
        predictions: ẑ, unit length over D, `float [B, P, D, s, s]`.
        targets: z, unit length over D, the same shape.
        temperature: τ. The paper's formula divides by τ once; the released code divides both factors, that is by τ².
        blocks: which take part; None for all.

    Returns:
        Scalar, 0 where no block is asked. Source: Rai et al. 2021, L_cpc.
    """
    cosines, own = _cosines(predictions, targets, blocks)
    if not len(own):
        return 0.0 * (predictions.sum() + targets.sum())
    return F.cross_entropy(cosines / temperature, own)


@torch.no_grad()
def dense_top1(predictions: Tensor, targets: Tensor, blocks: Answerable | None = None) -> Tensor:
    """Share of predicted cells whose nearest target is their own, 0 of none; arguments as in `dense_info_nce`."""
    cosines, own = _cosines(predictions, targets, blocks)
    if not len(own):
        return predictions.new_zeros(())
    return (cosines.argmax(dim=1) == own).float().mean()


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


def _cosines(predictions: Tensor, targets: Tensor, blocks: Answerable | None) -> tuple[Tensor, Tensor]:
    """Cosines `float [R, C]` of R predicted cells and C target cells; which target is each one's own, `int64 [R]`."""
    rows, columns = (x.permute(0, 1, 3, 4, 2).flatten(0, 3) for x in (predictions, targets))  # each [B·P·s², D]
    own = torch.arange(len(rows), device=rows.device)
    if blocks is not None:
        cells = predictions.shape[3] * predictions.shape[4]
        asked, offered = (of.flatten().repeat_interleave(cells) for of in blocks)  # each [B·P·s²]
        own = (offered.cumsum(0) - 1)[asked]
        rows, columns = rows[asked], columns[offered]
    return rows.float() @ columns.float().T, own
