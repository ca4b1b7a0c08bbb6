"""Checkpoints of the released code of CoCon and DPC, one file per view, as encoders of this project.

Sources: Rai et al. 2021 (CoCon) and Han et al. 2019 (DPC), released code. Both pre-train the same trunk; their
fine-tuned classifiers differ in one step: DPC rectifies the features, CoCon does not.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint, read_checkpoint
from cocon.training.importing.keys import CLASSIFIER_NAMES, PREDICTIVE_NAMES, Layout, layout_of, load_tensors
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.backbones import DEPTHS
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.training.models.residual_trunk import ResidualTrunk
from cocon.video.errors import MismatchError, UsageError
from cocon.video.views import VIEWS, View, view_named

__all__ = ["Source", "SourceEncoder", "adapted_to_flow", "read_encoders"]

Source = Literal["cocon", "dpc"]

_logger = logging.getLogger(__name__)

_OTHER_INPUTS = {
    "pose": "key-point logits of Detectron2's Keypoint R-CNN, where this project draws Gaussians",
    "mask": "Detectron2's panoptic foreground, where this project's mask shows people",
}


@dataclass(frozen=True, slots=True)
class SourceEncoder:
    """One checkpoint, loaded.

    Attributes:
        checkpoint: where it is from.
        view: name of the view it sees.
        layout: what the checkpoint's names and shapes told.
        spec: architecture here.
        encoder: in evaluation mode; its input is normalised as the view table has it.
    """

    checkpoint: Checkpoint
    view: str
    layout: Layout
    spec: EncoderSpec
    encoder: Encoder = field(repr=False)


def read_encoders(files: Sequence[Path], source: Source, views: Sequence[str] = ()) -> list[SourceEncoder]:
    """Load one checkpoint per view.

    Args:
        files: at least one.
        source: whose code wrote them.
        views: of the files, in their order; empty to go by what each file says, or else by its input channels.

    Raises:
        UsageError: a file cannot be read, or the views do not match the files.
        MismatchError: a file does not hold a network of that code, or not of that view.
    """
    if views and len(views) != len(files):
        raise UsageError(f"{len(views)} views for {len(files)} files: name one --view for each, or none")
    names: Sequence[str | None] = [view_named(view).name for view in views] or [None] * len(files)
    encoders = [_read(path, source, name) for path, name in zip(files, names, strict=True)]
    found = [each.view for each in encoders]
    if len(set(found)) < len(found):
        raise UsageError(f"the files are of the views {', '.join(found)}; import one file per view")
    return encoders


def _read(path: Path, source: Source, wanted: str | None) -> SourceEncoder:
    checkpoint = read_checkpoint(path)
    if source == "dpc" and checkpoint.mode:
        raise MismatchError(f"'{path}' was written by CoCon's code (mode '{checkpoint.mode}'); use --from cocon")
    layout = layout_of(checkpoint)
    view = _view(checkpoint, layout, wanted)
    if source == "dpc" and view.name != "rgb":
        raise MismatchError(f"'{path}' sees {layout.in_channels} channels; DPC knows only rgb")
    if view.name in _OTHER_INPUTS:
        _logger.warning("view '%s' was trained on %s: expect it to do worse", view.name, _OTHER_INPUTS[view.name])
    is_rectified = source == "dpc" and layout.num_classes > 0
    spec = EncoderSpec(
        "resnet2d3d_relu" if is_rectified else "resnet2d3d",
        DEPTHS[layout.depth],
        layout.width,
        "gru_raw" if layout.num_classes else "none",
    )
    encoder = build_encoder(spec, view, num_classes=layout.num_classes)
    if layout.num_classes:
        load_tensors(encoder, CLASSIFIER_NAMES, checkpoint, layout)
    else:
        # Only the encoder is kept; the rest is checked like it, or a wrong file might pass for a right one.
        load_tensors(PredictiveNetwork(encoder, num_predicted=1), PREDICTIVE_NAMES, checkpoint, layout)
    return SourceEncoder(checkpoint, view.name, layout, spec, encoder.eval())


def _view(checkpoint: Checkpoint, layout: Layout, wanted: str | None) -> View:
    """The view as asked for, as the file says, or as its channels tell; all that speak must agree."""
    by_channels = {view.channels: view.name for view in VIEWS.values()}
    said = wanted or checkpoint.mode or by_channels.get(layout.in_channels)
    if said is None:
        raise MismatchError(
            f"'{checkpoint.path}' sees {layout.in_channels} channels; views have "
            f"{', '.join(f'{channels} ({name})' for channels, name in by_channels.items())}"
        )
    view = view_named(said)
    if checkpoint.mode and view_named(checkpoint.mode) != view:
        raise MismatchError(f"'{checkpoint.path}' is of view '{view_named(checkpoint.mode).name}', not '{view.name}'")
    if layout.in_channels != view.channels:
        raise MismatchError(
            f"'{checkpoint.path}' sees {layout.in_channels} channels, but view '{view.name}' has {view.channels}"
        )
    return view


def adapted_to_flow(encoder: Encoder, scale: float) -> tuple[Encoder, Normalisation]:
    """Give a flow encoder of the released code the input that it was trained on.

    There a byte b, 128 for no motion, becomes b/255 - 1/2, and displacements stay in pixels of the picture that they
    were measured in, however much smaller the network's input is. Here they are in pixels of that smaller view: for the
    same motion b' = 128 + s·(b - 128). So b/255 - 1/2 = (b'/255 - m) / s with m = (128 - s/2) / 255.

    The factor goes into the first convolution, so that the divisor stays that of the view table; the mean cannot, for
    the convolution's padding is zero after the mean and not before it.

    Args:
        encoder: as read; its first convolution is changed in place.
        scale: s, side of the view over the side of the picture.

    Returns:
        An encoder of the same parts, and its normalisation, which the contract must carry.
    """
    std = VIEWS["flow"].std
    own = Normalisation(((128 - scale / 2) / 255,) * len(std), std)
    trunk = encoder.backbone
    assert isinstance(trunk, ResidualTrunk)
    with torch.no_grad():
        # [width, 2, 1, 7, 7] times a factor per channel
        trunk.conv1.weight.mul_(torch.tensor(std).reshape(1, -1, 1, 1, 1) / scale)
    return Encoder(trunk, own.mean, own.std, encoder.classifier).eval(), own
