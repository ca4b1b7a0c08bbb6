"""What is said of a file or folder that somebody names and that is not there, or is something else."""

import os
import re
import stat
from os import PathLike
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.texts.likely_names import did_you_mean_path

__all__ = ["check_file", "check_folder", "is_url", "real_path", "special_kind", "why_no_file"]

# Two letters at least: `C:/` is a drive. Where slashes were tidied up, or a list is relative to a folder, it shows too.
_URL = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_file(path: str | PathLike[str], what: str, *, remedy: str = "") -> None:
    """Refuse a path where no file is.

    Args:
        path: as it was named.
        what: it should be, for the message: `video`, `list`, `--weights`.
        remedy: ends the message.

    Raises:
        UsageError: nothing is there, or something else than a file.
    """
    if reason := why_no_file(path):
        raise _refusal(path, what, reason, remedy)


def check_folder(path: str | PathLike[str], what: str, *, remedy: str = "") -> None:
    """Refuse a path where no folder is; like `check_file`."""
    mode, reason = _looked_at(path, "folder")
    if not stat.S_ISDIR(mode):
        refusal = _refusal(path, what, reason or "does not exist or is no folder", remedy)
        raise UsageError(f"{refusal}{did_you_mean_path(Path(path))}")


def why_no_file(path: str | PathLike[str]) -> str:
    """Why there is no file to read at a path: the end of a sentence about it, empty if there is one."""
    mode, reason = _looked_at(path, "file")
    if stat.S_ISDIR(mode):
        return "is a folder and no file; name a file in it"
    return reason


def real_path(path: str | PathLike[str]) -> Path:
    """Where a path leads, whatever is there: absolute, behind all links.

    A link that leads in a circle stays as it is, and whoever looks what is there is told; `Path.resolve` raises a
    RuntimeError, before Python 3.13.
    """
    return Path(os.path.realpath(path))


def is_url(path: str) -> bool:
    """Whether something that is not there names a place elsewhere."""
    return _URL.search(path) is not None


def special_kind(mode: int) -> str:
    """What a status says it is if that is neither a file nor a folder, such as `a FIFO`; else empty."""
    return _SPECIAL.get(stat.S_IFMT(mode), "")


def _looked_at(path: str | PathLike[str], wanted: str) -> tuple[int, str]:
    """Mode of what is there, 0 if nothing is; and what is wrong with it if it is neither a file nor a folder.

    Args:
        path: as it was named.
        wanted: `file` or `folder`, for the message.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0, _why_nothing(os.fspath(path), wanted) or f"does not exist or is no {wanted}"
    except OSError as error:
        return 0, f"cannot be reached: {error.strerror}"
    kind = special_kind(mode)
    return mode, f"is {kind} and no {wanted}; copy what it gives to a file" if kind else ""


def _why_nothing(path: str, wanted: str) -> str:
    if url := _URL.search(path):
        if url[1].lower() == "file":
            return "is a URL; name the path alone, without 'file://'"
        return f"is a URL; only what is on this machine is read: download it, and name the {wanted}"
    if Path(path).is_symlink():
        return f"is a link that leads nowhere (to '{printable(os.readlink(path))}')"  # noqa: PTH115  # as it is written
    return ""


def _refusal(path: str | PathLike[str], what: str, reason: str, remedy: str) -> UsageError:
    return UsageError(f"{what} '{printable(path)}' {reason}" + (f"; {remedy}" if remedy else ""))
