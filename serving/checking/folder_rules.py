"""What may lie in a model's folder.

Triton and its Python workers take a library or a module that lies beside a model for the backend, the batching strategy
or something to import, whatever the configuration says: `libtriton_<backend>.so`, `batchstrategy.so`, `model.py`.
"""

import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.embedding.repository import is_version
from cocon.serving.checking.configured_model import MAX_TEXT_BYTES, ConfiguredModel
from cocon.serving.checking.faults import Fault, Faults, Matter, idle, in_model

__all__ = ["folder_faults", "hidden_faults", "is_plain_name", "link_faults"]

# What a shell takes as it stands; the wheel's server starts its workers by one, without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
# Texts, which nobody runs.
_TEXT_ENDINGS = frozenset({".md", ".txt", ".json", ".pbtxt"})
# Triton reads the number as a signed one of 64 bits, and ends where it is none.
_MAX_VERSION = (1 << 63) - 1


def is_plain_name(name: str) -> bool:
    """Whether a shell, a file system and Triton read this name of a model, file or instance alike."""
    return _PLAIN.fullmatch(name) is not None


def folder_faults(model: ConfiguredModel) -> Faults:
    """What lies in the folder of a model and may not."""
    for entry in sorted(model.folder.iterdir()):
        if not entry.is_dir():
            yield from _file_faults(model, entry, model_file="")
        elif not is_version(entry.name):
            what = f"its folder '{printable(entry.name)}' is no version, which is a number without leading zeros"
            yield in_model(model.name, what, Matter.TRUST)
        elif int(entry.name) > _MAX_VERSION:
            what = f"its version {entry.name} is beyond {_MAX_VERSION}, where Triton ends"
            yield in_model(model.name, what, Matter.FORM)
        else:
            faults = _version_faults(model, entry)
            yield from faults if int(entry.name) in model.served_versions else idle(faults)


def _version_faults(model: ConfiguredModel, folder: Path) -> Faults:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            what = f"its version {folder.name} has a folder '{printable(entry.name)}', and may have files alone"
            yield in_model(model.name, what, Matter.TRUST)
        else:
            yield from _file_faults(model, entry, model.file_name)


def _file_faults(model: ConfiguredModel, path: Path, model_file: str) -> Faults:
    named = f"its file '{printable(path.relative_to(model.folder))}'"
    if not _is_regular(path):
        yield in_model(
            model.name, f"{named} is no regular file, so that whoever reads it may wait for ever", Matter.FORM
        )
    elif not (path.name == model_file or path.suffix in _TEXT_ENDINGS or _is_hidden_mark(path)):
        expected = f"the model '{model_file}' or " if model_file else ""
        what = f"{named} is none that is known; there may be {expected}texts ({', '.join(sorted(_TEXT_ENDINGS))})"
        yield in_model(model.name, what, Matter.TRUST)
    elif path.name != model_file and path.stat().st_size > MAX_TEXT_BYTES:
        yield in_model(model.name, f"{named} is a text of more than {MAX_TEXT_BYTES >> 20} MiB", Matter.FORM)


def _is_hidden_mark(path: Path) -> bool:
    """Such as `.gitkeep`, which no loader looks for."""
    return path.name.startswith(".") and not path.suffix


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)  # behind a link, if there is one; that has its own rule
    except OSError:
        return False


def link_faults(root: Path, idle_folders: Collection[Path] = ()) -> Faults:
    """Links that lead out of a repository, or nowhere.

    Args:
        root: the repository.
        idle_folders: of versions that are not served.
    """
    home = real_path(root)
    for path in _links(root):
        target = real_path(path)
        if not target.is_relative_to(home) or not target.exists():
            where = f"model repository '{printable(root)}'"
            what = (
                f"its link '{printable(path.relative_to(root))}' leads to '{printable(target)}', out of it or nowhere"
            )
            is_idle = any(path.is_relative_to(folder) for folder in idle_folders)
            yield Fault(where, what, Matter.TRUST, is_idle=is_idle)


def _links(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield path
        elif path.is_dir():
            yield from _links(path)


def hidden_faults(folder: Path) -> Faults:
    """A hidden folder that Triton would serve all the same: exporters and others keep folders there."""
    try:
        model = ConfiguredModel.read(folder)
    except UsageError:
        return  # Triton reads no more of it than we do
    if str(model.config.name) in ("", model.name):
        yield in_model(model.name, "it is hidden, and Triton would serve it all the same", Matter.FORM, "remove it")
