"""Flow as the released code feeds it to its networks: in pixels of a picture larger than the network's input."""

import torch
from torch import nn

from cocon.embedding.contract import Normalisation
from cocon.training.models.encoder import Encoder
from cocon.video.views import VIEWS

__all__ = ["REST", "adapted_to_flow"]

REST = 128 / 255  # a byte / 255 that says no motion


def adapted_to_flow(encoder: Encoder, scale: float, there: Normalisation) -> tuple[Encoder, Normalisation]:
    """Give a flow encoder of the released code the input that it was trained on.

    There displacements stay in pixels of the picture that they were measured in, however much smaller the network's
    input is; here they are in pixels of that smaller view: for the same motion b' = 128 + s·(b - 128). What the network
    there makes of a byte b of a channel, (b/255 - m) / d, is thus (b'/255 - m') / (s·d) with
    m' = (128 - s·(128 - 255·m)) / 255.

    The factor goes into the first convolution, so that the divisor stays that of the view table; the mean cannot, for
    the convolution's padding is zero after the mean and not before it.

    Args:
        encoder: as read; its first convolution is changed in place.
        scale: s, side of the view over the side of the picture.
        there: m and d of each channel.

    Returns:
        An encoder of the same parts, and its normalisation, which the contract must carry.
    """
    std = VIEWS["flow"].std
    own = Normalisation(tuple(REST - scale * (REST - mean) for mean in there.mean), std)
    first = next(module for module in encoder.backbone.modules() if isinstance(module, nn.Conv3d))
    factors = torch.tensor([here / (scale * divisor) for here, divisor in zip(std, there.std, strict=True)])
    with torch.no_grad():
        first.weight.mul_(factors.reshape(1, -1, 1, 1, 1))  # [width, 2, 1, 7, 7]
    return Encoder(encoder.backbone, own.mean, own.std, encoder.classifier).eval(), own
