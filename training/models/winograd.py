"""Convolutions of 3×3 pixels with fewer products, as a training step on a processor takes them.

A tile of m × m outputs takes (m + 2)² products of two channels in place of 9 m², and frames outside a block take none:

    y = Y ( (G w) ∘ (D x) )

with D, G and Y of sums and small fractions, so results are those of a plain convolution but for rounding, a few times
that of its own. Everything is matrix products of PyTorch: nothing is compiled. Source: Winograd 1980; Lavin and Gray
2016.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["tiled_conv3d"]

_TAPS = 3
# Where the polynomials behind the transforms are evaluated, besides at infinity; near to one another rounds least.
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
_MAX_OUTPUTS = len(_POINTS) - 1
# Numbers of one intermediate at a time, so that it is still in the cache when it is read.
_CHUNK = 1 << 21


class _Axis(NamedTuple):
    """How height or width is cut: into `number` tiles of `outputs` outputs, of which the last may hang over."""

    outputs: int
    number: int

    @property
    def inputs(self) -> int:
        return self.outputs + _TAPS - 1


class _Transforms(NamedTuple):
    """D `[K, K]`, G `[K, 9]` and Y `[m², K]` of tiles in two dimensions, K = (m + 2)²."""

    of_input: Tensor
    of_kernel: Tensor
    of_output: Tensor


def tiled_conv3d(x: Tensor, weight: Tensor) -> Tensor:
    """`conv3d` of stride 1, padded to keep all sizes, in tiles.

    Args:
        x: `float [M, C, T, H, W]`, H and W at least 2; best with channels last.
        weight: `float [C', C, 1 or 3, 3, 3]`.

    Returns:
        `float [M, C', T, H, W]`, channels last.
    """
    axes = _axis(x.shape[3]), _axis(x.shape[4])
    transforms = _transforms(axes[0].outputs, axes[1].outputs, x.dtype)
    out_channels, in_channels, taps = weight.shape[:3]
    by_pixel = weight.permute(3, 4, 2, 1, 0).reshape(_TAPS**2, -1)  # [9, taps·C·C']
    kernels = (transforms.of_kernel @ by_pixel).view(-1, taps, in_channels, out_channels)  # [K, taps, C, C']
    frames = x.permute(0, 2, 3, 4, 1).contiguous()  # [M, T, H, W, C]
    output: Tensor = _TiledConvolution.apply(frames, kernels, axes, transforms)  # type: ignore[no-untyped-call]  # not in the stubs
    return output.permute(0, 4, 1, 2, 3)


class _TiledConvolution(torch.autograd.Function):
    """From frames `[M, T, H, W, C]` and transformed kernels `[K, taps, C, C']` to frames `[M, T, H, W, C']`.

    Frames that see each other lie side by side in a row, so that all taps of one frame are one product. What is kept
    for the way back is what a plain convolution keeps: transformed inputs are made again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, axes: tuple[_Axis, _Axis], transforms: _Transforms) -> Tensor:  # noqa: ANN401  # torch's own type
        ctx.save_for_backward(x, kernels)
        ctx.axes, ctx.transforms = axes, transforms
        num_frames = _num_joined(x, kernels)
        output = x.new_empty(*x.shape[:4], kernels.shape[3])
        for part in _parts(x, axes, kernels):
            spread = _spread(x[part], axes, transforms, num_frames)  # [K, R, F·C]
            for frame in range(num_frames):
                products = _over_taps(spread, kernels, frame)  # [K, R, C']
                tiles = transforms.of_output @ products.flatten(1)  # [m², R·C']
                _put(_frame(output[part], frame, num_frames), tiles, axes)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # noqa: ANN401
        x, kernels = ctx.saved_tensors
        axes, transforms = ctx.axes, ctx.transforms
        num_frames = _num_joined(x, kernels)
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_kernels = torch.zeros_like(kernels) if ctx.needs_input_grad[1] else None
        gradient = gradient.contiguous()
        for part in _parts(x, axes, kernels):
            tiles = _outputs_in_tiles(gradient[part], axes)  # [m², R·F·C']
            of_products = _by_frames(transforms.of_output.T @ tiles, num_frames * kernels.shape[3])  # [K, R, F·C']
            if of_kernels is not None:
                _add_over_taps(of_kernels, _spread(x[part], axes, transforms, num_frames), of_products)
            if of_x is None:
                continue
            for frame in range(num_frames):
                of_spread = _back_over_taps(of_products, kernels, frame).flatten(1)  # [K, R·C]
                _add_tiles(_frame(of_x[part], frame, num_frames), transforms.of_input.T @ of_spread, axes)
        return of_x, of_kernels, None, None


