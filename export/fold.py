"""Fold time into the batch: the trained 3-D trunk, rewritten into 2-D convolutions for export.

CPU runtimes are much better at 2-D convolutions than at 3-D ones. A kernel of k frames is a 2-D kernel over k
neighbouring frames laid side by side as channels, so every `Conv3d` has an exact 2-D twin:

    kernel 1×3×3    each frame alone                                [M·T, C, H, W]    → Conv2d(C, C')
    kernel 3×3×3    each frame with its two neighbours, zero frames outside
                                                                    [M·T', 3·C, H, W] → Conv2d(3·C, C')

BatchNorm, a constant in evaluation, goes into the weights of the convolution before it. The rewrite follows the trained
module's own graph (`torch.fx`), node by node; there is no second definition of the network. A trunk with an operation
outside the list below has no such twin and stays as it is.
"""

import copy
import logging
import operator
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cocon.training.models.encoder import Encoder

__all__ = ["FoldedTrunk", "fold", "fold_trunk"]

_logger = logging.getLogger(__name__)

# They treat every number alone, so they do not care where time is.
_POINTWISE_MODULES = (nn.ReLU, nn.Identity, nn.Dropout)
_POINTWISE_FUNCTIONS = (operator.add, operator.iadd, torch.add, torch.relu, F.relu)


