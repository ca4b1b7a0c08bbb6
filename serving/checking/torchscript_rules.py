"""What a TorchScript file may call.

It is a program. PyTorch runs parts of it when it loads the file, and some of what it can call writes files
(`torch.save`) or reads them (`torch.from_file`). The names of the operators stand in the file's code, in plain text:
those that only compute are known here, and others are a matter of trust.
"""

import re
import zipfile
from pathlib import Path

from cocon.core.printable import printable
from cocon.serving.checking.configured_model import ConfiguredModel
from cocon.serving.checking.faults import Faults, Matter, idle, in_model

__all__ = ["torchscript_faults"]

# What PyTorch writes, and no other: it looks names up whatever their case, and older forms have code elsewhere.
_ENTRY = re.compile(
    r"[^/]+/((data|constants|traced_inputs)\.pkl|code/.+\.(py|py\.debug_pkl)|(data|constants|traced_inputs)/\d+|version|byteorder"
    r"|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
_MAX_CODE_BYTES = 64 << 20  # that of an encoder has some tens of kilobytes

# PyTorch reads `torch` and `ops` as its operators where they follow no point; so does this, in strings as well.
_CALLED = re.compile(rb"(?<![\w.])(?:torch|ops)\b(?:\.[\w.]*)?")
_NATIVE_CLASS = re.compile(rb"torch\s*\.\s*classes")

_OPERATORS = """
    _convolution abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d add add_ addmm amax amin append arange
    argmax argmin avg_pool1d avg_pool2d avg_pool3d batch_norm bmm cat ceil celu chunk clamp clamp_ clamp_max clamp_min
    clone constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cos cumsum
    detach device dim div div_ dropout dropout_ einsum elu embedding eq exp expand expand_as eye flatten flip floor
    floor_divide floordiv full full_like gather ge gelu group_norm gru gt hardsigmoid hardswish hardtanh hardtanh_ index
    index_select instance_norm is_floating_point layer_norm le leaky_relu leaky_relu_ len linalg_norm linalg_vector_norm
    linear log log_softmax logical_and logical_not logical_or lstm lt masked_fill matmul max max_pool1d max_pool2d
    max_pool3d maximum mean min minimum mm movedim mul mul_ narrow ne neg norm numel ones ones_like pad permute
    pixel_shuffle pow prelu prod reciprocal relu relu6 relu_ remainder repeat repeat_interleave reshape rsqrt rsub
    scaled_dot_product_attention select selu sigmoid sigmoid_ silu silu_ sin size slice softmax softplus split
    split_with_sizes sqrt square squeeze stack std sub sub_ sum swapaxes t tanh tile to topk transpose tril triu
    true_divide type_as unbind unflatten unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_nearest2d
    upsample_trilinear3d var view where zeros zeros_like
"""
_KNOWN = frozenset({b"ops.prim.NumToTensor"} | {f"torch.{name}".encode() for name in _OPERATORS.split()})


def torchscript_faults(model: ConfiguredModel) -> Faults:
    """Files of a model that call what they need not to compute, or that cannot be read as PyTorch reads them."""
    for version, folder in model.versions.items():
        faults = _script_faults(model, folder)
        yield from faults if version in model.served_versions else idle(faults)


def _script_faults(model: ConfiguredModel, folder: Path) -> Faults:
    path = folder / model.file_name
    named = f"its file '{folder.name}/{printable(model.file_name)}'"
    try:
        foreign = _foreign_calls(path) if path.is_file() else []
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        yield in_model(model.name, f"{named} is no TorchScript archive as PyTorch writes it: {error}", Matter.TRUST)
        return
    if foreign:
        what = f"{named} calls {', '.join(map(printable, foreign[:5]))}, which may do more than compute"
        yield in_model(model.name, what, Matter.TRUST)


def _foreign_calls(path: Path) -> list[str]:
    """Names of operators and native classes in a file that are not known, sorted.

    Raises:
        ValueError: it is larger or has other entries than PyTorch writes.
        BadZipFile: it is no archive, as are OSError, RuntimeError and NotImplementedError.
    """
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _check_entries(infos)
        code = [archive.read(info) for info in infos if info.filename.endswith(".py")]
        pickles = [archive.read(info) for info in infos if info.filename.endswith(".pkl")]
    called = {match.group() for text in code for match in _CALLED.finditer(text)} - _KNOWN
    called |= {match.group() for text in (*code, *pickles) for match in _NATIVE_CLASS.finditer(text)}
    return sorted(name.decode("ascii", "replace") for name in called)


def _check_entries(infos: list[zipfile.ZipInfo]) -> None:
    """See that whoever reads this archive finds the same entries in it."""
    names = [info.filename for info in infos]
    if strange := next((name for name in names if not _ENTRY.fullmatch(name)), None):
        raise ValueError(f"it has '{printable(strange)}'")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("it has two entries of one name")
    if not infos or min(info.header_offset for info in infos) != 0:
        raise ValueError("it does not begin with an entry")
    read = sum(info.file_size for info in infos if info.filename.endswith((".py", ".pkl")))
    if read > _MAX_CODE_BYTES:
        raise ValueError(f"its code has {read} bytes, and may have {_MAX_CODE_BYTES}")
