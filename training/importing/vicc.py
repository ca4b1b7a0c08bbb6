"""Checkpoints of the released code of ViCC: S3D or R(2+1)D, of rgb or of flow.

| there | here |
|---|---|
| `encoder_q.0.*`; in a fine-tuned classifier `backbone.*` | the trunk, see `vicc_names` |
| `encoder_q.{2,4}.*`, `prototypes.weight`, in stage two `second.*` | left out |
| `final_fc.1.*` of a fine-tuned classifier | the linear layer of `mean`, whose BatchNorm changes nothing |

Flow is fed to the networks there as pictures: OpenCV writes (u, v, 128) as blue, green and red, the loader reads red,
green and blue, and all three are normalised like colours. So of a kernel's three channels the first sees a constant,
the second v, the third u. Here the constant is the last channel, the encoder's `plane`. Source: Toering et al. 2022,
released code.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import (
    counter_may_be_missing,
    depth_named,
    load_fitting,
    named_there,
    pass_features_on,
    shown,
    without_copies,
    without_parts,
)
from cocon.training.importing.source_encoder import REST, Layout, SourceEncoder
from cocon.training.importing.sources import Source
from cocon.training.importing.vicc_names import (
    R2PLUS1D_STEM,
    S3D_STEM,
    first_s3d_name,
    r2plus1d_name,
    s3d_name,
)
from cocon.training.models.architectures import DEPTHS
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS, view_named

__all__ = ["read_vicc"]

_LEFT_OUT = ("encoder_q.2.", "encoder_q.4.", "prototypes.", "second.")
_LAST_LAYER = "final_fc.1."
_COLOURS = Normalisation(VIEWS["rgb"].mean, VIEWS["rgb"].std)  # of red, green and blue
_RED, _GREEN, _BLUE = range(3)
# Of u, which is blue there, and v, which is green; and what becomes of the constant, which is red.
_FLOW_INPUT = Normalisation(
    (_COLOURS.mean[_BLUE], _COLOURS.mean[_GREEN]),
    (_COLOURS.std[_BLUE], _COLOURS.std[_GREEN]),
    plane=(REST - _COLOURS.mean[_RED]) / _COLOURS.std[_RED],
)


@dataclass(frozen=True, slots=True)
class _Trunk:
    """Which trunk a file has, how its names begin there, and which of them is the convolution that sees the frames."""

    backbone: str
    prefix: str
    stem: str
    their_name: Callable[[str], str]


def read_vicc(checkpoint: Checkpoint, source: Source, wanted: str | None) -> SourceEncoder:
    """Load a checkpoint of ViCC.

    Args:
        checkpoint: as read.
        source: `vicc`.
        wanted: the view, rgb or flow, which the file does not tell.

    Raises:
        UsageError: no view is named, or one that ViCC does not know.
        MismatchError: the file does not hold a network of that code.
    """
    view = _view(checkpoint, wanted)
    trunk = _trunk(checkpoint)
    kept, left_out = without_parts(checkpoint.tensors, _LEFT_OUT)
    found = _once(kept, trunk, checkpoint)
    layout = _layout(found, trunk, checkpoint)
    blocks = DEPTHS.get(layout.depth, ())
    spec = EncoderSpec(trunk.backbone, blocks, layout.width, "mean" if layout.num_classes else "none")
    encoder = build_encoder(spec, VIEWS[view], num_classes=layout.num_classes)
    pass_features_on(encoder)
    flow_input = None
    if view == "flow":
        flow_input = _FLOW_INPUT
        encoder.normalise_by(replace(encoder.normalisation, plane=flow_input.plane))
        found[trunk.prefix + trunk.stem] = found[trunk.prefix + trunk.stem][:, [_BLUE, _GREEN, _RED]]
    load_fitting(
        encoder,
        found,
        lambda name: named_there(name, lambda inside: trunk.prefix + trunk.their_name(inside), _LAST_LAYER),
        path=checkpoint.path,
        expected=f"{'a classifier' if layout.num_classes else 'a network in pre-training'} of ViCC ({layout.depth})",
        may_be_missing=lambda name: counter_may_be_missing(name) or name.startswith("classifier.bn."),
    )
    return SourceEncoder(checkpoint, view, layout, spec, encoder.eval(), left_out, flow_input)


def _view(checkpoint: Checkpoint, wanted: str | None) -> str:
    if wanted is None:
        raise UsageError(
            f"'{checkpoint.path}' does not tell whether it sees rgb or flow, which look alike to ViCC: name --view rgb "
            "or --view flow for each file, in order"
        )
    view = view_named(wanted).name
    if view not in ("rgb", "flow"):
        raise UsageError(f"ViCC knows rgb and flow, not view '{view}'")
    return view


def _trunk(checkpoint: Checkpoint) -> _Trunk:
    names = checkpoint.tensors
    prefix = "encoder_q.0." if any(name.startswith("encoder_q.0.") for name in names) else "backbone."
    if prefix + R2PLUS1D_STEM in names:
        trunk = _Trunk("r2plus1d_vicc", prefix, R2PLUS1D_STEM, r2plus1d_name)
    elif prefix + S3D_STEM in names or f"{prefix}block1.0.conv1.weight" in names:
        trunk = _Trunk("s3d", prefix, S3D_STEM, s3d_name)
    else:
        raise MismatchError(
            f"'{checkpoint.path}' is no checkpoint of ViCC: it has neither {prefix}{S3D_STEM} nor "
            f"{prefix}{R2PLUS1D_STEM}; its keys are {shown(sorted(names))}"
        )
    if any(name.startswith(("final_bn.", "final_fc.0.")) for name in names):
        raise MismatchError(
            f"'{checkpoint.path}' is a linear probe, which reads features of unit length, as no classifier here does; "
            "import the file that it was trained on, and train one with 'cocon train'"
        )
    return trunk


def _once(tensors: dict[str, Tensor], trunk: _Trunk, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors, those of S3D once."""
    if trunk.backbone != "s3d":
        return dict(tensors)

    def first_name(name: str) -> str:
        inside = name.removeprefix(trunk.prefix)
        return name if inside == name else trunk.prefix + first_s3d_name(inside)

    return without_copies(tensors, first_name, path=checkpoint.path, parts="copies of its layers")


