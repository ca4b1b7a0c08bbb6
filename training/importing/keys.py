"""Names and shapes of the tensors that the released code of DPC and CoCon writes, and what they are here.

| there | here |
|---|---|
| `backbone.*` | the same: the trunk |
| `agg.ConvGRUCell_00.*`, and the same tensors again as `agg.cell_list.0.*` | aggregator of pre-training or classifier |
| `network_pred.{0,2}.*` | prediction head of pre-training |
| `final_bn.*`, `final_fc.1.*` | BatchNorm and linear layer of a fine-tuned classifier |

A file has either the third or the fourth row. Files of DPC's pre-training have no running statistics.
"""

from collections.abc import Mapping

from torch import nn

from cocon.core.errors import MismatchError
from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.importing.fitting import (
    counter_may_be_missing,
    depth_named,
    load_fitting,
    shown,
    without_copies,
)
from cocon.training.importing.source_encoder import Layout
from cocon.training.models.architectures import DEPTHS

__all__ = ["CLASSIFIER_NAMES", "PREDICTIVE_NAMES", "layout_of", "load_tensors"]

_CELL, _SAME_CELL = "agg.ConvGRUCell_00.", "agg.cell_list.0."
# Beginning of a name here → there, of `PredictiveNetwork` and of `Encoder` with a classifier.
PREDICTIVE_NAMES = {"encoder.backbone.": "backbone.", "aggregator.": _CELL, "predictor.layers.": "network_pred."}
CLASSIFIER_NAMES = {
    "backbone.": "backbone.",
    "classifier.aggregator.": _CELL,
    "classifier.bn.": "final_bn.",
    "classifier.fc.": "final_fc.1.",
}

_STEM, _LAST_LAYER = "backbone.conv1.weight", "final_fc.1.weight"


def layout_of(checkpoint: Checkpoint) -> Layout:
    """Tell the network of a checkpoint.

    Raises:
        MismatchError: it is none of DPC or CoCon, or of a depth that is not supported.
    """
    tensors = checkpoint.tensors
    stem, last_layer = tensors.get(_STEM), tensors.get(_LAST_LAYER)
    if stem is None or stem.ndim != 5 or (last_layer is not None and last_layer.ndim != 2):
        raise MismatchError(
            f"'{checkpoint.path}' is no checkpoint of CoCon or DPC: it has no {_STEM} of five dimensions; "
            f"its keys are {shown(sorted(tensors))}"
        )
    return Layout(
        depth=_depth(checkpoint),
        width=stem.shape[0],
        in_channels=stem.shape[1],
        num_classes=0 if last_layer is None else last_layer.shape[0],
        has_statistics=any(_is_statistic(name) for name in tensors),
    )


def load_tensors(network: nn.Module, names: Mapping[str, str], checkpoint: Checkpoint, layout: Layout) -> None:
    """Load a checkpoint into the network that its layout describes: all of it, or nothing.

    Args:
        network: changed in place; running statistics stay what they are where the checkpoint has none.
        names: beginning of a name in `network` → in the checkpoint.
        checkpoint: where the tensors are.
        layout: of the checkpoint.

    Raises:
        MismatchError: keys are missing or unknown, shapes differ, or the two copies of the aggregator do.
    """
    load_fitting(
        network,
        without_copies(checkpoint.tensors, _first_name, path=checkpoint.path, parts="aggregators"),
        lambda name: _renamed(name, names),
        path=checkpoint.path,
        expected=f"{_described(layout)} of CoCon or DPC",
        may_be_missing=lambda name: _may_be_missing(name, layout),
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


def _may_be_missing(name: str, layout: Layout) -> bool:
    return counter_may_be_missing(name) or (_is_statistic(name) and not layout.has_statistics)


def _described(layout: Layout) -> str:
    what = f"a classifier of {layout.num_classes} classes" if layout.num_classes else "a network in pre-training"
    return f"{what} ({layout.depth})"
