"""What somebody may have meant by a name that nothing is called by: the end of a sentence about it.

f"preset 'figurs' is unknown{did_you_mean('figurs', ('figures', 'paper'))}"     # …; did you mean 'figures'?
f"'runs/defualt' is no run{did_you_mean_path(Path('runs/defualt'))}"            # …; did you mean 'runs/default'?
"""

import difflib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from cocon.core.printable import printable

__all__ = ["did_you_mean", "did_you_mean_path"]

# A folder may hold any number of names, and each is compared letter by letter.
_MAX_NAMES = 1000


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is most like one, or nothing where none is like it.

    Args:
        name: as it was given.
        known: the names that there are.
    """
    nearest = difflib.get_close_matches(name, list(islice(known, _MAX_NAMES)), n=1)
    return f"; did you mean '{printable(nearest[0])}'?" if nearest else ""


def did_you_mean_path(path: Path) -> str:
    """The same for a path that does not exist, by what else lies in its folder; nothing where it does exist."""
    try:
        if path.exists():
            return ""
        beside = [other.name for other in islice(path.parent.iterdir(), _MAX_NAMES)]
    except (OSError, ValueError):
        return ""
    nearest = difflib.get_close_matches(path.name, beside, n=1)
    return f"; did you mean '{printable(path.parent / nearest[0])}'?" if nearest else ""
