"""An encoder read from a checkpoint of another project, before it becomes part of a run; and its flow.

The released code feeds flow to its networks in pixels of a picture larger than the network's input.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import nn

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.models.encoder import Encoder
from cocon.video.views import VIEWS

__all__ = ["REST", "Layout", "SourceEncoder", "adapted_to_flow"]

REST = 128 / 255  # a byte / 255 of flow that says no motion

# Published are 64 channels, and classifiers of some hundred classes. What a file claims is built before it is compared.
_MAX_WIDTH, _MAX_CLASSES = 256, 100_000


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

    def checked(self, path: Path) -> Self:
        """Itself, for the checkpoint at `path`; raises `MismatchError` where no network of that size is built here."""
        if not 0 < self.width <= _MAX_WIDTH or self.num_classes > _MAX_CLASSES:
            raise MismatchError(
                f"'{path}' has {self.width} channels in its first stage and {self.num_classes} classes; supported are "
                f"1 to {_MAX_WIDTH} channels and at most {_MAX_CLASSES} classes"
            )
        return self


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
    the convolution's padding is zero after the mean and not before it. A constant plane stays what it is.

    Args:
        encoder: as read; changed in place.
        scale: s, side of the view over the side of the picture.
        there: m and d of each channel.

    Returns:
        The encoder, with a normalisation of its own, which the contract must carry.
    """
    std = VIEWS["flow"].std
    own_mean = tuple(REST - scale * (REST - mean) for mean in there.mean)
    first = next(module for module in encoder.backbone.modules() if isinstance(module, nn.Conv3d))
    factors = torch.tensor([here / (scale * divisor) for here, divisor in zip(std, there.std, strict=True)])
    with torch.no_grad():
        first.weight[:, : len(factors)] *= factors.reshape(1, -1, 1, 1, 1)  # [width, 2, 1, 7, 7] of u and v
    encoder.normalise_by(Normalisation(own_mean, std, there.plane))
    return encoder
