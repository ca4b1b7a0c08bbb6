"""InfoNCE over every cell of every predicted block: CoCon's L_cpc."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["dense_info_nce", "dense_top1"]


def dense_info_nce(predictions: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """Each predicted cell must pick its own target among all target cells of the batch.

    -mean over (b, i, k) of log softmax over (b', i', k') of ẑ_bik · z_b'i'k' / τ at (b, i, k). The negatives are the
    other cells of the same block (spatial), the same cell at other times (temporal) and all other videos (easy).

    Args:
        predictions: ẑ, unit length over D, `float [B, P, D, s, s]`.
        targets: z, unit length over D, the same shape.
        temperature: τ. The paper's formula divides by τ once; the released code divides both factors, that is by τ².

    Returns:
        Scalar. Source: Rai et al. 2021, L_cpc.
    """
    logits = _logits(predictions, targets) / temperature  # [B·P·s², B·P·s²]
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@torch.no_grad()
def dense_top1(predictions: Tensor, targets: Tensor) -> Tensor:
    """Share of predicted cells whose nearest target is their own; arguments as in `dense_info_nce`."""
    best = _logits(predictions, targets).argmax(dim=1)
    return (best == torch.arange(len(best), device=best.device)).float().mean()


def _logits(predictions: Tensor, targets: Tensor) -> Tensor:
    rows, columns = (x.permute(0, 1, 3, 4, 2).flatten(0, 3) for x in (predictions, targets))  # each [B·P·s², D]
    return rows.float() @ columns.float().T
