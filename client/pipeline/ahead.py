"""Decoding overlaps inference: threads cut the next videos into clips while the caller embeds the current ones.

Decoders leave Python's lock while they work, so threads suffice. Memory is bounded: a thread stops at a full queue, and
only as many videos are begun as there are threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from cocon.core.ahead import Ahead

__all__ = ["produce_ahead"]

Source = TypeVar("Source")
Item = TypeVar("Item")

# How often it is looked whether threads have ended.
_POLL_INTERVAL_S = 0.1


def produce_ahead(
    sources: Iterable[Source],
    produce: Callable[[Source], Iterable[Item]],
    *,
    num_threads: int,
    max_waiting: int,
    on_stop: Callable[[], None] = lambda: None,
) -> Generator[Ahead[Source, Item], None, None]:
    """Begin with the next sources while the items of the current one are consumed.

    Args:
        sources: Read lazily, at most `num_threads` ahead.
        produce: Source → its items; called in a thread.
        num_threads: Sources worked on at a time.
        max_waiting: Items of one source that may wait to be consumed.
        on_stop: Ends what is being produced when the work is called off early; called until it has ended.

    Yields:
        Every source in order. Its items must be consumed before the next is asked for.
    """
    stop = threading.Event()
    begun: deque[Ahead[Source, Item]] = deque()
    producing: set[Future[None]] = set()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="decode") as threads:
        try:
            for source in sources:
                ahead: Ahead[Source, Item] = Ahead(source, max_waiting, stop)
                producing.add(threads.submit(ahead.produce, produce))
                producing = {future for future in producing if not future.done()}
                begun.append(ahead)
                if len(begun) > num_threads:
                    yield begun.popleft()
            while begun:
                yield begun.popleft()
        finally:
            stop.set()
            threads.shutdown(wait=False, cancel_futures=True)
            while any(not future.done() for future in producing):
                on_stop()
                producing = wait(producing, timeout=_POLL_INTERVAL_S).not_done
