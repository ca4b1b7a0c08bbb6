"""Checkpoints of the released code of CoCon and DPC, one file per view, as encoders of this project.

Sources: Rai et al. 2021 (CoCon) and Han et al. 2019 (DPC), released code. Both pre-train the same trunk; their
fine-tuned classifiers differ in one step: DPC rectifies the features, CoCon does not.

| there | here |
|---|---|
| `backbone.*` | the same: the trunk |
| `agg.ConvGRUCell_00.*`, and the same tensors again as `agg.cell_list.0.*` | aggregator of pre-training or classifier |
| `network_pred.{0,2}.*` | prediction head of pre-training |
| `final_bn.*`, `final_fc.1.*` | BatchNorm and linear layer of a fine-tuned classifier |

A file has either the third or the fourth row. Files of DPC's pre-training have no running statistics. The keys of a
classifier do not tell whose it is. Its optimizer does, where it was saved: CoCon's code freezes the aggregator before
the first epoch and never lets it go, so that it has moments of all parameters but those; DPC's trains all of them.
"""

import logging
from collections.abc import Mapping, Sequence

from torch import nn

from cocon.core.errors import MismatchError
from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import (
    counter_may_be_missing,
    depth_named,
    load_fitting,
    shown,
    without_copies,
)
from cocon.training.importing.source_encoder import Layout, SourceEncoder
from cocon.training.importing.sources import Source
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
_WRAPPED_FLOW = (
    "view 'flow': CoCon's released fine-tuning lets bytes of flow wrap around below zero, and its classifier of flow "
    "learned from such, which it never sees here: expect it to do worse, or train one anew with 'cocon train'"
)
# Parameters of the aggregator, and of what follows it, in the order of a classifier's parameters.
_NUM_AGGREGATOR, _NUM_AFTER = 6, 4
# What the network there sees of a byte of flow: byte / 255 - 1/2.
_FLOW_INPUT = Normalisation((0.5, 0.5), (1.0, 1.0))

_CELL, _SAME_CELL = "agg.ConvGRUCell_00.", "agg.cell_list.0."
# Beginning of a name here → there, of `PredictiveNetwork` and of `Encoder` with a classifier.
_PREDICTIVE_NAMES = {"encoder.backbone.": "backbone.", "aggregator.": _CELL, "predictor.layers.": "network_pred."}
_CLASSIFIER_NAMES = {
    "backbone.": "backbone.",
    "classifier.aggregator.": _CELL,
    "classifier.bn.": "final_bn.",
    "classifier.fc.": "final_fc.1.",
}

_STEM, _LAST_LAYER = "backbone.conv1.weight", "final_fc.1.weight"


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
    layout = _layout(checkpoint)
    if source == "dpc" and checkpoint.mode:
        raise MismatchError(f"'{path}' was written by CoCon's code (mode '{checkpoint.mode}'); use --from cocon")
    view = _view(checkpoint, layout, wanted)
    if source == "dpc" and view.name != "rgb":
        raise MismatchError(f"'{path}' sees {layout.in_channels} channels; DPC knows only rgb")
    if layout.num_classes and view.name == "rgb" and not checkpoint.mode:
        _check_whose(checkpoint, source)
    if view.name in _OTHER_INPUTS:
        _logger.warning("view '%s' was trained on %s: expect it to do worse", view.name, _OTHER_INPUTS[view.name])
    if layout.num_classes and view.name == "flow":
        _logger.warning(_WRAPPED_FLOW)
    is_rectified = source == "dpc" and layout.num_classes > 0
    spec = EncoderSpec(
        "resnet2d3d_relu" if is_rectified else "resnet2d3d",
        DEPTHS[layout.depth],
        layout.width,
        "gru_raw" if layout.num_classes else "none",
    )
    encoder = build_encoder(spec, view, num_classes=layout.num_classes)
    if layout.num_classes:
        _load(encoder, _CLASSIFIER_NAMES, checkpoint, layout)
    else:
        # Only the encoder is kept; the rest is checked like it, or a wrong file might pass for a right one.
        _load(PredictiveNetwork(encoder, num_predicted=1), _PREDICTIVE_NAMES, checkpoint, layout)
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


