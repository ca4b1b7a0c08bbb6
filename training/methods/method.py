"""What every pre-training method offers the loop: networks by view, and the loss of a batch.

And what several are built of: heads from pooled features to the vectors that are compared, and how far those spread.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.models.encoder import Encoder

__all__ = ["WHOLE", "EncoderNetwork", "Method", "MethodTerms", "ProjectionHead", "embedding_spread", "pooled_blocks"]

# From and to which share of training something lasts: all of it.
WHOLE = (0.0, 1.0)


class MethodTerms(NamedTuple):
    """One batch's loss and what to log of it.

    Attributes:
        total: scalar with gradient.
        logged: name → scalar without gradient, the same in every process; among them `loss` and each view's
            `spread/<view>`, but for views of which the batch shows too little.
    """

    total: Tensor
    logged: dict[str, Tensor]


class EncoderNetwork(nn.Module):
    """An encoder with whatever its method needs on top.

    Args:
        encoder: what is kept afterwards.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder


class Method(nn.Module):
    """A pre-training method.

    Args:
        networks: view → its encoder and heads.

    Attributes:
        collapse_remedy: what a user can change when embeddings collapse.
    """

    collapse_remedy = "lower optimizer.learning_rate"

    def __init__(self, networks: Mapping[str, EncoderNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)

    @property
    def encoders(self) -> dict[str, Encoder]:
        """View → its encoder, which is what training is for."""
        found = {}
        for view, network in self.networks.items():
            assert isinstance(network, EncoderNetwork)
            found[view] = network.encoder
        return found

    def forward(self, clips: Mapping[str, Tensor], progress: float) -> MethodTerms:
        """The loss of one batch.

        Args:
            clips: view → `uint8 [B, N, T, H, W, C]`, B the same videos in the same order for every view; what the N
                blocks are to each other is the method's sampler's business.
            progress: share of training done, 0..1.
        """
        raise NotImplementedError

    def full_loss(self, means: Mapping[str, float]) -> float:
        """What the plateau schedule follows, from the means of what was logged: comparable over a whole training."""
        return means["loss"]

    def rate_period(self, progress: float) -> tuple[float, float]:
        """From and to which share of training the learning rate falls once; a method with stages begins each anew.

        Args:
            progress: share of training done, 0..1.
        """
        return WHOLE

    def ease(self, factor: float, since: float) -> bool:
        """Weigh the terms that can make embeddings collapse with a factor, and let them rise anew.

        Args:
            factor: of what was asked for, 1 for all of it.
            since: share of training done, 0..1, from which on they rise.

        Returns:
            False if the method has no such terms, and nothing changes.
        """
        return False

    def encoders_replaced(self) -> None:
        """Called when other weights have been put into the encoders, before anything is trained."""

    def after_step(self) -> None:
        """Called when the optimizer has taken a step, by every process at once."""


class ProjectionHead(nn.Sequential):
    """Two layers with a ReLU between: D → D → `out_dim`.

    Args:
        in_dim: D.
        out_dim: of the projection.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__(nn.Linear(in_dim, in_dim), nn.ReLU(inplace=True), nn.Linear(in_dim, out_dim))

    def unit(self, features: Tensor) -> Tensor:
        """Projections of unit length, float32, of `float [..., D]`."""
        return F.normalize(self(features).float(), dim=-1)


def pooled_blocks(maps: Tensor) -> Tensor:
    """Feature maps `float [B, N, D, s, s]` to their means over space `[B, N, D]`."""
    return maps.mean(dim=(3, 4))


@torch.no_grad()
def embedding_spread(vectors: Tensor) -> Tensor:
    """Mean standard deviation of unit vectors `float [M, D]` times √D: near 1 when spread out, 0 when collapsed."""
    return vectors.float().std(dim=0, correction=0).mean() * vectors.shape[1] ** 0.5
