"""One stream for several readers: everyone gets everything, and nothing is kept longer than needed."""

import weakref
from collections.abc import Iterator

import numpy as np

from cocon.video.reading.branches import branches


def test_every_reader_gets_every_item_in_order_however_they_take_turns() -> None:
    first, second, third = branches(iter(range(10)), 3)
    assert [next(first) for _ in range(4)] == [0, 1, 2, 3]
    assert list(second) == list(range(10))
    assert list(zip(first, third, strict=False)) == [(4, 0), (5, 1), (6, 2), (7, 3), (8, 4), (9, 5)]
    assert list(third) == [6, 7, 8, 9]


def test_an_item_is_let_go_when_the_last_reader_has_taken_it() -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def pictures() -> Iterator[np.ndarray]:
        for _ in range(40):
            picture = np.zeros(8)
            made.append(weakref.ref(picture))
            yield picture
            del picture

    ahead, behind = branches(pictures(), 2)
    for _ in range(3):
        next(ahead)
    for _ in zip(behind, ahead, strict=False):
        assert sum(picture() is not None for picture in made) <= 6
    assert len(made) == 40


def test_a_source_is_not_asked_before_a_reader_asks() -> None:
    asked = []
    (reader,) = branches((asked.append(index) or index for index in range(3)), 1)  # type: ignore[func-returns-value]
    assert asked == []
    assert next(reader) == 0
    assert asked == [0]
