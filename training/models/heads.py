"""Small networks on top of a backbone: the prediction head of the pre-training loss, and the classifiers."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from cocon.training.models.convgru import ConvGRU

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
        channels: D.
        num_classes: K.
        dropout: probability of a dropped unit before the linear layer.
    """

    def __init__(self, channels: int, num_classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Block feature maps `float [B, N, D, s, s]` to logits `float [B, K]`."""
        logits: Tensor = self.fc(self.dropout(self.bn(maps.mean(dim=(1, 3, 4)))))
        return logits

    @torch.no_grad()
    def take(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Become `weight · (x - mean) / scale + bias` of a feature x, in evaluation mode.

        Args:
            mean: `float [D]`.
            scale: positive, `float [D]`.
            weight: `float [K, D]`.
            bias: `float [K]`.
        """
        self.bn.reset_parameters()
        assert self.bn.running_mean is not None and self.bn.running_var is not None
        self.bn.running_mean.copy_(mean)
        # The scale goes into the weights: as a variance, that of small features would be lost in half precision.
        self.bn.running_var.fill_(1.0 - self.bn.eps)
        self.fc.weight.copy_(weight / scale)
        self.fc.bias.copy_(bias)

    def block_logits(self, maps: Tensor) -> Tensor:
        """The same maps to logits of each block alone, `float [B, N, K]`.

        In evaluation mode all of this is affine, so the logits of a clip are the mean of its blocks'.
        """
        B, N = maps.shape[:2]
        logits: Tensor = self(maps.reshape(B * N, 1, *maps.shape[2:])).reshape(B, N, -1)
        return logits


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
