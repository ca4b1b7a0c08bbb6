"""How far the embeddings of each view spread, as a running value, and from where on that is unhealthy."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["SpreadWatch"]

_PREFIX = "spread/"
# Of the running value so much is what it was; a batch is a small sample.
_MEMORY = 0.8
# So many values make up what a network began with.
_FIRST = 3
# Who began below the alarm must keep so much of it.
_KEPT_SHARE = 0.9


class SpreadWatch:
    """Takes in what steps log, and tells which views are unhealthy.

    A view is healthy as long as its spread is no less than `alarm`; or, where the network began below that, no less
    than 0.9 of what it began with.

    Args:
        alarm: spread below which embeddings are collapsing.
    """

    def __init__(self, alarm: float) -> None:
        self._alarm = alarm
        self._running: dict[str, float] = {}
        self._first: dict[str, list[float]] = {}

    def add(self, logged: Mapping[str, Tensor]) -> None:
        """Take in a batch's scalars; those of views of which it showed too little are not among them."""
        for name, value in logged.items():
            if not name.startswith(_PREFIX):
                continue
            view, spread = name.removeprefix(_PREFIX), float(value)
            begun = self._first.setdefault(view, [])
            if len(begun) < _FIRST:
                begun.append(spread)
            before = self._running.get(view, spread)
            self._running[view] = _MEMORY * before + (1 - _MEMORY) * spread

    @property
    def spreads(self) -> dict[str, float]:
        """View → running value."""
        return dict(self._running)

    @property
    def begun_with(self) -> dict[str, float]:
        """View → mean of its first values."""
        return {view: sum(values) / len(values) for view, values in self._first.items()}

    @property
    def unhealthy(self) -> dict[str, float]:
        """View → running value, of the views that are collapsing."""
        bounds = {view: self._bound(begun) for view, begun in self.begun_with.items()}
        return {view: spread for view, spread in self._running.items() if not spread >= bounds[view]}

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to keep."""
        return {"running": dict(self._running), "first": {view: list(of) for view, of in self._first.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self._running = dict(state["running"])
        self._first = {view: list(values) for view, values in state["first"].items()}

    def go_back(self, spreads: Mapping[str, float]) -> None:
        """The networks are those of an earlier step again, whose running values these were."""
        self._running = dict(spreads)

    def _bound(self, begun: float) -> float:
        return self._alarm if begun >= self._alarm else _KEPT_SHARE * begun
