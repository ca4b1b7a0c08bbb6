"""What an encoder asks of its trunk."""

from torch import Tensor, nn

__all__ = ["Trunk"]


class Trunk(nn.Module):
    """A network from frames to feature maps.

    Attributes:
        out_channels: D.
        checkpoint_activations: whether a training step keeps fewer activations and computes them again on the way
            back, where the trunk knows how.
    """

    out_channels: int
    checkpoint_activations = False

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, D, T', s, s]`."""
        raise NotImplementedError
