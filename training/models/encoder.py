"""The encoder of one view: what is trained, kept, exported and served."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.models.backbones import BACKBONES
from cocon.training.models.heads import CLASSIFIERS
from cocon.training.models.trunk import Trunk
from cocon.video.errors import UsageError
from cocon.video.views import View

__all__ = ["Encoder", "EncoderOutputs", "build_encoder"]


class EncoderOutputs(NamedTuple):
    """What an encoder gives for B clips.

    Attributes:
        embedding: unit-length mean of `blocks`, `float [B, D]`.
        blocks: unit-length block features, `float [B, N, D]`.
        logits: `float [B, K]`, or None without a classifier.
    """

    embedding: Tensor
    blocks: Tensor
    logits: Tensor | None


class Encoder(nn.Module):
    """Backbone, pooling and an optional classifier, on uint8 clips.

    Args:
        backbone: the trunk.
        mean: per-channel mean of a byte / 255.
        std: per-channel divisor.
        classifier: takes `[B, N, D, s, s]`, gives logits; or None.

    Attributes:
        normalisation: mean and divisor, as they were given.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: Trunk, mean: Sequence[float], std: Sequence[float], classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.embedding_dim = backbone.out_channels
        # Constants of the view, not learned state: the contract carries them.
        self.register_buffer("mean", torch.empty(len(mean)), persistent=False)
        self.register_buffer("std", torch.empty(len(std)), persistent=False)
        self.normalise_by(Normalisation(tuple(mean), tuple(std)))

    def normalise_by(self, normalisation: Normalisation) -> None:
        """Take another mean and divisor, of as many channels."""
        self.normalisation = normalisation
        self.mean.copy_(255.0 * torch.tensor(normalisation.mean))
        self.std.copy_(255.0 * torch.tensor(normalisation.std))

    def feature_maps(self, clips: Tensor) -> Tensor:
        """`uint8 [B, N, T, H, W, C]` to block feature maps `float [B, N, D, s, s]`, averaged over a block's time."""
        B, N, T, H, W, C = clips.shape
        # In place on the copy that the bytes become: new memory costs more than the arithmetic.
        x = clips.reshape(B * N, T, H, W, C).float().sub_(self.mean).div_(self.std)  # [B·N, T, H, W, C]
        maps = self.backbone(x.permute(0, 4, 1, 2, 3)).mean(dim=2)  # [B·N, D, s, s]
        return maps.reshape(B, N, *maps.shape[1:])  # [B, N, D, s, s]

    def forward(self, clips: Tensor) -> EncoderOutputs:
        """Embed `uint8 [B, N, T, H, W, C]`."""
        return self.outputs(self.feature_maps(clips))

    def outputs(self, maps: Tensor) -> EncoderOutputs:
        """What clips amount to, from the feature maps of their blocks `float [B, N, D, s, s]`."""
        blocks = F.normalize(maps.mean(dim=(3, 4)), dim=-1)  # [B, N, D]
        logits = None if self.classifier is None else self.classifier(maps)
        return EncoderOutputs(F.normalize(blocks.mean(dim=1), dim=-1), blocks, logits)


def build_encoder(spec: EncoderSpec, view: View, *, num_classes: int = 0) -> Encoder:
    """Build the network that a contract or a configuration describes.

    Args:
        spec: architecture.
        view: row of the view table.
        num_classes: K; 0 leaves the classifier out.

    Raises:
        UsageError: unknown backbone or classifier.
    """
    if spec.backbone not in BACKBONES:
        raise UsageError(f"backbone '{spec.backbone}' is unknown; available: {', '.join(BACKBONES)}")
    if num_classes and spec.classifier not in CLASSIFIERS:
        raise UsageError(f"classifier '{spec.classifier}' is unknown; available: {', '.join(CLASSIFIERS)}")
    backbone = BACKBONES[spec.backbone](view.channels, spec.blocks_per_stage, width=spec.width)
    classifier = CLASSIFIERS[spec.classifier](backbone.out_channels, num_classes) if num_classes else None
    return Encoder(backbone, view.mean, view.std, classifier)
