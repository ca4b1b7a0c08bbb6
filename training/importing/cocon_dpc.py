"""Checkpoints of the released code of CoCon and DPC, one file per view, as encoders of this project.

Sources: Rai et al. 2021 (CoCon) and Han et al. 2019 (DPC), released code. Both pre-train the same trunk; their
fine-tuned classifiers differ in one step: DPC rectifies the features, CoCon does not.
"""

import logging

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.keys import CLASSIFIER_NAMES, PREDICTIVE_NAMES, layout_of, load_tensors
from cocon.training.importing.source_encoder import Layout, Source, SourceEncoder
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.architectures import DEPTHS
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS, View, view_named

__all__ = ["read_cocon_dpc"]

_logger = logging.getLogger(__name__)

_OTHER_INPUTS = {
    "pose": "key-point logits of Detectron2's Keypoint R-CNN, where this project draws Gaussians",
    "mask": "Detectron2's panoptic foreground, where this project's mask shows people",
}


# What the network there sees of a byte of flow: byte / 255 - 1/2.
_FLOW_INPUT = Normalisation((0.5, 0.5), (1.0, 1.0))


def read_cocon_dpc(checkpoint: Checkpoint, source: Source, wanted: str | None) -> SourceEncoder:
    """Load a checkpoint of CoCon or DPC.

    Args:
        checkpoint: as read.
        source: `cocon` or `dpc`.
        wanted: the view as asked for; None to go by what the file says, or else by its input channels.

    Raises:
        MismatchError: the file does not hold a network of that code, or not of that view.
    """
    path = checkpoint.path
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
    flow_input = _FLOW_INPUT if view.name == "flow" else None
    return SourceEncoder(checkpoint, view.name, layout, spec, encoder.eval(), flow_input=flow_input)


def _view(checkpoint: Checkpoint, layout: Layout, wanted: str | None) -> View:
    """The view as asked for, as the file says, or as its channels tell; all that speak must agree."""
    by_channels = {view.channels: view.name for view in VIEWS.values() if view.alias}
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