class FoldedTrunk(nn.Module):
    """Drop-in for a trunk: the same numbers from the same input, computed on `[M·T, C, H, W]` inside.

    Args:
        frames_trunk: `float [M·T, C, H, W]` to `float [M·T', D, s, s]`.
        num_frames: T' after the trunk.
    """

    def __init__(self, frames_trunk: nn.Module, num_frames: int) -> None:
        super().__init__()
        self.frames_trunk = frames_trunk
        self.num_frames = num_frames

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, C, T, H, W]` to `float [M, D, T', s, s]`."""
        features = self.frames_trunk(x.transpose(1, 2).flatten(0, 1))  # [M·T', D, s, s]
        return features.reshape(-1, self.num_frames, *features.shape[1:]).transpose(1, 2)  # [M, D, T', s, s]


def fold(encoder: Encoder, num_frames: int) -> Encoder:
    """Copy an encoder, its trunk folded.

    Args:
        encoder: in evaluation mode; not changed.
        num_frames: T, frames of one block; the copy takes no other number.

    Returns:
        The copy, equal within float rounding; `encoder` itself when its trunk cannot be folded.
    """
    trunk = fold_trunk(encoder.backbone, num_frames)
    if trunk is None:
        return encoder
    folded = copy.deepcopy(encoder)
    folded.add_module("backbone", trunk)
    return folded


def fold_trunk(trunk: nn.Module, num_frames: int) -> FoldedTrunk | None:
    """Fold a trunk `float [M, C, T, H, W]` to `float [M, D, T', s, s]` for T = `num_frames`.

    Args:
        trunk: in evaluation mode; not changed.
        num_frames: T.

    Returns:
        The folded trunk, or None when an operation of it has no 2-D twin.
    """
    try:
        graph = _trace(copy.deepcopy(trunk))
        _fuse_batch_norms(graph)
        num_frames = _fold_nodes(graph, num_frames)
    except _CannotFoldError as error:
        _logger.info("the trunk stays three-dimensional: %s", error)
        return None
    graph.delete_all_unused_submodules()
    graph.recompile()
    return FoldedTrunk(graph, num_frames).eval()


class _CannotFoldError(Exception):
    """An operation has no 2-D twin."""


class _NeighbourConv(nn.Module):
    """A convolution in time and space as 2-D convolutions over neighbouring frames.

    Frames outside the block are zero, so output frames at its ends have a convolution of their own that leaves those
    taps out: with three taps and two or three frames that is a third to a fifth of the arithmetic.

    Args:
        conv: the 3-D convolution.
        num_frames: T of its input.
    """

    def __init__(self, conv: nn.Conv3d, num_frames: int) -> None:
        super().__init__()
        (taps, *_), (stride, *_), (dilation, *_) = conv.kernel_size, conv.stride, conv.dilation
        padding = _padding(conv)[0]
        starts = range(-padding, num_frames + padding - dilation * (taps - 1), stride)
        inside = [tuple(tap for tap in range(taps) if 0 <= start + dilation * tap < num_frames) for start in starts]
        self.num_frames = num_frames
        self.num_frames_out = len(starts)
        self.parts = nn.ModuleList()
        for kept, members in groupby(range(len(starts)), key=inside.__getitem__):
            positions = [starts[index] + dilation * tap for index in members for tap in kept]
            self.parts.append(_GatheredConv(conv, kept, positions))

    def forward(self, x: Tensor) -> Tensor:
        """`float [M·T, C, H, W]` to `float [M·T', C', H', W']`."""
        x = x.reshape(-1, self.num_frames, *x.shape[1:])  # [M, T, C, H, W]
        return torch.cat([part(x) for part in self.parts], dim=1).flatten(0, 1)  # [M·T', C', H', W']


class _GatheredConv(nn.Module):
    """The output frames of a 3-D convolution that use the same taps, as one `Conv2d`.

    Args:
        conv: the 3-D convolution.
        taps: which of its k taps in time.
        positions: input frames of every output frame, one after another.
    """

    positions: Tensor

    def __init__(self, conv: nn.Conv3d, taps: Sequence[int], positions: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("positions", torch.tensor(positions), persistent=False)
        self.num_frames_out = len(positions) // len(taps)
        # [C', C, k, kh, kw] → [C', k·C, kh, kw], the channels of one frame together
        weight = conv.weight.detach()[:, :, list(taps)].transpose(1, 2).flatten(1, 2)
        self.conv = _conv2d(conv, weight)

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, T, C, H, W]` to `float [M, n, C', H', W']`."""
        # One gather copies less than slices and a concatenation.
        x = x.index_select(1, self.positions)  # [M, n·k, C, H, W]
        y = self.conv(x.reshape(-1, self.conv.in_channels, *x.shape[3:]))  # [M·n, C', H', W']
        return y.reshape(-1, self.num_frames_out, *y.shape[1:])


def _trace(trunk: nn.Module) -> fx.GraphModule:
    try:
        return fx.symbolic_trace(trunk)
    except Exception as error:  # whatever a forward that looks at numbers makes of a symbol
        raise _CannotFoldError(f"it cannot be traced: {error}") from error


def _fuse_batch_norms(graph: fx.GraphModule) -> None:
    """Put every BatchNorm that follows a convolution into that convolution."""
    modules = dict(graph.named_modules())
    num_uses = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    for node in list(graph.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm3d):
            continue
        before = node.args[0]
        conv = modules.get(str(before.target))
        if not isinstance(conv, nn.Conv3d) or len(before.users) > 1 or num_uses[before.target] > 1:
            raise _CannotFoldError(f"'{node.target}' does not follow a convolution of its own")
        graph.add_submodule(str(before.target), fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)


def _fold_nodes(graph: fx.GraphModule, num_frames: int) -> int:
    """Replace every module by its 2-D twin; returns T' of the result."""
    modules = dict(graph.named_modules())
    frames: dict[fx.Node, int] = {}
    for node in list(graph.graph.nodes):
        inputs = {frames[parent] for parent in node.all_input_nodes}
        frames[node] = inputs.pop() if inputs else num_frames
        if inputs:
            raise _CannotFoldError(f"'{node}' joins different numbers of frames")
        if node.op == "call_module" and not isinstance(modules[str(node.target)], _POINTWISE_MODULES):
            twin, frames[node] = _twin(modules[str(node.target)], frames[node])
            # Named after the node: one module may be used twice, on different numbers of frames.
            graph.add_submodule(f"folded_{node.name}", twin)
            node.target = f"folded_{node.name}"
        elif node.op == "call_function" and node.target not in _POINTWISE_FUNCTIONS:
            raise _CannotFoldError(f"function {node.target}")
        elif node.op in ("call_method", "get_attr"):
            raise _CannotFoldError(f"{node.op} '{node.target}'")
    return frames[node]


def _twin(module: nn.Module, num_frames: int) -> tuple[nn.Module, int]:
    """The 2-D twin of a module whose input has T frames, and T' of its output."""
    if isinstance(module, nn.Conv3d):
        if module.padding_mode != "zeros" or module.groups != 1:
            raise _CannotFoldError(f"{module}")
        if (module.kernel_size[0], module.stride[0], _padding(module)[0]) == (1, 1, 0):
            return _conv2d(module, module.weight.detach().squeeze(2)), num_frames
        conv = _NeighbourConv(module, num_frames)
        return conv, conv.num_frames_out
    if isinstance(module, nn.MaxPool3d) and not module.ceil_mode and not module.return_indices:
        kernel, stride, padding, dilation = (
            _triple(value) for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        if (kernel[0], stride[0], padding[0]) == (1, 1, 0):
            return nn.MaxPool2d(kernel[1:], stride[1:], padding[1:], dilation[1:]), num_frames
    raise _CannotFoldError(f"{module}")


def _conv2d(conv: nn.Conv3d, weight: Tensor) -> nn.Conv2d:
    """A `Conv2d` with the spatial settings of `conv` and the weight `[C', C, kh, kw]`."""
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
        raise _CannotFoldError(f"{conv}")
    return conv.padding


def _triple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * 3
