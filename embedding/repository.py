"""What a model repository looks like: `cocon export` writes it, Triton serves it, `local:` opens it.

    cocon_rgb/config.pbtxt                   all versions
    cocon_rgb/labels.txt                     class names, one per line, where there is a classifier
    cocon_rgb/README.md                      model card of the newest version
    cocon_rgb/3/model.onnx, contract.json    one version; its config.pbtxt has the tensors of that one
    cocon_rgb_int8/3/model.onnx, contract.json      a variant: smaller or faster, and almost the same vectors
    cocon_rgb_torchscript/3/model.pt, contract.json
    cocon_rgb_boundaries/1/model.onnx, boundaries.json
    cocon_rgb_feature_map/1/model.onnx, feature_map.json
    cocon_fuse/1/model.onnx                  fuses the vectors of all views
    cocon/1/fusion.json                      ensemble of all views and `cocon_fuse`
    cocon_video/1/video.json                 takes whole videos, and calls the encoders, on demand

A version is a folder with a number for a name; the highest one is served, unless `config.pbtxt` names others. Suffix
and contract of every kind of model are in its `ModelKind`; both travel in `config.pbtxt` too, for those who see a
server and no folder.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from cocon.core.errors import MismatchError, UsageError
from cocon.core.paths import check_folder
from cocon.core.printable import is_utf8, printable
from cocon.core.storage import refused

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "ENSEMBLE",
    "ENSEMBLE_PLATFORM",
    "FORMATS",
    "FP16",
    "FUSE",
    "FUSION_FILE",
    "INT8",
    "LABELS_FILE",
    "NO_OTHER_FILE",
    "ONNX",
    "ONNX_RUNTIME",
    "SHA256_KEY",
    "TORCHSCRIPT",
    "VARIANTS",
    "FormatName",
    "ModelFormat",
    "check_name",
    "check_repository",
    "is_version",
    "labels_text",
    "latest_version",
    "model_name",
    "sound_content",
    "variant_of",
    "version_folders",
    "version_key",
    "writing",
]

# Hidden: Triton and clients pass over it.
_LOCK = ".writer.lock"

CONFIG_FILE = "config.pbtxt"
LABELS_FILE = "labels.txt"
CARD_FILE = "README.md"
FUSION_FILE = "fusion.json"

SHA256_KEY = "sha256"
"""Of the parameter that says which file is a version's, before that version."""

ENSEMBLE = "cocon"
FUSE = "cocon_fuse"
ENSEMBLE_PLATFORM = "ensemble"
"""What Triton calls a model that hands tensors from model to model."""

ONNX_RUNTIME = "onnxruntime"

NO_OTHER_FILE = ("session.model_external_initializers_file_folder_path", os.devnull)
"""Of a session of ONNX Runtime: where weights that stand in other files are. It would look in the working directory."""

FormatName: TypeAlias = Literal["onnx", "torchscript", "int8", "fp16"]


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """How a model is stored and who runs it.

    Attributes:
        suffix: of the model's name, after `cocon_<view>`.
        backend: Triton's name of the runtime.
        file_name: of the model, in its version folder.
        threads_parameter: what that backend calls its thread count.
        has_indexed_outputs: outputs are called `<name>__<position>`, as Triton's PyTorch backend finds them.
        is_variant: computes almost what the encoder does, within a stated bound, and not all but rounding.
    """

    suffix: str
    backend: str
    file_name: str
    threads_parameter: str
    has_indexed_outputs: bool = False
    is_variant: bool = False

    def output_name(self, name: str, position: int) -> str:
        """What the model calls the output that its contract calls `name`."""
        return f"{name}__{position}" if self.has_indexed_outputs else name


ONNX = ModelFormat("", ONNX_RUNTIME, "model.onnx", "intra_op_thread_count")
TORCHSCRIPT = ModelFormat("_torchscript", "pytorch", "model.pt", "INTRA_OP_THREAD_COUNT", has_indexed_outputs=True)
INT8 = ModelFormat("_int8", ONNX_RUNTIME, "model.onnx", "intra_op_thread_count", is_variant=True)
FP16 = ModelFormat("_fp16", ONNX_RUNTIME, "model.onnx", "intra_op_thread_count", is_variant=True)

FORMATS: dict[FormatName, ModelFormat] = {"onnx": ONNX, "torchscript": TORCHSCRIPT, "int8": INT8, "fp16": FP16}
VARIANTS: dict[str, ModelFormat] = {name: each for name, each in FORMATS.items() if each.is_variant}


def model_name(view: str, suffix: str = "") -> str:
    """Name of a view's model."""
    return f"cocon_{view}{suffix}"


def variant_of(model: str) -> str:
    """Which variant a model of this name is, such as `int8`; empty for what computes what the encoder does."""
    return next((name for name, each in VARIANTS.items() if model.endswith(each.suffix)), "")


def version_key(key: str, version: int | str) -> str:
    """What a configuration's parameters call a fact of one version, such as `contract.3`."""
    return f"{key}.{version}"


def sound_content(path: Path, sha256: str | None) -> bytes:
    """A model's file, as it will be run: read once, so that nobody can put another in its place after it was looked at.

    Args:
        path: of the file.
        sha256: that it must have, if it is known.

    Raises:
        MismatchError: it is another file, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MismatchError(f"model '{path}' cannot be loaded: {error.strerror}; export it again") from error
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise MismatchError(
            f"model '{path}' is another file than was exported (its sha256 is {found[:12]}…, recorded is "
            f"{sha256[:12]}…); export it again"
        )
    return content


def check_repository(root: Path) -> None:
    """Refuse a path where no model repository can be; raises `UsageError`."""
    check_name(root)
    check_folder(root, "model repository", remedy="make one with 'cocon export'")


def check_name(root: Path) -> None:
    """Raise `UsageError` if hosts cannot open files in a repository of this name."""
    if not is_utf8(root):
        raise UsageError(
            f"model repository '{printable(root)}' has a name that is not UTF-8, which Triton and ONNX Runtime do not "
            "open; choose another, or a link of another name"
        )


def is_version(name: str) -> bool:
    """Whether it names a version folder, by Triton's rule: a number without leading zeros."""
    return re.fullmatch("[1-9][0-9]*", name) is not None


def labels_text(labels: Iterable[str]) -> str:
    """What `labels.txt` holds: a label a line, whatever is in it."""
    return "".join(f"{printable(label)}\n" for label in labels)


def version_folders(model_folder: Path) -> dict[int, Path]:
    """Version → its folder, of a model that need not be there."""
    if not model_folder.is_dir():
        return {}
    return {int(entry.name): entry for entry in model_folder.iterdir() if is_version(entry.name) and entry.is_dir()}


def latest_version(model_folder: Path) -> int | None:
    """The highest version of a model; None where there is none."""
    return max(version_folders(model_folder), default=None)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Have a repository, which exists, for oneself.

    Raises:
        UsageError: another process changes it now.
        StorageError: it cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(root / _LOCK, blocking=False, thread_local=False, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise UsageError(
            f"another export writes to '{printable(root)}' now, or versions of it are being promoted; wait for it, or "
            "use --repository"
        ) from error
    except OSError as error:
        raise refused(error, f"model repository '{printable(root)}'") from error
    with held:
        yield
