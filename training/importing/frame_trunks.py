"""Checkpoints of the released code of VCLR and CycleContrast: a ResNet that looks at single frames.

| there | here |
|---|---|
| VCLR: `conv1.*` … `layer4.*` of `model`; CycleContrast: the same after `encoder_q.` | the trunk |
| kernels [O, I, k, k] | [O, I, 1, k, k] |
| heads, key encoder, queues; `fc.*` where VCLR's own conversion to torchvision's names was used | left out |

Names inside the trunk are torchvision's, which are those of this project. Sources: Kuang et al. 2021 (VCLR), Wu and
Wang 2021 (CycleContrast), released code.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EncoderSpec
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import (
    counter_may_be_missing,
    depth_named,
    load_fitting,
    shown,
    without_parts,
)
from cocon.training.importing.source_encoder import Layout, SourceEncoder
from cocon.training.importing.sources import Source
from cocon.training.models.architectures import BOTTLENECK_DEPTHS, BOTTLENECK_OF, DEPTHS
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS, view_named

__all__ = ["TrunkNames", "frame_encoder", "read_frame_trunk"]

_BACKBONE = "resnet2d"


@dataclass(frozen=True, slots=True)
class TrunkNames:
    """A trunk in a file.

    Attributes:
        title: who wrote the file.
        trunk: what its names begin with.
        left_out: names, and beginnings of names that end in a dot, of what else is there.
    """

    title: str
    trunk: str
    left_out: tuple[str, ...]


_NAMES: Mapping[Source, TrunkNames] = {
    # `fc.` is what its conversion to torchvision's names leaves untrained in place of the heads.
    "vclr": TrunkNames("VCLR", "", ("fc_inter.", "fc_intra.", "fc_order.", "fc_order_classifier.", "fc_tsn.", "fc.")),
    "cyclecontrast": TrunkNames(
        "CycleContrast",
        "encoder_q.",
        (
            "encoder_q.fc.",
            "encoder_k.",
            "q_cycle_fc.",
            "k_cycle_fc.",
            "queue",
            "queue_ptr",
            "queue_cycle",
            "queue_cycle_ptr",
            "queue_labels",
            "queue_indices",
        ),
    ),
}


def read_frame_trunk(checkpoint: Checkpoint, source: Source, wanted: str | None) -> SourceEncoder:
    """Load a checkpoint of VCLR or CycleContrast.

    Args:
        checkpoint: as read.
        source: `vclr` or `cyclecontrast`.
        wanted: the view as asked for: rgb, or None.

    Raises:
        MismatchError: the file does not hold a network of that code, or another view is asked for.
    """
    names = _NAMES[source]
    if wanted is not None and view_named(wanted) != VIEWS["rgb"]:
        raise MismatchError(f"{names.title} knows only rgb, '{checkpoint.path}' is not of view '{wanted}'")
    return frame_encoder(checkpoint, names)


def frame_encoder(checkpoint: Checkpoint, names: TrunkNames) -> SourceEncoder:
    """Load a ResNet of pictures under torchvision's names as an encoder of rgb that sees frame by frame.

    Raises:
        MismatchError: the file does not hold it, or something else too.
    """
    rgb = VIEWS["rgb"]
    kept, left_out = without_parts(checkpoint.tensors, names.left_out)
    # [O, I, k, k] to [O, I, 1, k, k]
    found = {name: tensor.unsqueeze(2) if tensor.ndim == 4 else tensor for name, tensor in kept.items()}
    layout = _layout(checkpoint, names)
    is_bottleneck = layout.depth in BOTTLENECK_DEPTHS
    depths = BOTTLENECK_DEPTHS if is_bottleneck else DEPTHS
    spec = EncoderSpec(BOTTLENECK_OF[_BACKBONE] if is_bottleneck else _BACKBONE, depths[layout.depth], layout.width)
    encoder = build_encoder(spec, rgb)
    load_fitting(
        encoder.backbone,
        found,
        lambda name: names.trunk + name,
        path=checkpoint.path,
        expected=f"a checkpoint of {names.title} ({layout.depth})",
        may_be_missing=counter_may_be_missing,
    )
    return SourceEncoder(checkpoint, rgb.name, layout, spec, encoder.eval(), left_out)


def _layout(checkpoint: Checkpoint, names: TrunkNames) -> Layout:
    stem = checkpoint.tensors.get(f"{names.trunk}conv1.weight")
    if stem is None or stem.ndim != 4:
        raise MismatchError(
            f"'{checkpoint.path}' is no checkpoint of {names.title}: it has no {names.trunk}conv1.weight of four "
            f"dimensions; its keys are {shown(sorted(checkpoint.tensors))}"
        )
    known = BOTTLENECK_DEPTHS if f"{names.trunk}layer1.0.conv3.weight" in checkpoint.tensors else DEPTHS
    block = names.trunk.replace(".", r"\.") + r"layer([1-4])\.(\d+)\."
    depth = depth_named(checkpoint.tensors, block, known, path=checkpoint.path)
    return Layout(depth, width=stem.shape[0], in_channels=stem.shape[1]).checked(checkpoint.path)
