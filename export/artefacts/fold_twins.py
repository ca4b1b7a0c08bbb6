"""The 2-D twin of every 3-D layer that has one; see `cocon.export.artefacts.fold` for what they are for.

All of them take `float [M·T, C, H, W]`, the T frames of a block one after another, and give `float [M·T', C', H', W']`;
all but `ChannelsConv`, where frames are side by side: `float [M, T·C, H, W]` to `float [M, T'·C', H', W']`.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import groupby

import torch
from torch import Tensor, nn

from cocon.training.models.convolutions import EdgeConv

__all__ = [
    "CannotFoldError",
    "ChannelsConv",
    "ChannelsToFrames",
    "FramesToChannels",
    "GatheredConv",
    "NeighbourConv",
    "NeighbourMax",
    "NeighbourMean",
    "twin_of",
]


class CannotFoldError(Exception):
    """An operation has no 2-D twin."""


def twin_of(module: nn.Module, num_frames: int) -> tuple[nn.Module, int]:
    """The 2-D twin of a module whose input has T frames, and T' of its output.

    Raises:
        CannotFoldError: there is none.
    """
    if isinstance(module, nn.Conv3d):
        if module.padding_mode != "zeros" or module.groups != 1:
            raise CannotFoldError(f"{module}")
        if (module.kernel_size[0], module.stride[0], _padding(module)[0]) == (1, 1, 0):
            return _conv2d(module, [(0,)]), num_frames
        conv = ChannelsConv(module, num_frames) if _is_dense(module, num_frames) else NeighbourConv(module, num_frames)
        return conv, conv.num_frames_out
    if isinstance(module, nn.MaxPool3d) and not module.ceil_mode and not module.return_indices:
        return _pooling_twin(module, num_frames)
    if isinstance(module, nn.AvgPool3d) and _averages_moments(module):
        mean = NeighbourMean(_triple(module.kernel_size)[0], num_frames)
        return mean, mean.num_frames_out
    raise CannotFoldError(f"{module}")


class NeighbourConv(nn.Module):
    """A convolution in time and space as 2-D convolutions over neighbouring frames.

    Frames outside the block are zero, so output frames at its ends have a convolution of their own that leaves those
    taps out: with three taps and two or three frames that is a third to a fifth of the arithmetic. Taps that see the
    same frame, as at the ends of a block that is met again outside, are added up beforehand.

    Args:
        conv: the 3-D convolution.
        num_frames: T of its input.
    """

    def __init__(self, conv: nn.Conv3d, num_frames: int) -> None:
        super().__init__()
        seen = _frames_seen(conv, num_frames)
        self.num_frames = num_frames
        self.num_frames_out = len(seen)
        self.parts = nn.ModuleList()
        for kept, members in groupby(seen, key=lambda frames: tuple(frames.values())):
            positions = [frame for frames in members for frame in frames]
            self.parts.append(GatheredConv(conv, kept, positions))

    def forward(self, x: Tensor) -> Tensor:
        """`float [M·T, C, H, W]` to `float [M·T', C', H', W']`."""
        x = x.permute(0, 2, 3, 1)
        x = x.reshape(-1, self.num_frames, *x.shape[1:])  # [M, T, H, W, C]
        y = torch.cat([part(x) for part in self.parts], dim=1).flatten(0, 1)  # [M·T', H', W', C']
        return y.permute(0, 3, 1, 2)


class GatheredConv(nn.Module):
    """The output frames of a 3-D convolution that use the same taps, as one `Conv2d`.

    Args:
        conv: the 3-D convolution.
        taps: which of its k taps in time see each of the frames that an output frame sees.
        positions: input frames of every output frame, one after another.
    """

    positions: Tensor

    def __init__(self, conv: nn.Conv3d, taps: Sequence[tuple[int, ...]], positions: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("positions", torch.tensor(positions), persistent=False)
        self.num_seen = len(taps)
        self.num_frames_out = len(positions) // len(taps)
        self.conv = _conv2d(conv, taps)

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, T, H, W, C]` to `float [M, n, H', W', C']`."""
        # One gather copies less than slices and a concatenation.
        x = x.index_select(1, self.positions)  # [M, n·k, H, W, C]
        x = _side_by_side(x, self.num_seen)  # [M·n, H, W, k·C]
        y = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # [M·n, H', W', C']
        return y.reshape(-1, self.num_frames_out, *y.shape[1:])


