"""Ways that a command line names: `thirds` and `2` for all views, `flow=mean` and `flow=1` for one.

ways = asked_ways(run, ["thirds", "flow=mean"], ["2"])      # {"rgb": Way("thirds", 2), "flow": Way("mean", 2)}
"""

from collections.abc import Sequence

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.embedding.contract import POOLINGS
from cocon.training.repooling.encoders import Way
from cocon.training.run_folder.files import RunFolder
from cocon.video.views import view_named

__all__ = ["asked_ways"]


def asked_ways(run: RunFolder, poolings: Sequence[str], cells: Sequence[str]) -> dict[str, Way]:
    """View → its way: as named for it, else as named for all, else as it is.

    Args:
        run: whose views they are.
        poolings: `POOLING` or `VIEW=POOLING`.
        cells: `CELLS` or `VIEW=CELLS`.

    Raises:
        UsageError: a value is none of those there are, the run has no such view, or something is named twice.
    """
    of_pooling, of_cells = (_by_view(run, *each) for each in (("--pooling", poolings), ("--cells", cells)))
    for text in of_pooling.values():
        if text not in POOLINGS:
            raise UsageError(f"--pooling '{printable(text)}' is unknown; available: {', '.join(POOLINGS)}")
    for text in of_cells.values():
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"--cells '{printable(text)}' must be a whole number from 1 on")
    ways = {}
    for view in run.views:
        own = Way.of(run.contract(view).encoder)
        pooling = of_pooling.get(view, of_pooling.get("", own.pooling))
        ways[view] = Way(pooling, int(of_cells.get(view, of_cells.get("", str(own.cells)))))
    return ways


def _by_view(run: RunFolder, option: str, values: Sequence[str]) -> dict[str, str]:
    """View → what is named for it; of all views under the empty name."""
    found: dict[str, str] = {}
    for value in values:
        name, separator, text = value.rpartition("=")
        view = view_named(name).name if separator else ""
        if separator and view not in run.views:
            raise UsageError(
                f"{option} names view '{printable(name)}', but run '{run}' has {', '.join(run.views)}; name one of them"
            )
        if view in found:
            raise UsageError(f"{option} is named twice for {view or 'all views'}; name it once")
        found[view] = text
    return found
