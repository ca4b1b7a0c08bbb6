"""Small networks on top of a backbone: the prediction head of the pre-training loss, and the classifiers."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.models.convgru import ConvGRU
from cocon.training.models.pooling import cell_features, part_means

__all__ = ["CLASSIFIERS", "GRUClassifier", "MeanClassifier", "PredictionHead"]


class PredictionHead(nn.Module):
    """φ: two 1×1 convolutions with a ReLU between, from a context to the next block's feature.

    Args:
        channels: D.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(channels, channels, 1) for _ in range(2)]
        for layer in layers:
            nn.init.orthogonal_(layer.weight)
        self.layers = nn.Sequential(layers[0], nn.ReLU(inplace=True), layers[1])

    def forward(self, context: Tensor) -> Tensor:
        """`float [B, D, s, s]` to the same shape."""
        prediction: Tensor = self.layers(context)
        return prediction


class MeanClassifier(nn.Module):
    """BatchNorm, dropout and a linear layer on the mean block feature before normalisation.

    Args:
        channels: of the maps.
        num_classes: K.
        dropout: probability of a dropped unit before the linear layer.
        cells: places of the picture that a block's feature keeps apart, cells × cells.
        num_parts: P, parts of a clip whose mean features stand side by side.
    """

    def __init__(
        self, channels: int, num_classes: int, *, dropout: float = 0.0, cells: int = 1, num_parts: int = 1
    ) -> None:
        super().__init__()
        self.cells, self.num_parts = cells, num_parts
        num_features = num_parts * cells**2 * channels
        self.bn = nn.BatchNorm1d(num_features)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(num_features, num_classes)

    def features(self, maps: Tensor) -> Tensor:
        """Block feature maps `float [B, N, channels, s, s]` to the features of clips, `float [B, P·D]`."""
        if self.cells == self.num_parts == 1:
            return maps.mean(dim=(1, 3, 4))
        return part_means(cell_features(maps, self.cells), self.num_parts).flatten(1)

    def forward(self, maps: Tensor) -> Tensor:
        """Block feature maps `float [B, N, channels, s, s]` to logits `float [B, K]`."""
        logits: Tensor = self.fc(self.dropout(self.bn(self.features(maps))))
        return logits

    @torch.no_grad()
    def take(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor, *, is_trained: bool = False) -> None:
        """Become `weight · (x - mean) / scale + bias` of a feature x, in evaluation mode.

        Args:
            mean: `float [P·D]`.
            scale: positive, `float [P·D]`.
            weight: `float [K, P·D]`.
            bias: `float [K]`.
            is_trained: it is trained from there, where batches scale features by what they are.
        """
        self.bn.reset_parameters()
        assert self.bn.running_mean is not None and self.bn.running_var is not None
        self.bn.running_mean.copy_(mean)
        # Else the scale goes into the weights: as a variance, that of small features would be lost in half precision.
        self.bn.running_var.copy_(scale**2 if is_trained else torch.full_like(scale, 1.0 - self.bn.eps))
        self.fc.weight.copy_(weight if is_trained else weight / scale)
        self.fc.bias.copy_(bias)

    def block_logits(self, maps: Tensor) -> Tensor:
        """The same maps to what each block alone says as a member of each part, `float [B, N, P·K]`.

        In evaluation mode all of this is affine, so the logits of a clip are the sum over parts of the mean over their
        blocks: with one part the mean of its blocks'.
        """
        B, N = maps.shape[:2]
        if self.num_parts == 1:
            logits: Tensor = self(maps.reshape(B * N, 1, *maps.shape[2:])).reshape(B, N, -1)
            return logits
        features = cell_features(maps, self.cells).flatten(0, 1)  # [B·N, D]
        return torch.cat([self._of_part(features, part) for part in range(self.num_parts)], dim=1).reshape(B, N, -1)

    def _of_part(self, features: Tensor, part: int) -> Tensor:
        """The share of one part in the logits, of block features `float [M, D]`: `float [M, K]`."""
        own = slice(part * features.shape[1], (part + 1) * features.shape[1])
        bn = self.bn
        assert bn.running_mean is not None and bn.running_var is not None
        normed = F.batch_norm(
            features, bn.running_mean[own], bn.running_var[own], bn.weight[own], bn.bias[own], eps=bn.eps
        )
        return F.linear(normed, self.fc.weight[:, own], self.fc.bias / self.num_parts)


class GRUClassifier(nn.Module):
    """The paper's classifier: ConvGRU over all blocks, mean over cells, BatchNorm, dropout, linear.

    Args:
        channels: D.
        num_classes: K.
        dropout: probability of a dropped unit before the linear layer.
        normalised: whether the feature of each cell is scaled to unit length first, as in pre-training; the released
            fine-tuning code leaves it as it is.
    """

    def __init__(self, channels: int, num_classes: int, *, dropout: float = 0.5, normalised: bool = True) -> None:
        super().__init__()
        self.normalised = normalised
        self.aggregator = ConvGRU(channels)
        self.bn = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Block feature maps `float [B, N, D, s, s]` to logits `float [B, K]`."""
        cells = torch.nn.functional.normalize(maps, dim=2, eps=1e-5) if self.normalised else maps
        context = self.aggregator.last_state(cells)  # [B, D, s, s]
        logits: Tensor = self.fc(self.dropout(self.bn(context.mean(dim=(2, 3)))))
        return logits


CLASSIFIERS: dict[str, Callable[..., nn.Module]] = {
    "mean": MeanClassifier,
    "gru": GRUClassifier,
    "gru_raw": partial(GRUClassifier, normalised=False),
}
