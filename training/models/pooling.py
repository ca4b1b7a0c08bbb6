"""How block features and clip vectors come out of feature maps; parameter-free but for what is learned beside them.

    blocks = F.normalize(cell_features(maps, cells=2), dim=-1)      # float [B, N, 4·D]: what is where
    vector = part_vectors(blocks, num_parts=3)                      # float [B, 3·4·D]: what comes when

All sizes are known when a graph is exported, so there it is slices, means and one concatenation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.embedding.videos.clip_vectors import part_bounds

__all__ = ["cell_features", "part_means", "part_vectors"]


def cell_features(maps: Tensor, cells: int) -> Tensor:
    """Means of a feature map over cells × cells places of the picture, place by place.

    Args:
        maps: `float [..., D, s, s]`.
        cells: 1 is the mean of the whole map. Where s is no multiple of it, places overlap by a row and a column.

    Returns:
        `float [..., cells²·D]`.

    Raises:
        UsageError: the maps have fewer than cells × cells places.
    """
    if cells == 1:
        return maps.mean(dim=(-2, -1))
    height, width = map(int, maps.shape[-2:])  # the tracer of TorchScript has tensors
    if cells > min(height, width):
        raise UsageError(
            f"model.cells ({cells}) must be at most the side of the feature map ({min(height, width)}); lower it, or "
            "raise crop_px"
        )
    rows, columns = _bounds(height, cells), _bounds(width, cells)
    places = [maps[..., top:bottom, left:right] for top, bottom in rows for left, right in columns]
    return torch.cat([place.mean(dim=(-2, -1)) for place in places], dim=-1)


def part_means(blocks: Tensor, num_parts: int) -> Tensor:
    """Means of the blocks of each part of a clip (`part_bounds`), `float [B, N, D]` to `float [B, P, D]`."""
    bounds = part_bounds(int(blocks.shape[1]), num_parts)
    return torch.stack([blocks[:, begin:end].mean(dim=1) for begin, end in bounds], dim=1)


def part_vectors(blocks: Tensor, num_parts: int) -> Tensor:
    """Unit vectors of clips `float [B, P·D]` from those of their blocks `float [B, N, D]`; see `clip_vectors`."""
    if num_parts == 1:
        return F.normalize(blocks.mean(dim=1), dim=-1)
    parts = F.normalize(part_means(blocks, num_parts), dim=-1)
    return F.normalize(parts.flatten(1), dim=-1)


def _bounds(side: int, cells: int) -> list[tuple[int, int]]:
    """Rows, or columns, of each place, as an adaptive average takes them."""
    return [(cell * side // cells, -(-(cell + 1) * side // cells)) for cell in range(cells)]
