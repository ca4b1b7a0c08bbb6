"""What writers that were killed have left in the folder of an index."""

import logging
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from cocon.client.index.files.proven import CATALOG_FILE
from cocon.core.errors import UsageError
from cocon.core.folder_lock import LOCK_FILE
from cocon.core.printable import printable

__all__ = ["is_ours", "make_folder", "remove_leftovers"]

_logger = logging.getLogger(__name__)

# Files whose names the catalogue gives, those of the first schema, and those that were being written.
_ROWS = re.compile(r"(vectors-[0-9a-f]+\.f32|blocks-[0-9a-f]+\.f16|lists-[0-9a-f]+\.faiss|index\.faiss)")
_PARTIAL = re.compile(
    r"\.(catalog\.sqlite|index\.json|index\.faiss|lists-[0-9a-f]+\.faiss|map\.npz)\.\d+\.partial(-\w+)?"
)


def is_ours(name: str) -> bool:
    """Whether a file is such a one by its name."""
    return bool(_ROWS.fullmatch(name) or _PARTIAL.fullmatch(name))


def make_folder(folder: Path) -> None:
    """Make the folder of a new index.

    Raises:
        UsageError: It holds something else; a run that was killed at once leaves its lock, empty files of rows and a
            hidden catalogue, which are no hindrance.
    """
    present = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if CATALOG_FILE not in present and any(
        name[0] != "." and name != LOCK_FILE and not is_ours(name) for name in present
    ):
        raise UsageError(
            f"folder '{printable(folder)}' holds something else than an index; choose another with --index"
        )
    folder.mkdir(parents=True, exist_ok=True)


def remove_leftovers(folder: Path, named: Collection[str]) -> None:
    """Remove them, for the holder of the writer lock.

    Args:
        folder: Of the index.
        named: Files that belong to it.
    """
    for path in folder.iterdir():
        if is_ours(path.name) and path.name not in named:
            with suppress(OSError):  # the next one may
                path.unlink()
                _logger.debug("'%s' was left by a writer that was killed", printable(path))