def _layout(found: dict[str, Tensor], trunk: _Trunk, checkpoint: Checkpoint) -> Layout:
    stem, last_layer = found[trunk.prefix + trunk.stem], found.get(f"{_LAST_LAYER}weight")
    if stem.ndim != 5 or stem.shape[1] != len(_COLOURS.mean):
        raise MismatchError(
            f"'{checkpoint.path}' has a first convolution {list(stem.shape)}; that of ViCC has kernels of three "
            "channels, for flow too"
        )
    if last_layer is not None and last_layer.ndim != 2:
        raise MismatchError(f"'{checkpoint.path}' has {_LAST_LAYER}weight {list(last_layer.shape)}, not two dimensions")
    num_classes = 0 if last_layer is None else last_layer.shape[0]
    if trunk.backbone == "s3d":
        return Layout("s3d", stem.shape[0], stem.shape[1], num_classes).checked(checkpoint.path)
    block = trunk.prefix.replace(".", r"\.") + r"conv([2-5])\.(block1|blocks\.\d+)\."
    depth = depth_named(found, block, DEPTHS, path=checkpoint.path, first_stage=2)
    # As wide as what the stem puts out; what is missing altogether is listed when the trunk is filled.
    norm = found.get(f"{trunk.prefix}bn1.weight", stem)
    width = norm.shape[0] if norm.ndim else 0
    return Layout(depth, width, stem.shape[1], num_classes).checked(checkpoint.path)
