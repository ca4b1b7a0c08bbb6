"""What an encoder asks of its trunk, and what residual trunks have in common.

A residual trunk is a stem and four stages of blocks, and takes less memory on request. Every convolution is a `Conv3d`,
of single frames (1×3×3) or of time too (3×3×3). Space is halved twice by the stem and once by each of the stages two to
four, time by stages that see it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cocon.training.models.convolutions import convolved

__all__ = ["ResidualBlock", "ResidualTrunk", "Trunk", "residual_stages", "shortcut"]

Triple = tuple[int, int, int]


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


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        sees_time: 3×3×3 kernels instead of 1×3×3.
        stride: 1 or 2, of the first convolution; in time only where the block sees time.
        convolution: class of the 3×3×3 kernels.

    Attributes:
        final_relu: whether the sum is rectified.
    """

    final_relu = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        sees_time: bool,
        stride: int = 1,
        convolution: type[nn.Conv3d] = nn.Conv3d,
    ) -> None:
        super().__init__()
        conv = convolution if sees_time else nn.Conv3d
        kernel: Triple = (3, 3, 3) if sees_time else (1, 3, 3)
        padding: Triple = (1, 1, 1) if sees_time else (0, 1, 1)
        strides: Triple = (stride if sees_time else 1, stride, stride)
        self.conv1 = conv(in_channels, out_channels, kernel, strides, padding, bias=False)
        self.bn1 = nn.BatchNorm3d(out_channels)
        self.conv2 = conv(out_channels, out_channels, kernel, 1, padding, bias=False)
        self.bn2 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, strides)

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, C', T', H', W']`."""
        same = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(convolved(self.conv1, x)))
        out = self.bn2(convolved(self.conv2, out)) + same
        return self.relu(out) if self.final_relu else out


def shortcut(in_channels: int, out_channels: int, strides: Triple) -> nn.Module | None:
    """What a block's input goes through to be added to its output; None where they are of one shape."""
    if max(strides) == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv3d(in_channels, out_channels, 1, strides, bias=False), nn.BatchNorm3d(out_channels))


def residual_stages(
    block: Callable[..., nn.Module],
    in_channels: int,
    channels: Sequence[int],
    depths: Sequence[int],
    *,
    strides: Sequence[int] = (1, 2, 2, 2),
    expansion: int = 1,
) -> Iterator[nn.Sequential]:
    """Stages of blocks, one after the other; the first block of each has the stage's stride.

    Args:
        block: makes one out of the channels of its input, its own, and `stride`.
        in_channels: of the first stage's input.
        channels: of the blocks of each stage.
        depths: blocks of each stage.
        strides: of each stage.
        expansion: how many times its own channels come out of a block.
    """
    for own, depth, stride in zip(channels, depths, strides, strict=True):
        rest = (block(expansion * own, own, stride=1) for _ in range(depth - 1))
        yield nn.Sequential(block(in_channels, own, stride=stride), *rest)
        in_channels = expansion * own


class ResidualTrunk(Trunk):
    """A trunk; what its stages are made of is for `stages` to say.

    Args:
        in_channels: C of the view.
        depths: residual blocks per stage, four numbers.
        width: w, channels of the stem.

    Attributes:
        checkpoint_activations: whether a training step keeps only the inputs of the stem and of the blocks that see
            single frames, where the maps are large, and computes the rest again on the way back: the same gradients
            in less memory and more time.
        stage_names: their maps have a cell per 4, 8, 16 and 32 pixels.
    """

    stage_names = ("layer1", "layer2", "layer3", "layer4")

    def __init__(self, in_channels: int, depths: Sequence[int], *, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, width, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.layer1, self.layer2, self.layer3, self.layer4 = self.stages(depths, width)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stages(self, depths: Sequence[int], width: int) -> Iterable[nn.Sequential]:
        """The four stages, of which the first two see single frames; sets `out_channels`."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to `float [B, D, T', ceil(H/32), ceil(W/32)]`."""
        if self.checkpoint_activations and self.training:
            x = _recomputed(self.bn1, self._stem, x)
            for block in (*self.layer1, *self.layer2):
                x = _recomputed(block, block, x)
        else:
            x = self.layer2(self.layer1(self._stem(x)))
        return self.layer4(self.layer3(x))

    def stage_maps(self, x: Tensor, stage: str) -> Tensor:
        """The maps of one of `stage_names`: `float [B, C, T, H, W]` to `float [B, D', T', h, w]`."""
        *before_last, last = self.stage_names
        if stage == last:
            return self.forward(x)  # with what a trunk does after its stages
        x = self._stem(x)
        for name in before_last[: before_last.index(stage) + 1]:
            x = self.get_submodule(name)(x)
        return x

    def _stem(self, x: Tensor) -> Tensor:
        # A maximum and ReLU may change places; after the pooling it has a quarter of the numbers to rectify.
        return self.relu(self.maxpool(self.bn1(self.conv1(x))))


def _recomputed(normed: nn.Module, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)`, of which only x is kept for the backward pass; `normed` has the BatchNorms that it uses."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _untracked(normed)

    # No part of the trunk draws random numbers.
    output: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return output


@contextmanager
def _untracked(normed: nn.Module) -> Iterator[None]:
    """Leave the running statistics alone: the first computation has counted the batch."""
    norms = [norm for norm in normed.modules() if isinstance(norm, nn.BatchNorm3d)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
