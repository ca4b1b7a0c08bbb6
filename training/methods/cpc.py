"""Contrastive predictive coding on one view: predict the features of the last blocks from the first ones."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.training.methods.method import EncoderNetwork
from cocon.training.models.convgru import ConvGRU
from cocon.training.models.encoder import Encoder
from cocon.training.models.heads import PredictionHead

__all__ = ["Predictions", "PredictiveNetwork", "pool_cells"]

# The released code's guard against a zero vector.
_EPSILON = 1e-5


class Predictions(NamedTuple):
    """What the predictive network gives for B clips.

    Attributes:
        predicted: ẑ of the last P blocks, unit length over D, `float [B, P, D, s, s]`.
        targets: z of the last P blocks, unit length over D, `float [B, P, D, s, s]`.
        vectors: h of all blocks, unit length, `float [B·N, D]`.
    """

    predicted: Tensor
    targets: Tensor
    vectors: Tensor


class PredictiveNetwork(EncoderNetwork):
    """One view's encoder with the aggregator and the prediction head that pre-training needs.

    Args:
        encoder: what is kept afterwards.
        num_predicted: P, blocks to predict; the context is the N - P before them.
    """

    def __init__(self, encoder: Encoder, *, num_predicted: int) -> None:
        super().__init__(encoder)
        channels = encoder.backbone.out_channels
        self.aggregator = ConvGRU(channels)
        self.predictor = PredictionHead(channels)
        self.num_predicted = num_predicted

    def forward(self, clips: Tensor) -> Predictions:
        """From `uint8 [B, N, T, H, W, C]`. Every z, context and ẑ is normalised over D at each cell, in float32."""
        z = _unit(self.encoder.feature_maps(clips), dim=2)  # [B, N, D, s, s]
        context = _unit(self.aggregator.last_state(z[:, : -self.num_predicted]))  # [B, D, s, s]
        predicted = []
        for _ in range(self.num_predicted):
            predicted.append(_unit(self.predictor(context)))
            context = _unit(self.aggregator(predicted[-1], context))
        vectors = _unit(pool_cells(z.flatten(0, 1)))  # [B·N, D]
        return Predictions(torch.stack(predicted, dim=1), z[:, -self.num_predicted :], vectors)


def pool_cells(maps: Tensor) -> Tensor:
    """Parameter-free pooling of a square feature map `float [M, D, s, s]` to `float [M, D]`.

    Max-pooling by two until the side is two, then the mean: s = 2 averages, s = 4 takes one maximum first, s = 7 two.
    """
    while maps.shape[-1] > 2:
        maps = F.max_pool2d(maps, 2, padding=maps.shape[-1] % 2)
    return maps.mean(dim=(2, 3))


def _unit(x: Tensor, dim: int = 1) -> Tensor:
    x = x.float()  # autocast gives bfloat16
    return x / (torch.linalg.vector_norm(x, dim=dim, keepdim=True) + _EPSILON)