class FramesToChannels(nn.Module):
    """Lays the frames of a block side by side as channels.

    Args:
        num_frames: T.
    """

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames

    def forward(self, x: Tensor) -> Tensor:
        """`float [M·T, C, H, W]` to `float [M, T·C, H, W]`."""
        return _side_by_side(x.permute(0, 2, 3, 1), self.num_frames).permute(0, 3, 1, 2)


class ChannelsToFrames(nn.Module):
    """The way back from `FramesToChannels`.

    Args:
        num_frames: T.
    """

    def __init__(self, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, T·C, H, W]` to `float [M·T, C, H, W]`."""
        x = x.permute(0, 2, 3, 1)
        x = x.reshape(*x.shape[:3], self.num_frames, -1).permute(0, 3, 1, 2, 4).flatten(0, 1)  # [M·T, H, W, C]
        return x.permute(0, 3, 1, 2)


class ChannelsConv(nn.Module):
    """A convolution in time and space of few frames, as 2-D convolutions over all of them.

    Where no two output frames see the same taps there is no weight to share, so nothing is gathered: every output frame
    reads a range of channels by a convolution of its own.

    Args:
        conv: the 3-D convolution, without dilation in time.
        num_frames: T of its input.
    """

    def __init__(self, conv: nn.Conv3d, num_frames: int) -> None:
        super().__init__()
        seen = _frames_seen(conv, num_frames)
        self.num_frames_out = len(seen)
        self.ranges: list[tuple[int, int]] = []
        self.parts = nn.ModuleList()
        for frames in seen:
            self.parts.append(_conv2d(conv, list(frames.values())))
            first, *_, last = *frames, *frames
            self.ranges.append((first * conv.in_channels, (last + 1) * conv.in_channels))

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, T·C, H, W]` to `float [M, T'·C', H', W']`."""
        pairs = zip(self.parts, self.ranges, strict=True)
        return torch.cat([part(x[:, first:last]) for part, (first, last) in pairs], dim=1)


class NeighbourMax(nn.Module):
    """A maximum over time and space: first over each frame's places, then over neighbouring frames.

    Args:
        pool: of the places.
        taps: neighbouring frames that one output frame looks at.
        stride: in time.
        padding: frames outside the block at each of its ends, at most half of the taps.
        num_frames: T of its input.
    """

    positions: Tensor

    def __init__(self, pool: nn.MaxPool2d, *, taps: int, stride: int, padding: int, num_frames: int) -> None:
        super().__init__()
        self.pool = pool
        self.num_frames = num_frames
        starts = torch.arange(-padding, num_frames + padding - taps + 1, stride)
        self.num_frames_out = len(starts)
        # Instead of a frame outside, its neighbour inside once more: that leaves the maximum as it is.
        positions = (starts + torch.arange(taps)[:, None]).clamp(0, num_frames - 1)  # [k, T']
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`float [M·T, C, H, W]` to `float [M·T', C, H', W']`."""
        y = self.pool(x)
        y = y.reshape(-1, self.num_frames, *y.shape[1:])  # [M, T, C, H', W']
        frames = [y.index_select(1, positions) for positions in self.positions]
        return reduce(torch.maximum, frames).flatten(0, 1)  # [M·T', C, H', W']


class NeighbourMean(nn.Module):
    """The mean of every few neighbouring frames, without frames outside the block.

    Args:
        taps: neighbouring frames that one output frame looks at.
        num_frames: T of its input, not less.
    """

    def __init__(self, taps: int, num_frames: int) -> None:
        super().__init__()
        self.taps = taps
        self.num_frames = num_frames
        self.num_frames_out = num_frames - taps + 1

    def forward(self, x: Tensor) -> Tensor:
        """`float [M·T, C, H, W]` to `float [M·T', C, H, W]`."""
        x = x.reshape(-1, self.num_frames, *x.shape[1:])  # [M, T, C, H, W]
        frames = [x[:, tap : tap + self.num_frames_out] for tap in range(self.taps)]
        return (reduce(torch.add, frames) / self.taps).flatten(0, 1)  # [M·T', C, H, W]


