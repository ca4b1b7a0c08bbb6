"""What an encoder asks of its trunk."""

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["Trunk"]


class Trunk(nn.Module):
    """A network from frames to feature maps.

    Attributes:
        out_channels: D.
        checkpoint_activations: whether a training step keeps fewer activations and computes them again on the way
            back, where the trunk knows how.
        stage_names: stages whose maps can be had, the last one being that of `forward`.
    """

    out_channels: int
    checkpoint_activations = False
    stage_names: Sequence[str] = ()

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, D, T', s, s]`."""
        raise NotImplementedError

    def stage_maps(self, x: Tensor, stage: str) -> Tensor:
        """The maps of one of `stage_names`: `float [B, C, T, H, W]` to `float [B, D', T', h, w]`."""
        raise NotImplementedError
