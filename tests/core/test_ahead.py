"""Items produced in a thread: in order, bounded, errors in their place, and an early end."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from cocon.core.ahead import produced_ahead


def test_items_come_in_order_and_the_error_after_them() -> None:
    def produce() -> Iterator[int]:
        yield from range(5)
        raise ValueError("the sixth")

    taken = []
    with pytest.raises(ValueError, match="the sixth"), closing(produced_ahead(produce, max_waiting=2)) as items:
        for item in items:
            taken.append(item)
    assert taken == list(range(5))


def test_no_more_is_produced_than_may_wait_and_who_ends_early_closes_the_production_in_its_thread() -> None:
    produced: list[int] = []
    full, closed_in = threading.Event(), list[threading.Thread]()

    def produce() -> Iterator[int]:
        try:
            for number in range(100):
                produced.append(number)
                if number == 4:
                    full.set()
                yield number
        finally:
            closed_in.append(threading.current_thread())

    with closing(produced_ahead(produce, max_waiting=3)) as items:
        assert next(items) == 0
        assert full.wait(30)  # three wait and one is at the door
    assert produced == list(range(5))
    (thread,) = closed_in
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_an_iterator_that_is_closed_before_it_began_starts_nothing() -> None:
    items = produced_ahead(lambda: pytest.fail("it began"), max_waiting=1)
    items.close()
    assert list(items) == []


def test_who_is_interrupted_while_waiting_does_not_wait_for_the_item_under_way() -> None:
    called_off = threading.Event()

    def produce() -> Iterator[int]:
        called_off.wait(20)
        yield 0

    items = produced_ahead(produce, max_waiting=1, stop=called_off)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begin_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(items)
    assert time.monotonic() - begin_s < 10
