"""Class names for an imported classifier, which checkpoints know by number alone."""

import re
from pathlib import Path

from cocon.core.errors import UsageError

__all__ = ["read_labels"]

_NUMBERED = re.compile(r"(\d+)\s+(\S.*)")


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names in the order of the logits.

    Args:
        path: one name per line, or `<id> <name>` in every line as in UCF101's `classInd.txt`; ids follow each other
            from 0 or 1 on, in any order of lines.

    Raises:
        UsageError: the file cannot be read, has no names or one twice, or ids are missing.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"labels '{path}' cannot be read: {error}") from error
    names = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    if names and all(numbered):
        by_id = sorted((int(match[1]), match[2]) for match in numbered if match)
        first = by_id[0][0]
        if first > 1 or [class_id for class_id, _ in by_id] != list(range(first, first + len(by_id))):
            raise UsageError(f"labels '{path}' must have ids that follow each other from 0 or 1 on")
        names = [name for _, name in by_id]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"labels '{path}' must have one name per class, each once")
    return tuple(names)