def _layout(checkpoint: Checkpoint) -> Layout:
    """Tell the network of a checkpoint; raises `MismatchError` if it is none of these, or of an unsupported depth."""
    tensors = checkpoint.tensors
    stem, last_layer = tensors.get(_STEM), tensors.get(_LAST_LAYER)
    if stem is None or stem.ndim != 5:
        raise MismatchError(
            f"'{checkpoint.path}' is no checkpoint of CoCon or DPC: it has no {_STEM} of five dimensions; "
            f"its keys are {shown(sorted(tensors))}"
        )
    if last_layer is not None and last_layer.ndim != 2:
        raise MismatchError(f"'{checkpoint.path}' has {_LAST_LAYER} {list(last_layer.shape)}, not two dimensions")
    return Layout(
        depth=_depth(checkpoint),
        width=stem.shape[0],
        in_channels=stem.shape[1],
        num_classes=0 if last_layer is None else last_layer.shape[0],
        has_statistics=any(_is_statistic(name) for name in tensors),
    ).checked(checkpoint.path)


def _check_whose(checkpoint: Checkpoint, source: Source) -> None:
    """Refuse a classifier of the other project, or say that the file does not tell whose it is."""
    titles: Mapping[Source, str] = {"cocon": "CoCon", "dpc": "DPC"}
    other: Source = "dpc" if source == "cocon" else "cocon"
    whose = _whose(checkpoint.trained)
    if whose == other:
        raise MismatchError(
            f"'{checkpoint.path}' has a classifier of {titles[other]}, by what its optimizer trained, and not of "
            f"{titles[source]}; use --from {other}, or where that is wrong, import its state_dict alone"
        )
    if whose is None:
        _logger.warning(
            "'%s' does not tell whether its classifier is of CoCon or of DPC, which rectifies features and has the "
            "same names: it is taken for one of %s; if it recognises little, import it --from %s",
            checkpoint.path,
            titles[source],
            other,
        )


def _whose(trained: Sequence[bool]) -> Source | None:
    """Whose classifier it is by which of its parameters were trained; None where that does not tell."""
    before, after = trained[: -_NUM_AGGREGATOR - _NUM_AFTER], trained[-_NUM_AFTER:]
    aggregator = trained[-_NUM_AGGREGATOR - _NUM_AFTER : -_NUM_AFTER]
    if not before or not all((*before, *after)):
        return None
    return "dpc" if all(aggregator) else None if any(aggregator) else "cocon"


def _load(network: nn.Module, names: Mapping[str, str], checkpoint: Checkpoint, layout: Layout) -> None:
    """Load all of a checkpoint, or nothing; running statistics stay what they are where it has none.

    `names`: beginning of a name in `network` → in the checkpoint.
    """
    what = f"a classifier of {layout.num_classes} classes" if layout.num_classes else "a network in pre-training"

    def may_be_missing(name: str) -> bool:
        return counter_may_be_missing(name) or (_is_statistic(name) and not layout.has_statistics)

    load_fitting(
        network,
        without_copies(checkpoint.tensors, _first_name, path=checkpoint.path, parts="aggregators"),
        lambda name: _renamed(name, names),
        path=checkpoint.path,
        expected=f"{what} ({layout.depth}) of CoCon or DPC",
        may_be_missing=may_be_missing,
    )


def _depth(checkpoint: Checkpoint) -> str:
    if any(".conv3." in name for name in checkpoint.tensors):
        raise MismatchError(
            f"'{checkpoint.path}' has bottleneck blocks (ResNet-50 or deeper); supported: {', '.join(DEPTHS)}"
        )
    return depth_named(checkpoint.tensors, r"backbone\.layer([1-4])\.(\d+)\.", DEPTHS, path=checkpoint.path)


def _first_name(name: str) -> str:
    return _CELL + name.removeprefix(_SAME_CELL) if name.startswith(_SAME_CELL) else name


def _renamed(name: str, names: Mapping[str, str]) -> str:
    here, there = next(pair for pair in names.items() if name.startswith(pair[0]))
    return there + name.removeprefix(here)


def _is_statistic(name: str) -> bool:
    return name.startswith("backbone.") and name.endswith((".running_mean", ".running_var"))
