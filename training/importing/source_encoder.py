"""An encoder read from a checkpoint of another project, before it becomes part of a run; and its flow.

The released code feeds flow to its networks in pixels of a picture larger than the network's input.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.models.encoder import Encoder
from cocon.video.views import VIEWS

__all__ = ["REST", "Layout", "Source", "SourceEncoder", "adapted_to_flow"]

Source = Literal["cocon", "dpc", "vicc", "vclr", "cyclecontrast", "torchvision"]

REST = 128 / 255  # a byte / 255 of flow that says no motion


@dataclass(frozen=True, slots=True)
class Layout:
    """What the names and shapes of a state dict tell of its network.

    Attributes:
        depth: name of the residual blocks per stage, such as `resnet18`; of the trunk where it has none to count.
        width: channels of the first stage.
        in_channels: channels of the network's input there.
        num_classes: K of a fine-tuned classifier; 0 for a network in pre-training.
        has_statistics: whether batch normalisation kept running statistics.
    """

    depth: str
    width: int
    in_channels: int
    num_classes: int = 0
    has_statistics: bool = True


@dataclass(frozen=True, slots=True)
class SourceEncoder:
    """One checkpoint, loaded.

    Attributes:
        checkpoint: where it is from.
        view: name of the view it sees.
        layout: what the checkpoint's names and shapes told.
        spec: architecture here.
        encoder: in evaluation mode; its input is normalised as the view table has it, or by its own numbers.
        left_out: what of the state dict has no place here, such as `prototypes.*`.
        flow_input: what the network there makes of a byte of flow; None for other views.
        form: who saves a network like that, such as `MoCo`, where that is not the source itself.
    """

    checkpoint: Checkpoint
    view: str
    layout: Layout
    spec: EncoderSpec
    encoder: Encoder = field(repr=False)
    left_out: tuple[str, ...] = ()
    flow_input: Normalisation | None = None
    form: str = ""


def adapted_to_flow(encoder: Encoder, scale: float, there: Normalisation) -> Encoder:
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
        An encoder of the same parts with a normalisation of its own, which the contract must carry.
    """
    std = VIEWS["flow"].std
    own_mean = tuple(REST - scale * (REST - mean) for mean in there.mean)
    first = next(module for module in encoder.backbone.modules() if isinstance(module, nn.Conv3d))
    factors = torch.tensor([here / (scale * divisor) for here, divisor in zip(std, there.std, strict=True)])
    with torch.no_grad():
        first.weight.mul_(factors.reshape(1, -1, 1, 1, 1))  # [width, 2, 1, 7, 7]
    return Encoder(encoder.backbone, own_mean, std, encoder.classifier).eval()
