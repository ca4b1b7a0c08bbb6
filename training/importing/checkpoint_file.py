"""Checkpoint files of other projects: tensors out of a pickle, without running what else may be in it."""

import hashlib
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import in_one_line, is_utf8
from cocon.training.run_folder.view_files import load_tensors

__all__ = ["MAX_BYTES", "Checkpoint", "read_checkpoint"]

# Where a state dict is, if it is not the whole file; of DINO's two networks the teacher is the one that is used.
_STATES = ("state_dict", "model", "teacher")

# Weights, moments of Adam and all, a network of the published sizes takes less than half a gigabyte.
MAX_BYTES = 2 << 30
# No pre-training has more; what is said of an epoch may be anything.
_MAX_EPOCHS = 1_000_000
_PIECE = 1 << 20
_SINGLE_BYTES = 4
# What can be computed with, or copied into a network; complex, quantised and eight-bit floats cannot.
_NUMBERS = frozenset(
    {
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    }
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is used of a checkpoint.

    Attributes:
        path: of the file.
        sha256: of its content.
        tensors: the state dict; a prefix `module.` that all its keys have is left out.
        mode: the view, as the released code of CoCon calls it; empty where the file does not say.
        epoch: of pre-training or fine-tuning; None where the file does not say.
        trained: for each parameter, in the network's order, whether the optimizer has moments of it, which it has of
            all that ever had a gradient; empty where the file does not say.
    """

    path: Path
    sha256: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    mode: str = ""
    epoch: int | None = None
    trained: tuple[bool, ...] = ()


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
        UsageError: there is no such file, it is too large, damaged or no checkpoint, it needs more than tensors and
            plain containers to be read, or its state dict is none, or claims to be larger than a file may be.
    """
    check_file(path, "checkpoint")
    is_packed = _check_packing(path)
    content = _loaded(path, is_packed=is_packed)
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
        epoch if type(epoch) is int and 0 <= epoch <= _MAX_EPOCHS else None,
        _trained(content.get("optimizer")),
    )


def _check_packing(path: Path) -> bool:
    """Refuse a file that is too large, or would be when unpacked, or is not what was packed; whether it is packed."""
    num_bytes = path.stat().st_size
    if not num_bytes:
        raise UsageError(f"'{path}' is no checkpoint that torch.save wrote: it is empty")
    _check_size(num_bytes, path)
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(sum(member.file_size for member in archive.infolist()), path)
            _check_members(archive, path)
    except UsageError:
        raise
    except Exception as error:  # a damaged archive makes the library raise almost anything
        raise UsageError(
            f"'{path}' is no checkpoint, or a damaged one: {in_one_line(error)}; get the file once more"
        ) from error
    return True


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Read every member once, by which its checksum is compared: torch looks at none of them.

    They must be as torch writes them, each once and as it is, or torch would read others than are looked at here.
    """
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise zipfile.BadZipFile("two of its members have one name")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise UsageError(
                f"'{path}' has the member '{member.filename}' compressed, which torch.save never does; load it with "
                "torch, and save its state_dict"
            )
        if member.CRC:  # torch can be told to write none
            with archive.open(member) as content:
                while content.read(_PIECE):
                    pass


def _check_size(num_bytes: int, path: Path) -> None:
    if num_bytes > MAX_BYTES:
        raise UsageError(
            f"checkpoint '{path}' takes {num_bytes / 1e9:.1f} GB, more than {MAX_BYTES / 1e9:.1f} GB; "
            "save its state_dict alone"
        )


def _loaded(path: Path, *, is_packed: bool) -> Any:  # noqa: ANN401  # whatever the file holds
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        with torch.serialization.safe_globals(_PASSED_OVER), _openable(path) as name:
            # Mapped, a tensor ends where the file does; read, it has as many numbers as it says, wherever they are.
            return torch.load(name, map_location="cpu", weights_only=True, mmap=is_packed)
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


@contextmanager
def _openable(path: Path) -> Iterator[Path]:
    """A name of the file that torch can map, which is to be UTF-8."""
    if is_utf8(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "checkpoint"
        link.symlink_to(path.absolute())
        yield link


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path)
    except Exception as error:  # it has its own error class
        raise UsageError(f"'{path}' is no file of safetensors, or a damaged one: {in_one_line(error)}") from error


def _tensors(state: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not state:
        raise UsageError(f"checkpoint '{path}' has no state_dict")
    num_bytes = 0
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UsageError(f"state_dict of '{path}' has at {name!r} a {type(tensor).__name__} in place of a tensor")
        if not _is_plain(tensor):
            raise UsageError(
                f"tensor '{name}' of '{path}' is not dense on the CPU, of plain numbers ({tensor.dtype}, "
                f"{tensor.device}, {type(tensor).__name__})"
            )
        # One that repeats its numbers (stride 0) takes nothing in the file, and all of it here, in single precision.
        num_bytes += tensor.numel() * max(_SINGLE_BYTES, tensor.element_size())
        if num_bytes > MAX_BYTES:
            raise UsageError(
                f"state_dict of '{path}' would take more than {MAX_BYTES / 1e9:.1f} GB with its tensor '{name}' "
                f"{list(tensor.shape)}; no network here is so large"
            )
    for name, tensor in state.items():
        if not torch.isfinite(tensor.float()).all():  # in single precision, as it will be
            raise UsageError(f"tensor '{name}' of '{path}' has numbers that are not finite: the training went astray")
    return {name: tensor.detach() for name, tensor in state.items()}


def _is_plain(tensor: Tensor) -> bool:
    """Whether its numbers are there, one by one."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and tensor.device.type == "cpu"
        and tensor.dtype in _NUMBERS
    )


def _trained(optimizer: object) -> tuple[bool, ...]:
    """See `Checkpoint.trained`."""
    match optimizer:
        case {"state": dict(state), "param_groups": list(groups)} if state:
            listed = [group.get("params") for group in groups if isinstance(group, dict)]
            parameters = [each for params in listed if isinstance(params, list) for each in params]
            return tuple(isinstance(each, int) and each in state for each in parameters)
    return ()


def _bare(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Leave out the prefix that training on several devices gives to all names."""
    prefix = "module."
    if all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
