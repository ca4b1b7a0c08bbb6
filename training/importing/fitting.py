"""Tensors of a checkpoint into a network: every one of them has its place, or nothing is loaded."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from cocon.core.errors import MismatchError
from cocon.training.models.encoder import Encoder
from cocon.training.models.heads import MeanClassifier

__all__ = [
    "counter_may_be_missing",
    "depth_named",
    "load_fitting",
    "named_there",
    "pass_features_on",
    "shown",
    "without_copies",
    "without_parts",
]

_MAX_SHOWN = 8


def load_fitting(
    network: nn.Module,
    found: Mapping[str, Tensor],
    their_name: Callable[[str], str],
    *,
    path: Path,
    expected: str,
    may_be_missing: Callable[[str], bool],
) -> None:
    """Load all of the tensors, or none.

    Args:
        network: changed in place; tensors that are missing, and may be, stay what they are.
        found: their name → tensor.
        their_name: from the name of a tensor in `network`.
        path: of the file, for the message.
        expected: what the file should hold, such as `a classifier of CoCon`.
        may_be_missing: whether a tensor of that name, theirs, is dispensable.

    Raises:
        MismatchError: keys are missing or unknown, shapes differ, or numbers are none that such a tensor can have; all
            are counted, the first ones named.
    """
    wanted = {their_name(name): tensor for name, tensor in network.state_dict().items()}
    there = {name: (found[name], tensor) for name, tensor in wanted.items() if name in found}
    kinds = {
        "missing keys": [name for name in wanted if name not in found and not may_be_missing(name)],
        "unknown keys": [name for name in found if name not in wanted],
        "other shapes": [
            f"{name} {list(tensor.shape)} in place of {list(own.shape)}"
            for name, (tensor, own) in there.items()
            if tensor.shape != own.shape
        ],
        "tensors of whole numbers": [
            f"{name} {tensor.dtype}"
            for name, (tensor, own) in there.items()
            if own.is_floating_point() and not tensor.is_floating_point()
        ],
        # Of which the square root is taken.
        "negative variances": [
            name for name, (tensor, _) in there.items() if name.endswith(".running_var") and bool((tensor < 0).any())
        ],
    }
    if problems := [f"{len(which)} {kind}: {shown(which)}" for kind, which in kinds.items() if which]:
        raise MismatchError(f"'{path}' is not {expected}; {'; '.join(problems)}")
    theirs = {name: their_name(name) for name in network.state_dict()}
    network.load_state_dict({name: found[their] for name, their in theirs.items() if their in found}, strict=False)


def pass_features_on(encoder: Encoder) -> None:
    """Let the BatchNorm of a `mean` classifier change nothing, for files whose classifier has none."""
    if isinstance(encoder.classifier, MeanClassifier):
        norm = encoder.classifier.bn
        assert norm.running_var is not None
        norm.running_var.fill_(1 - norm.eps)


def counter_may_be_missing(name: str) -> bool:
    """Counters of batches, which torch before 0.4.1 had none of, change nothing."""
    return name.endswith(".num_batches_tracked")


def named_there(name: str, trunk_name: Callable[[str], str], last_layer: str) -> str:
    """Their name of a tensor of an encoder here.

    Args:
        name: in the encoder's state dict.
        trunk_name: from the name of a tensor inside the trunk.
        last_layer: beginning of the names of their classifier.
    """
    if name.startswith("classifier.fc."):
        return last_layer + name.removeprefix("classifier.fc.")
    inside = name.removeprefix("backbone.")
    return name if inside == name else trunk_name(inside)


def depth_named(
    names: Iterable[str], block: str, known: Mapping[str, tuple[int, ...]], *, path: Path, first_stage: int = 1
) -> str:
    """The depth of a residual network by the names of its tensors.

    Args:
        names: of all tensors.
        block: regular expression for the beginning of a block's names, with the groups stage and block.
        known: depth → blocks in each of the four stages.
        path: of the file, for the message.
        first_stage: number of the first of the four stages.

    Raises:
        MismatchError: no known depth has so many blocks.
    """
    blocks: dict[int, set[str]] = defaultdict(set)
    for name in names:
        if match := re.match(block, name):
            blocks[int(match[1])].add(match[2])
    counts = tuple(len(blocks[stage]) for stage in range(first_stage, first_stage + 4))
    for depth, each in known.items():
        if each == counts:
            return depth
    raise MismatchError(
        f"'{path}' has {counts} residual blocks per stage; supported: "
        f"{', '.join(f'{depth} {each}' for depth, each in known.items())}"
    )


def without_copies(
    tensors: Mapping[str, Tensor], first_name: Callable[[str], str], *, path: Path, parts: str
) -> dict[str, Tensor]:
    """The tensors, those that were registered under two names once.

    Args:
        tensors: name → tensor.
        first_name: the name to keep of a tensor, which is its own where there is no other.
        path: of the file, for the message.
        parts: what they are of, in the plural, for the message.

    Raises:
        MismatchError: two names of one tensor have different numbers.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in sorted(tensors.items(), key=lambda item: first_name(item[0]) != item[0]):
        first = found.setdefault(first_name(name), tensor)
        if first is not tensor and (first.shape != tensor.shape or not bool((first == tensor).all())):
            raise MismatchError(
                f"'{path}' has two different {parts}: {name} is not what {first_name(name)} is, though both name one "
                "tensor; it was put together wrong"
            )
    return found


def without_parts(tensors: Mapping[str, Tensor], parts: Sequence[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors but for some parts, and which of these parts there were.

    Args:
        tensors: name → tensor.
        parts: names, or beginnings of names that end in a dot, such as `prototypes.`.

    Returns:
        What is left, and the parts that were there, with a star for the rest of a name.
    """
    of_part = {
        part: {name for name in tensors if (name.startswith(part) if part.endswith(".") else name == part)}
        for part in parts
    }
    left_out = set().union(*of_part.values())
    there = tuple(f"{part}*" if part.endswith(".") else part for part, names in of_part.items() if names)
    return {name: tensor for name, tensor in tensors.items() if name not in left_out}, there


def shown(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more