def _num_joined(x: Tensor, kernels: Tensor) -> int:
    """F, frames side by side in a row: those that see each other."""
    return x.shape[1] if kernels.shape[1] > 1 else 1


def _frame(frames: Tensor, frame: int, num_frames: int) -> Tensor:
    """The frame of `[M, T, H, W, C]` that is side by side with others; all where none is."""
    return frames[:, frame : frame + 1] if num_frames > 1 else frames


def _by_frames(spread: Tensor, num_columns: int) -> Tensor:
    return spread.view(len(spread), -1, num_columns)


def _seen(frame: int, num_frames: int, taps: int) -> tuple[int, int, int]:
    """First and end of the frames that a frame sees, and the tap that the first one meets."""
    first, end = max(0, frame - taps // 2), min(num_frames, frame + taps // 2 + 1)
    return first, end, first - frame + taps // 2


def _over_taps(rows: Tensor, kernels: Tensor, frame: int) -> Tensor:
    """What one frame has of rows `[K, R, F·C]` by kernels `[K, taps, C, C']`: `[K, R, C']`."""
    taps, channels = kernels.shape[1:3]
    first, end, tap = _seen(frame, rows.shape[2] // channels, taps)
    seen = slice(tap * channels, (tap + end - first) * channels)
    return torch.bmm(rows[:, :, first * channels : end * channels], kernels.flatten(1, 2)[:, seen])


def _back_over_taps(of_products: Tensor, kernels: Tensor, frame: int) -> Tensor:
    """The gradient of one frame of the rows, `[K, R, C]`: the adjoint of `_over_taps` for all frames that see it."""
    taps, _, out_channels = kernels.shape[1:]
    first, end, tap = _seen(frame, of_products.shape[2] // out_channels, taps)
    gradient = None
    for seer in range(first, end):
        columns = of_products[:, :, seer * out_channels : (seer + 1) * out_channels]
        kernel = kernels[:, taps - 1 - tap - seer + first].mT
        gradient = torch.bmm(columns, kernel) if gradient is None else gradient.baddbmm_(columns, kernel)
    assert gradient is not None  # a frame sees itself
    return gradient


def _add_over_taps(of_kernels: Tensor, spread: Tensor, of_products: Tensor) -> None:
    """Add the gradient of the kernels, the adjoint of `_over_taps` for all frames."""
    num_products, taps, channels, out_channels = of_kernels.shape
    stacked = of_kernels.view(num_products, taps * channels, -1)
    num_frames = spread.shape[2] // channels
    for frame in range(num_frames):
        first, end, tap = _seen(frame, num_frames, taps)
        rows = spread[:, :, first * channels : end * channels].mT
        columns = of_products[:, :, frame * out_channels : (frame + 1) * out_channels]
        stacked[:, tap * channels : (tap + end - first) * channels].baddbmm_(rows, columns)


def _parts(x: Tensor, axes: tuple[_Axis, _Axis], kernels: Tensor) -> Iterator[slice]:
    """Slices of M whose transformed numbers stay in the cache, or are no more than the kernels'."""
    per_number = axes[0].inputs * axes[1].inputs / (axes[0].outputs * axes[1].outputs)
    step = max(1, int(max(_CHUNK, kernels.numel()) / (per_number * x[0].numel())))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def _spread(x: Tensor, axes: tuple[_Axis, _Axis], transforms: _Transforms, num_frames: int) -> Tensor:
    """D x of frames `[M, T, H, W, C]`: `[K, R, F·C]`, rows by tile and frame."""
    rows, columns = axes
    height, width = x.shape[2:4]
    right = columns.number * columns.outputs + 1 - width
    padded = F.pad(x, (0, 0, 1, right, 1, rows.number * rows.outputs + 1 - height))
    windows = padded.unfold(2, rows.inputs, rows.outputs).unfold(3, columns.inputs, columns.outputs)
    gathered = windows.permute(5, 6, 2, 3, 0, 1, 4).reshape(rows.inputs * columns.inputs, -1)  # [K, h·w·M·T·C]
    return _by_frames(transforms.of_input @ gathered, num_frames * x.shape[4])


def _put(output: Tensor, tiles: Tensor, axes: tuple[_Axis, _Axis]) -> None:
    """Write tiles `[m², R·O]` to where they belong in frames `[M, T, H, W, C']`."""
    rows, columns = axes
    M, T, H, W, channels = output.shape
    parted = tiles.view(rows.outputs, columns.outputs, rows.number, columns.number, M, T, channels)
    whole = parted.permute(4, 5, 2, 0, 3, 1, 6)  # [M, T, h, m, w, m, C']
    if (rows.number * rows.outputs, columns.number * columns.outputs) == (H, W):
        output.view(whole.shape).copy_(whole)
    else:
        joined = whole.reshape(M, T, rows.number * rows.outputs, columns.number * columns.outputs, channels)
        output.copy_(joined[:, :, :H, :W])


def _outputs_in_tiles(gradient: Tensor, axes: tuple[_Axis, _Axis]) -> Tensor:
    """The adjoint of `_put`."""
    rows, columns = axes
    M, T, H, W, channels = gradient.shape
    if (rows.number * rows.outputs, columns.number * columns.outputs) != (H, W):
        below, right = rows.number * rows.outputs - H, columns.number * columns.outputs - W
        gradient = F.pad(gradient, (0, 0, 0, right, 0, below))
    parted = gradient.view(M, T, rows.number, rows.outputs, columns.number, columns.outputs, channels)
    return parted.permute(3, 5, 2, 4, 0, 1, 6).reshape(rows.outputs * columns.outputs, -1)


def _add_tiles(output: Tensor, tiles: Tensor, axes: tuple[_Axis, _Axis]) -> None:
    """The adjoint of the gathering in `_spread`: tiles `[K, R·I]`, which overlap by two, into frames."""
    rows, columns = axes
    M, T, H, W, channels = output.shape
    parted = tiles.view(rows.inputs, columns.inputs, rows.number, columns.number, M, T, channels)
    whole = parted.permute(4, 5, 2, 0, 3, 1, 6)  # [M, T, h, m + 2, w, m + 2, C]
    padded = tiles.new_zeros(M, T, rows.number + 1, rows.outputs, columns.number + 1, columns.outputs, channels)
    down, across = slice(rows.outputs, None), slice(columns.outputs, None)
    padded[:, :, :-1, :, :-1] = whole[:, :, :, : rows.outputs, :, : columns.outputs]
    padded[:, :, 1:, :2, :-1] += whole[:, :, :, down, :, : columns.outputs]
    padded[:, :, :-1, :, 1:, :2] += whole[:, :, :, : rows.outputs, :, across]
    padded[:, :, 1:, :2, 1:, :2] += whole[:, :, :, down, :, across]
    output.copy_(padded.flatten(4, 5).flatten(2, 3)[:, :, 1 : H + 1, 1 : W + 1])


@cache
def _axis(length: int) -> _Axis:
    """The tiles of an axis that take the fewest products; of equals the smaller, which rounds less."""
    found = [_Axis(outputs, -(-length // outputs)) for outputs in range(2, _MAX_OUTPUTS + 1)]
    return min(found, key=lambda axis: axis.number * axis.inputs)


@cache
def _transforms(rows: int, columns: int, dtype: torch.dtype) -> _Transforms:
    """For tiles of `rows` × `columns` outputs."""
    pairs = zip(_transforms_of_axis(rows), _transforms_of_axis(columns), strict=True)
    return _Transforms(*(torch.from_numpy(np.kron(*pair)).to(dtype) for pair in pairs))


def _transforms_of_axis(outputs: int) -> tuple[NDArray[np.float64], ...]:
    """D `[m + 2, m + 2]`, G `[m + 2, 3]`, Y `[m, m + 2]` of m outputs in a row, in float64."""
    points = np.array(_POINTS[: outputs + 1])
    D = np.zeros((outputs + 2, outputs + 2))
    G, Y = np.zeros((outputs + 2, _TAPS)), np.zeros((outputs, outputs + 2))
    for row, point in enumerate(points):
        others = np.delete(points, row)
        D[row, :-1] = np.poly(others)[::-1]
        G[row] = point ** np.arange(_TAPS) / np.prod(point - others)
        Y[:, row] = point ** np.arange(outputs)
    D[-1] = np.poly(points)[::-1]
    G[-1, -1] = Y[-1, -1] = 1.0
    return D, G, Y
