"""Fold time into the batch: the trained 3-D trunk, rewritten into 2-D convolutions for export.

CPU runtimes are much better at 2-D convolutions than at 3-D ones. A kernel of k frames is a 2-D kernel over k
neighbouring frames laid side by side as channels, so every `Conv3d` has an exact 2-D twin:

    kernel 1×3×3    each frame alone                                [M·T, C, H, W]    → Conv2d(C, C')
    kernel 3×3×3    each frame with its two neighbours, zero frames outside
                                                                    [M·T', 3·C, H, W] → Conv2d(3·C, C')

Blocks of two or three frames stay side by side from one such convolution to the next. A maximum over time is one over
each frame and then one over neighbouring frames; `fold_twins` has the twins. BatchNorm, a constant in evaluation, goes
into the weights of the convolution before it. The rewrite follows the trained module's own graph (`torch.fx`), node by
node; there is no second definition of the network. A trunk with an operation that has no such twin stays as it is.
"""

import copy
import logging
import operator
from collections import Counter
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cocon.export.artefacts.fold_twins import (
    CannotFoldError,
    ChannelsConv,
    ChannelsToFrames,
    FramesToChannels,
    twin_of,
)
from cocon.training.models.encoder import Encoder

__all__ = ["FoldedTrunk", "fold", "fold_trunk"]

_logger = logging.getLogger(__name__)

# They treat every number alone, so they do not care where time is.
_POINTWISE_MODULES = (nn.ReLU, nn.Identity, nn.Dropout)
_POINTWISE_FUNCTIONS = (operator.add, operator.iadd, torch.add, torch.relu, F.relu)


class FoldedTrunk(nn.Module):
    """Drop-in for a trunk: the same numbers from the same input, computed on `[M·T, C, H, W]` inside.

    Args:
        frames_trunk: `float [M·T, C, H, W]` to `float [M·T', D, s, s]`, or to `float [M, T'·D, s, s]`.
        num_frames: T' after the trunk.
    """

    def __init__(self, frames_trunk: nn.Module, num_frames: int) -> None:
        super().__init__()
        self.frames_trunk = frames_trunk
        self.num_frames = num_frames

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, C, T, H, W]` to `float [M, D, T', s, s]`."""
        features = self.frames_trunk(x.transpose(1, 2).flatten(0, 1))  # [M·T', D, s, s] or [M, T'·D, s, s]
        maps = features.reshape(x.shape[0], self.num_frames, -1, *features.shape[2:])  # [M, T', D, s, s]
        return maps.transpose(1, 2)


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
        frames = _fold_nodes(graph, num_frames)
    except CannotFoldError as error:
        _logger.info("the trunk stays three-dimensional: %s", error)
        return None
    graph.delete_all_unused_submodules()
    graph.recompile()
    return FoldedTrunk(graph, frames.count).eval()


class _Tracer(fx.Tracer):
    """Looks into no convolution, whatever it pads its input by."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv3d) or super().is_leaf_module(m, module_qualified_name)


def _trace(trunk: nn.Module) -> fx.GraphModule:
    try:
        return fx.GraphModule(trunk, _Tracer().trace(trunk))
    except Exception as error:  # whatever a forward that looks at numbers makes of a symbol
        raise CannotFoldError(f"it cannot be traced: {error}") from error


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
            raise CannotFoldError(f"'{node.target}' does not follow a convolution of its own")
        graph.add_submodule(str(before.target), fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(before)
        graph.graph.erase_node(node)


@dataclass(frozen=True, slots=True)
class _Frames:
    """What a tensor's frames are: how many, and whether side by side as channels."""

    count: int
    are_channels: bool = False


def _fold_nodes(graph: fx.GraphModule, num_frames: int) -> _Frames:
    """Replace every module by its 2-D twin; returns the frames of the result."""
    modules = dict(graph.named_modules())
    frames: dict[fx.Node, _Frames] = {}
    for node in list(graph.graph.nodes):
        counts = {frames[parent].count for parent in node.all_input_nodes}
        if len(counts) > 1:
            raise CannotFoldError(f"'{node}' joins different numbers of frames")
        count = counts.pop() if counts else num_frames
        are_channels = any(frames[parent].are_channels for parent in node.all_input_nodes)
        if node.op == "call_module" and not isinstance(modules[str(node.target)], _POINTWISE_MODULES):
            twin, count_out = twin_of(modules[str(node.target)], count)
            are_channels = isinstance(twin, ChannelsConv)
            # Named after the node: one module may be used twice, on different numbers of frames.
            graph.add_submodule(f"folded_{node.name}", twin)
            node.target = f"folded_{node.name}"
        elif node.op == "call_function" and node.target not in _POINTWISE_FUNCTIONS:
            if not _joins_channels(node):
                raise CannotFoldError(f"function {node.target}")
            are_channels, count_out = False, count
        elif node.op in ("call_method", "get_attr"):
            raise CannotFoldError(f"{node.op} '{node.target}'")
        else:
            count_out = count
        _arrange_inputs(graph, node, frames, are_channels=are_channels)
        frames[node] = _Frames(count_out, are_channels)
    return frames[node]


def _arrange_inputs(
    graph: fx.GraphModule, node: fx.Node, frames: dict[fx.Node, _Frames], *, are_channels: bool
) -> None:
    """Have a node read tensors whose frames are where it wants them."""
    for parent in node.all_input_nodes:
        found = frames[parent]
        if found.are_channels == are_channels or node.op == "output":
            continue
        name = f"{parent.name}_{'channels' if are_channels else 'frames'}"
        if name not in dict(graph.named_children()):
            graph.add_submodule(name, FramesToChannels(found.count) if are_channels else ChannelsToFrames(found.count))
            with graph.graph.inserting_after(parent):
                arranged = graph.graph.call_module(name, (parent,))
            frames[arranged] = _Frames(found.count, are_channels)
        arranged = next(user for user in parent.users if user.target == name)
        node.replace_input_with(parent, arranged)


def _joins_channels(node: fx.Node) -> bool:
    """Whether it lays tensors side by side as channels, which are the second dimension of frames too."""
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return node.target is torch.cat and bool(dim == 1)
