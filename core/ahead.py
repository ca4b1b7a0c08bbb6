"""Items that a thread produces ahead of who consumes them, as many as a queue holds.

with closing(produced_ahead(lambda: decoded(path), max_waiting=4)) as frames:
    for frame in frames: ...
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Generic, TypeVar

__all__ = ["Ahead", "produced_ahead"]

Source = TypeVar("Source")
Item = TypeVar("Item")

# How often a waiting thread looks whether the work was called off.
_POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class _End:
    """Last entry of a queue; `error` is what stopped the production early."""

    error: BaseException | None = None


@dataclass(slots=True)
class Ahead(Generic[Source, Item]):
    """One source whose items are produced in a thread.

    Attributes:
        source: what the items come from.
        max_waiting: items that may wait to be consumed.
        stop: once it is set, no more items are produced.
    """

    source: Source
    max_waiting: int
    stop: threading.Event = field(repr=False)
    _queue: "Queue[Item | _End]" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._queue = Queue(self.max_waiting)

    def __iter__(self) -> Iterator[Item]:
        """The items in order; raises what their production raised, after the items before it."""
        while not isinstance(item := self._queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def produce(self, produce: Callable[[Source], Iterable[Item]]) -> None:
        """Produce all items; called in the thread."""
        try:
            if self.stop.is_set():
                return
            for item in produce(self.source):
                if not self._put(item):
                    return
            self._put(_End())
        except BaseException as error:  # handed over, and raised again by the caller's thread
            self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        while not self.stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL_INTERVAL_S)
            except Full:
                continue
            return True
        return False


def produced_ahead(
    produce: Callable[[], Iterable[Item]], *, max_waiting: int, stop: threading.Event | None = None
) -> Generator[Item, None, None]:
    """The items of one source; who does not take them all closes the iterator, which waits for the thread.

    Args:
        produce: gives the items; called in a thread, where it is closed as well.
        max_waiting: items that may wait to be consumed.
        stop: set once nobody wants more items: who produces them need not finish the one under way.

    Raises:
        Exception: what producing them raised, after the items before it.
    """
    ahead: Ahead[Callable[[], Iterable[Item]], Item] = Ahead(produce, max_waiting, stop or threading.Event())
    thread = threading.Thread(target=ahead.produce, args=(lambda source: source(),), name="ahead", daemon=True)
    thread.start()
    try:
        yield from ahead
    finally:
        ahead.stop.set()
        thread.join()
