import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from cocon.client.pipeline.ahead import produce_ahead


def test_order_of_sources_and_items_is_kept_though_later_ones_are_ready_first() -> None:
    ready = [threading.Event() for _ in range(4)]

    def produce(source: int) -> Iterator[int]:
        if source < 2:
            assert ready[source + 1].wait(5)
        ready[source].set()
        yield from range(source)

    ahead = produce_ahead(range(4), produce, num_threads=3, max_waiting=1)
    assert [(entry.source, list(entry)) for entry in ahead] == [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2])]


def test_next_source_is_produced_while_the_current_one_is_consumed() -> None:
    second_begun = threading.Event()

    def produce(source: int) -> Iterator[int]:
        if source == 1:
            second_begun.set()
        yield source

    for entry in produce_ahead(range(2), produce, num_threads=2, max_waiting=1):
        assert second_begun.wait(5)
        list(entry)


def test_production_stops_at_a_full_queue() -> None:
    """Three items wait and one more is held, however long nobody takes any; each that is taken lets one be made."""
    taken, leads, is_full = 0, [], threading.Semaphore(0)

    def produce(source: int) -> Iterator[int]:
        for item in range(100):
            leads.append(item + 1 - taken)
            if item >= 3:
                is_full.release()
            yield item

    with closing(produce_ahead([0], produce, num_threads=1, max_waiting=3)) as ahead:
        items = iter(next(ahead))
        for number in range(97):
            assert is_full.acquire(timeout=60)
            taken += 1
            assert next(items) == number
    assert leads == [1, 2, 3] + 97 * [4]


def test_error_comes_after_the_items_before_it_and_others_go_on() -> None:
    def produce(source: int) -> Iterator[int]:
        yield 1
        if source == 0:
            raise ValueError("bad source")

    first, second = None, []
    for entry in produce_ahead([0, 1], produce, num_threads=1, max_waiting=1):
        if entry.source == 0:
            items = iter(entry)
            first = next(items)
            with pytest.raises(ValueError, match="bad source"):
                next(items)
        else:
            second = list(entry)
    assert (first, second) == (1, [1])


def test_leaving_early_ends_the_threads() -> None:
    def produce(source: int) -> Iterator[int]:
        yield from range(1000)

    num_before = threading.active_count()
    with closing(produce_ahead(range(10), produce, num_threads=3, max_waiting=1)) as ahead:
        next(iter(next(ahead)))
    assert threading.active_count() == num_before


def test_work_that_is_called_off_ends_what_is_being_produced_and_begins_nothing_more() -> None:
    called_off, begun = threading.Event(), []

    def produce(source: int) -> Iterator[int]:
        begun.append(source)
        yield source
        called_off.wait()  # as for a decoder that gives no more frames
        raise RuntimeError("stopped")

    ahead = produce_ahead(range(9), produce, num_threads=2, max_waiting=1, on_stop=called_off.set)
    first = next(ahead)
    assert next(iter(first)) == 0
    ahead.close()
    assert sorted(begun) == [0, 1]
