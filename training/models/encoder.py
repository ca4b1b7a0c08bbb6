"""The encoder of one view: what is trained, kept, exported and served."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.models.heads import CLASSIFIERS, MeanClassifier
from cocon.training.models.inflated import InflatedBottleneckResNet, InflatedResNet
from cocon.training.models.learned_pooling import LearnedPooling
from cocon.training.models.pooling import cell_features, part_vectors
from cocon.training.models.r2plus1d import R2Plus1d
from cocon.training.models.resnet2d import BottleneckResNet2d, ResNet2d
from cocon.training.models.resnet2d3d import RectifiedResNet2d3d, ResNet2d3d
from cocon.training.models.s3d import S3d
from cocon.training.models.trunk import Trunk
from cocon.video.views import View

__all__ = ["BACKBONES", "Encoder", "EncoderOutputs", "build_classifier", "build_encoder", "default_device"]

# (channels of the view, residual blocks per stage, width=channels of the first stage) → trunk
BACKBONES: Mapping[str, Callable[..., Trunk]] = MappingProxyType(
    {
        "resnet2d3d": ResNet2d3d,
        "resnet2d3d_relu": RectifiedResNet2d3d,
        "resnet2d": ResNet2d,
        "resnet2d_bottleneck": BottleneckResNet2d,
        "resnet2d3d_inflated": InflatedResNet,
        "resnet2d3d_inflated_bottleneck": InflatedBottleneckResNet,
        "s3d": S3d,
        "s3d_kinetics": partial(S3d, as_on_kinetics=True),
        "r2plus1d": R2Plus1d,
        "r2plus1d_vicc": partial(R2Plus1d, fully_factored=True),
    }
)


class EncoderOutputs(NamedTuple):
    """What an encoder gives for B clips.

    Attributes:
        embedding: unit-length vector of each clip, by the encoder's pooling, `float [B, P·D]`.
        blocks: unit-length block features, `float [B, N, D]`.
        logits: `float [B, K]`, or None without a classifier.
        block_logits: what each block says as a member of each part, `float [B, N, P·K]`, of which `logits` come, see
            `clip_logits`; None in training mode, and without a `MeanClassifier`.
    """

    embedding: Tensor
    blocks: Tensor
    logits: Tensor | None
    block_logits: Tensor | None


class Encoder(nn.Module):
    """Backbone, pooling and an optional classifier, on uint8 clips.

    Args:
        backbone: the trunk.
        mean: per-channel mean of a byte / 255.
        std: per-channel divisor.
        classifier: takes `[B, N, channels, s, s]`, gives logits; or None.
        spec: how feature maps become vectors of blocks and clips, by its `cells` and `pooling`; the mean of everything
            by default.

    Attributes:
        embedding_dim: D of a block's vector, cells² · channels of the trunk.
        pooler: makes vectors of clips where that is learned; None elsewhere.
        normalisation: mean and divisor, as they were given.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Trunk,
        mean: Sequence[float],
        std: Sequence[float],
        classifier: nn.Module | None = None,
        *,
        spec: EncoderSpec | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.cells, self.num_parts = (1, 1) if spec is None else (spec.cells, spec.num_parts)
        self.embedding_dim = self.cells**2 * backbone.out_channels
        is_learned = spec is not None and spec.pools_whole_clips
        self.pooler = LearnedPooling(self.embedding_dim) if is_learned else None
        # Constants of the view, not learned state: the contract carries them.
        self.register_buffer("mean", torch.empty(len(mean)), persistent=False)
        self.register_buffer("std", torch.empty(len(std)), persistent=False)
        self.normalisation = Normalisation(tuple(mean), tuple(std))
        self.normalise_by(self.normalisation)

    def normalise_by(self, normalisation: Normalisation) -> None:
        """Take another mean and divisor, of as many channels.

        Where it brings a constant plane that there was none of, or the other way round, the first convolution becomes
        another one, with kernels of a channel more, which are zero, or less: whoever trains it must do so afterwards.
        """
        if (normalisation.plane is None) != (self.normalisation.plane is None):
            _resize_stem(self.backbone, len(normalisation.mean) + (normalisation.plane is not None))
        self.normalisation = normalisation
        self.mean.copy_(255.0 * torch.tensor(normalisation.mean))
        self.std.copy_(255.0 * torch.tensor(normalisation.std))

    def feature_maps(self, clips: Tensor) -> Tensor:
        """`uint8 [B, N, T, H, W, C]` to feature maps of blocks `float [B, N, channels, s, s]`, averaged over time."""
        B, N, T, H, W, C = clips.shape
        x = self._normalised(clips.reshape(B * N, T, H, W, C))  # [B·N, C, T, H, W]
        maps = self.backbone(x).mean(dim=2)  # [B·N, channels, s, s]
        return maps.reshape(B, N, *maps.shape[1:])

    def frame_maps(self, frames: Tensor, stage: str = "layer3") -> Tensor:
        """What single cells of single frames look like, for correspondence between frames.

        Args:
            frames: `uint8 [B, T, H, W, C]`, of any size that the trunk takes, also larger than it was trained on.
            stage: of a residual trunk, `layer1` to `layer4`: a cell per 4, 8, 16 or 32 pixels. Trunks of single frames
                keep T frames in all of them, 2D-3D trunks up to `layer2`; each later stage halves them. Cell (i, j) is
                centred on pixel (stride·i, stride·j).

        Returns:
            `float [B, T', h, w, D']`, each cell of unit length, or zero where nothing of it passed the rectifier.

        Raises:
            UsageError: the trunk has no such stage.
        """
        if stage not in self.backbone.stage_names:
            available = ", ".join(self.backbone.stage_names) or "none, only residual trunks have such"
            raise UsageError(f"stage '{stage}' is unknown; available: {available}")
        maps = self.backbone.stage_maps(self._normalised(frames), stage)  # [B, D', T', h, w]
        return F.normalize(maps, dim=1).permute(0, 2, 3, 4, 1)  # [B, T', h, w, D']

    def forward(self, clips: Tensor) -> EncoderOutputs:
        """Embed `uint8 [B, N, T, H, W, C]`."""
        return self.outputs(self.feature_maps(clips))

    def block_vectors(self, maps: Tensor) -> Tensor:
        """Feature maps `float [..., channels, s, s]` to unit vectors `float [..., D]`."""
        return F.normalize(cell_features(maps, self.cells), dim=-1)

    def outputs(self, maps: Tensor) -> EncoderOutputs:
        """What clips amount to, from the feature maps of their blocks `float [B, N, channels, s, s]`."""
        blocks = self.block_vectors(maps)  # [B, N, D]
        logits = None if self.classifier is None else self.classifier(maps)
        block_logits = None
        if isinstance(self.classifier, MeanClassifier) and not self.training:
            block_logits = self.classifier.block_logits(maps)
        return EncoderOutputs(self.clip_vectors(blocks), blocks, logits, block_logits)

    def clip_vectors(self, blocks: Tensor) -> Tensor:
        """Unit vectors of clips `float [B, P·D]` from those of their blocks `float [B, N, D]`, by the pooling."""
        return part_vectors(blocks, self.num_parts) if self.pooler is None else self.pooler(blocks)

    def _normalised(self, frames: Tensor) -> Tensor:
        """`uint8 [B, T, H, W, C]` to `float [B, C, T, H, W]`, or with a constant plane to C + 1 channels."""
        W, C = frames.shape[-2:]
        # In place on the copy that the bytes become: new memory costs more than the arithmetic. By rows: so does a loop
        # of three channels.
        rows = frames.float().flatten(-2).sub_(self.mean.repeat(W)).div_(self.std.repeat(W))  # [B, T, H, W·C]
        pixels = rows.reshape(*rows.shape[:-1], W, C)
        if self.normalisation.plane is not None:
            pixels = F.pad(pixels, (0, 1), value=self.normalisation.plane)
        return pixels.permute(0, 4, 1, 2, 3)


