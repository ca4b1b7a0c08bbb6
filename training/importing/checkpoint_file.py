"""Checkpoint files of other projects: tensors out of a pickle, without running what else may be in it."""

import hashlib
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import in_one_line
from cocon.training.run_folder.view_files import load_tensors

__all__ = ["MAX_BYTES", "Checkpoint", "read_checkpoint"]

# Where a state dict is, if it is not the whole file; of DINO's two networks the teacher is the one that is used.
_STATES = ("state_dict", "model", "teacher")

# Weights, moments of Adam and all, a network of the published sizes takes less than half a gigabyte.
MAX_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is used of a checkpoint.

    Attributes:
        path: of the file.
        sha256: of its content.
        tensors: the state dict; a prefix `module.` that all its keys have is left out.
        mode: the view, as the released code of CoCon calls it; empty where the file does not say.
        epoch: of pre-training or fine-tuning; None where the file does not say.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    mode: str = ""
    epoch: int | None = None


class _PassedOver:
    """Stands in for NumPy's numbers, such as `best_acc`, and for options: nothing of theirs runs, nothing is kept."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_PASSED_OVER: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_PassedOver, name)
    for name in (
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "argparse.Namespace",
    )
]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file that `torch.save` wrote, in its present or its earlier format, or safetensors, onto the CPU.

    Raises:
        UsageError: there is no such file, it is too large or no checkpoint, it needs more than tensors and plain
            containers to be read, or its state dict is none.
    """
    check_file(path, "checkpoint")
    _check_size(path)
    content = _loaded(path)
    if not isinstance(content, dict):
        raise UsageError(f"checkpoint '{path}' holds a {type(content).__name__}, not a dictionary with a state_dict")
    mode, epoch = content.get("mode"), content.get("epoch")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Checkpoint(
        path,
        sha256,
        _bare(_tensors(next((content[key] for key in _STATES if key in content), content), path)),
        mode if isinstance(mode, str) else "",
        epoch if isinstance(epoch, int) and epoch >= 0 else None,
    )


def _check_size(path: Path) -> None:
    """Refuse a file that is too large, or would be when unpacked."""
    num_bytes = path.stat().st_size
    if not num_bytes:
        raise UsageError(f"'{path}' is no checkpoint that torch.save wrote: it is empty")
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                num_bytes = max(num_bytes, sum(member.file_size for member in archive.infolist()))
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise UsageError(f"'{path}' is no checkpoint: {in_one_line(error)}") from error
    if num_bytes > MAX_BYTES:
        raise UsageError(
            f"checkpoint '{path}' takes {num_bytes / 1e9:.1f} GB, more than {MAX_BYTES / 1e9:.1f} GB; "
            "save its state_dict alone"
        )


def _loaded(path: Path) -> Any:  # noqa: ANN401  # whatever the file holds
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        with torch.serialization.safe_globals(_PASSED_OVER):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        if needed := re.search(r"\bGLOBAL (\S+)", str(error)):
            raise UsageError(
                f"checkpoint '{path}' needs '{needed[1]}' to be read, which may run code that the file brings; where "
                "you trust it, save its state_dict alone and import that"
            ) from error
        # What torch says of such a file ends in the advice to load it unsafely.
        raise UsageError(
            f"'{path}' is no checkpoint that torch.save wrote, or a damaged one; give the .pth.tar of the released code"
        ) from error


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path)
    except Exception as error:  # it has its own error class
        raise UsageError(f"'{path}' is no file of safetensors, or a damaged one: {in_one_line(error)}") from error


def _tensors(state: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not state:
        raise UsageError(f"checkpoint '{path}' has no state_dict")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UsageError(f"state_dict of '{path}' has at {name!r} a {type(tensor).__name__} in place of a tensor")
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise UsageError(f"tensor '{name}' of '{path}' is not dense on the CPU ({tensor.dtype}, {tensor.device})")
        if not torch.isfinite(tensor).all():
            raise UsageError(f"tensor '{name}' of '{path}' has numbers that are not finite: the training went astray")
    return state


def _bare(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Leave out the prefix that training on several devices gives to all names."""
    prefix = "module."
    if all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