def _averages_moments(module: nn.AvgPool3d) -> bool:
    """Whether it is a mean over time alone, of all neighbours."""
    kernel, stride, padding = (_triple(value) for value in (module.kernel_size, module.stride, module.padding))
    return (kernel[1:], stride, padding) == ((1, 1), (1, 1, 1), (0, 0, 0))


def _pooling_twin(module: nn.MaxPool3d, num_frames: int) -> tuple[nn.Module, int]:
    kernel, stride, padding, dilation = (
        _triple(value) for value in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    pool = nn.MaxPool2d(kernel[1:], stride[1:], padding[1:], dilation[1:])
    if (kernel[0], stride[0], padding[0]) == (1, 1, 0):
        return pool, num_frames
    if dilation[0] != 1:
        raise CannotFoldError(f"{module}")
    twin = NeighbourMax(pool, taps=kernel[0], stride=stride[0], padding=padding[0], num_frames=num_frames)
    return twin, twin.num_frames_out


def _frames_seen(conv: nn.Conv3d, num_frames: int) -> list[dict[int, tuple[int, ...]]]:
    """For every output frame the input frames that it sees, in order, and by which taps."""
    (taps, *_), (stride, *_), (dilation, *_) = conv.kernel_size, conv.stride, conv.dilation
    padding = _padding(conv)[0]
    starts = range(-padding, num_frames + padding - dilation * (taps - 1), stride)
    return [_seen_from(conv, [start + dilation * tap for tap in range(taps)], num_frames) for start in starts]


def _seen_from(conv: nn.Conv3d, frames: Sequence[int], num_frames: int) -> dict[int, tuple[int, ...]]:
    """The same of one output frame, whose taps are at those frames, some of them outside the block."""
    seen: dict[int, tuple[int, ...]] = {}
    for tap, frame in enumerate(frames):
        place = min(max(frame, 0), num_frames - 1) if isinstance(conv, EdgeConv) else frame
        if 0 <= place < num_frames:
            seen[place] = (*seen.get(place, ()), tap)
    return seen


def _is_dense(conv: nn.Conv3d, num_frames: int) -> bool:
    """Whether no two output frames share their taps, and all of them read neighbouring frames."""
    seen = [tuple(frames.values()) for frames in _frames_seen(conv, num_frames)]
    return all(seen) and len(set(seen)) == len(seen) and conv.dilation[0] == 1


def _side_by_side(x: Tensor, num_frames: int) -> Tensor:
    """Every k frames `float [..., H, W, C]` as one, `float [M, H, W, k·C]`."""
    return x.reshape(-1, num_frames, *x.shape[-3:]).permute(0, 2, 3, 1, 4).flatten(3)


def _conv2d(conv: nn.Conv3d, taps: Sequence[tuple[int, ...]]) -> nn.Conv2d:
    """A `Conv2d` over the frames that some taps of `conv` see, laid side by side as channels."""
    # [C', C, k, kh, kw] → [C', k·C, kh, kw], the channels of one frame together
    kernels = conv.weight.detach()
    weight = torch.cat([kernels[:, :, list(of_frame)].sum(dim=2) for of_frame in taps], dim=1)
    (_, *stride), (_, *padding), (_, *dilation) = conv.stride, _padding(conv), conv.dilation
    channels_out, channels_in, *kernel = weight.shape
    twin = nn.Conv2d(
        channels_in,
        channels_out,
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1]),
        (dilation[0], dilation[1]),
        bias=conv.bias is not None,
    )
    twin.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    twin.bias = conv.bias
    return twin


def _padding(conv: nn.Conv3d) -> tuple[int, ...]:
    if isinstance(conv.padding, str):
        raise CannotFoldError(f"{conv}")
    return conv.padding


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * 3