def _resize_stem(trunk: nn.Module, num_channels: int) -> None:
    """Give the first convolution kernels of so many channels; what is new of them is zero."""
    conv = next(module for module in trunk.modules() if isinstance(module, nn.Conv3d))
    kept = min(num_channels, conv.in_channels)
    weight = conv.weight.new_zeros(conv.out_channels, num_channels, *conv.kernel_size)
    weight[:, :kept] = conv.weight.detach()[:, :kept]
    conv.in_channels, conv.weight = num_channels, nn.Parameter(weight, conv.weight.requires_grad)


def default_device() -> torch.device:
    """Where encoders compute unless something else is said: the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
    encoder = Encoder(backbone, view.mean, view.std, spec=spec)
    if num_classes:
        encoder.classifier = build_classifier(encoder, spec.classifier, num_classes)
    return encoder


def build_classifier(encoder: Encoder, name: str, num_classes: int, **settings: float) -> nn.Module:
    """An untrained classifier that takes the feature maps of an encoder.

    Args:
        encoder: not changed.
        name: one of `CLASSIFIERS`; a `mean` one sees the encoder's cells and parts, recurrent ones the whole maps.
        num_classes: K.
        settings: `dropout`, where it is not the classifier's own.
    """
    channels = encoder.embedding_dim // encoder.cells**2
    if name == "mean":
        return MeanClassifier(channels, num_classes, cells=encoder.cells, num_parts=encoder.num_parts, **settings)
    return CLASSIFIERS[name](channels, num_classes, **settings)
