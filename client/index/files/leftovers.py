"""What writers that were killed have left in the folder of an index."""

import logging
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from cocon.core.printable import printable

__all__ = ["is_ours", "remove_leftovers"]

_logger = logging.getLogger(__name__)

# Files whose names the catalogue gives, those of the first schema, and those that were being written.
_ROWS = re.compile(r"(vectors-[0-9a-f]+\.f32|blocks-[0-9a-f]+\.f16|lists-[0-9a-f]+\.faiss|index\.faiss)")
_PARTIAL = re.compile(r"\.(catalog\.sqlite|index\.json|index\.faiss|lists-[0-9a-f]+\.faiss)\.\d+\.partial(-\w+)?")


def is_ours(name: str) -> bool:
    """Whether a file is such a one by its name."""
    return bool(_ROWS.fullmatch(name) or _PARTIAL.fullmatch(name))


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
