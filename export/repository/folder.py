"""The model repository on disk: a model or a version is there whole, or not at all.

Everything is written into a hidden folder of the repository and then renamed into place. A process killed at any moment
leaves models that work; what it left behind is cleared by the next `staging`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cocon.core.storage import storing
from cocon.embedding.config_files import read_config
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract
from cocon.embedding.repository import (
    CARD_FILE,
    CONFIG_FILE,
    LABELS_FILE,
    ONNX,
    ModelFormat,
    check_name,
    version_folders,
    writing,
)

__all__ = [
    "newest_contract",
    "publish",
    "publish_texts",
    "staging",
]

_Contract = TypeVar("_Contract", bound=Contract)

# Hidden: Triton and clients pass over them.
_STAGED = ".staged-"
_REPLACED = ".replaced-"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A folder inside the repository to prepare models in; it is gone afterwards.

    Args:
        root: the repository; made if need be.

    Raises:
        UsageError: another process prepares something in this repository now, nobody could open it, or write to it.
        StorageError: the disk takes no more.
    """
    check_name(root)
    root.mkdir(parents=True, exist_ok=True)
    with writing(root), storing(root, "model repository"):
        _recover(root)
        folder = Path(tempfile.mkdtemp(prefix=_STAGED, dir=root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, target: Path, *, keep_versions: bool = True) -> None:
    """Move a prepared model to its place.

    Args:
        staged: model folder with `config.pbtxt`, card and one version.
        target: where it belongs; a model of that name may be there.
        keep_versions: whether versions that are there stay.
    """
    if not target.exists():
        staged.rename(target)
    elif keep_versions and _differ_in_versions_only(staged, target):
        # The configuration first: a version whose record is missing would be worse than a record without a version.
        publish_texts(staged, target)
        for version in version_folders(staged).values():
            version.rename(target / version.name)
    else:
        if keep_versions:
            for version in version_folders(target).values():
                shutil.copytree(version, staged / version.name, copy_function=_link)
        replaced = target.with_name(_REPLACED + target.name)
        target.rename(replaced)
        staged.rename(target)
        _remove(replaced)


def publish_texts(staged: Path, target: Path) -> None:
    """Give a model the card, and the configuration if there is one, that were prepared for it.

    A file that says the same stays untouched.
    """
    for name in (CONFIG_FILE, CARD_FILE):
        text, present = staged / name, target / name
        if text.is_file() and (not present.is_file() or present.read_bytes() != text.read_bytes()):
            text.replace(present)


def newest_contract(
    root: Path, kind: ModelKind[_Contract, Any], view: str, model_format: ModelFormat = ONNX
) -> _Contract | None:
    """Contract of the newest version of a view's model; None when there is no such model.

    Raises:
        MismatchError: the contract cannot be read.
    """
    newest = kind.newest(root, view, model_format)
    return newest.contract() if newest is not None and newest.contract_path.is_file() else None


def _recover(root: Path) -> None:
    """Finish or undo what a killed export began."""
    for replaced in root.glob(f"{_REPLACED}*"):
        target = root / replaced.name.removeprefix(_REPLACED)
        if target.exists():
            _remove(replaced)
        else:
            replaced.rename(target)
    for staged in root.glob(f"{_STAGED}*"):
        shutil.rmtree(staged)


def _remove(folder: Path) -> None:
    """Remove a folder; of one that is linked, the link alone."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _differ_in_versions_only(staged: Path, target: Path) -> bool:
    """Whether tensors and labels agree, so that one configuration is right for the versions of both."""
    if not (target / CONFIG_FILE).is_file():
        return False
    configs = [read_config(folder / CONFIG_FILE) for folder in (staged, target)]
    for config in configs:
        config.ClearField("parameters")
    labels = [folder / LABELS_FILE for folder in (staged, target)]
    texts = [path.read_bytes() if path.is_file() else b"" for path in labels]
    return configs[0] == configs[1] and texts[0] == texts[1]


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
    return target
