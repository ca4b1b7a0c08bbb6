"""From a network of pictures to one that sees time (Carreira and Zisserman 2017).

A kernel of k×k becomes one of 3×k×k that holds it three times, each divided by three: what it sees of three equal
frames is what it saw of one. Since the inflated trunk meets the frames at the ends of a block again outside of it, a
video in which nothing moves gives the very numbers of the network of pictures. What motion is, it does not know yet.
"""

from dataclasses import replace

from torch import Tensor

from cocon.core.errors import UsageError
from cocon.training.importing.source_encoder import SourceEncoder
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

__all__ = ["INFLATED", "inflated"]

# Trunk of single frames → the same with stages that see time.
INFLATED = {"resnet2d": "resnet2d3d_inflated", "resnet2d_bottleneck": "resnet2d3d_inflated_bottleneck"}


def inflated(source: SourceEncoder) -> SourceEncoder:
    """The same encoder with the kernels of its last two stages repeated over time.

    Raises:
        UsageError: its trunk sees time already.
    """
    if source.spec.backbone not in INFLATED:
        raise UsageError(
            f"'{source.checkpoint.path}' holds a network ('{source.spec.backbone}') that sees time already; "
            "leave --inflate out"
        )
    spec = replace(source.spec, backbone=INFLATED[source.spec.backbone])
    encoder = build_encoder(spec, VIEWS[source.view])
    of_pictures = source.encoder.backbone.state_dict()
    wanted = encoder.backbone.state_dict()
    encoder.backbone.load_state_dict({name: _repeated(of_pictures[name], like) for name, like in wanted.items()})
    encoder.normalise_by(source.encoder.normalisation)
    return replace(source, spec=spec, encoder=encoder.eval())


def _repeated(tensor: Tensor, like: Tensor) -> Tensor:
    """A kernel `float [O, I, 1, k, k]` as `[O, I, t, k, k]`, where `like` has that shape; other tensors as they are."""
    if tensor.shape == like.shape:
        return tensor
    taps = like.shape[2]
    return tensor.expand(like.shape) / taps
