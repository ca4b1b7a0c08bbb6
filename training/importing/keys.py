"""Names and shapes of the tensors that the released code of DPC and CoCon writes, and what they are here.

| there | here |
|---|---|
| `backbone.*` | the same: the trunk |
| `agg.ConvGRUCell_00.*`, and the same tensors again as `agg.cell_list.0.*` | aggregator of pre-training or classifier |
| `network_pred.{0,2}.*` | prediction head of pre-training |
| `final_bn.*`, `final_fc.1.*` | BatchNorm and linear layer of a fine-tuned classifier |

A file has either the third or the fourth row. Files of DPC's pre-training have no running statistics.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from cocon.training.importing.checkpoint_file import Checkpoint
from cocon.training.models.backbones import DEPTHS
from cocon.video.errors import MismatchError

__all__ = ["CLASSIFIER_NAMES", "PREDICTIVE_NAMES", "Layout", "layout_of", "load_tensors"]

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
_MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """What the names and shapes of a state dict tell of its network.

    Attributes:
        depth: name of the residual blocks per stage, such as `resnet18`.
        width: channels of the first stage.
        in_channels: C of the view.
        num_classes: K of a fine-tuned classifier; 0 for a network in pre-training.
        has_statistics: whether batch normalisation kept running statistics.
    """

    depth: str
    width: int
    in_channels: int
    num_classes: int
    has_statistics: bool


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
            f"its keys are {_shown(sorted(tensors))}"
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
    found = _without_second_cell(checkpoint)
    wanted = {_renamed(name, names): tensor for name, tensor in network.state_dict().items()}
    missing = [name for name in wanted if name not in found and not _may_be_missing(name, layout)]
    unknown = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} {list(found[name].shape)} in place of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    kinds = {"missing keys": missing, "unknown keys": unknown, "other shapes": misshapen}
    if problems := [f"{len(which)} {kind}: {_shown(which)}" for kind, which in kinds.items() if which]:
        raise MismatchError(f"'{checkpoint.path}' is not {_described(layout)} of CoCon or DPC; {'; '.join(problems)}")
    theirs = {name: _renamed(name, names) for name in network.state_dict()}
    network.load_state_dict({name: found[their] for name, their in theirs.items() if their in found}, strict=False)


def _depth(checkpoint: Checkpoint) -> str:
    blocks: dict[int, set[int]] = defaultdict(set)
    for name in checkpoint.tensors:
        if match := re.match(r"backbone\.layer([1-4])\.(\d+)\.", name):
            blocks[int(match[1])].add(int(match[2]))
    depths = tuple(len(blocks[stage]) for stage in (1, 2, 3, 4))
    known = [name for name, each in DEPTHS.items() if each == depths]
    if any(".conv3." in name for name in checkpoint.tensors):
        raise MismatchError(
            f"'{checkpoint.path}' has bottleneck blocks (ResNet-50 or deeper); supported: {', '.join(DEPTHS)}"
        )
    if not known:
        raise MismatchError(
            f"'{checkpoint.path}' has {depths} residual blocks per stage; supported: "
            f"{', '.join(f'{name} {each}' for name, each in DEPTHS.items())}"
        )
    return known[0]


def _without_second_cell(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors, those that are registered twice once."""
    found = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(_SAME_CELL)}
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(_SAME_CELL):
            first = found.setdefault(_CELL + name.removeprefix(_SAME_CELL), tensor)
            if first.shape != tensor.shape or not bool((first == tensor).all()):
                raise MismatchError(
                    f"'{checkpoint.path}' has two different aggregators: {name} is not what "
                    f"{_CELL}{name.removeprefix(_SAME_CELL)} is, though both name one tensor; it was put together wrong"
                )
    return found


def _renamed(name: str, names: Mapping[str, str]) -> str:
    here, there = next(pair for pair in names.items() if name.startswith(pair[0]))
    return there + name.removeprefix(here)


def _is_statistic(name: str) -> bool:
    return name.startswith("backbone.") and name.endswith((".running_mean", ".running_var"))


def _may_be_missing(name: str, layout: Layout) -> bool:
    # Counters of batches, which torch before 0.4.1 had none of, change nothing.
    return name.endswith(".num_batches_tracked") or (_is_statistic(name) and not layout.has_statistics)


def _described(layout: Layout) -> str:
    what = f"a classifier of {layout.num_classes} classes" if layout.num_classes else "a network in pre-training"
    return f"{what} ({layout.depth})"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more
