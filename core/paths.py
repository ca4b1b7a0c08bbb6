"""What is said of a file or folder that somebody names and that is not there."""

from os import PathLike, fspath
from pathlib import Path

from cocon.core.errors import UsageError

__all__ = ["NO_FILE", "check_file", "check_folder"]

NO_FILE = "does not exist or is no file"
_NO_FOLDER = "does not exist or is no folder"


def check_file(path: str | PathLike[str], what: str, *, remedy: str = "") -> None:
    """Refuse a path where no file is.

    Args:
        path: as it was named.
        what: it should be, for the message: `video`, `list`, `--weights`.
        remedy: ends the message.

    Raises:
        UsageError: nothing is there, or something else than a file.
    """
    if not Path(path).is_file():
        raise _refusal(path, what, NO_FILE, remedy)


def check_folder(path: str | PathLike[str], what: str, *, remedy: str = "") -> None:
    """Refuse a path where no folder is; like `check_file`."""
    if not Path(path).is_dir():
        raise _refusal(path, what, _NO_FOLDER, remedy)


def _refusal(path: str | PathLike[str], what: str, reason: str, remedy: str) -> UsageError:
    return UsageError(f"{what} '{fspath(path)}' {reason}" + (f"; {remedy}" if remedy else ""))
