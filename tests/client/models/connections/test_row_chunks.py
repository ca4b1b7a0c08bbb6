"""Requests are as large as the model and its server take, by number and by bytes."""

from contextlib import closing

import numpy as np
import pytest

from cocon.client.models.channel import TritonChannel
from cocon.client.models.connections import row_chunks
from cocon.client.models.failures import RequestTooLargeError
from cocon.client.models.target import Target
from tests.client.models.conftest import serving
from tests.client.models.pretender import PRETENDED, Echo

ROWS = np.arange(9, dtype=np.uint8)[:, None].repeat(1000, axis=1)


def asked(url: str, *, times: int = 1) -> None:
    with closing(TritonChannel(Target.parse(url), timeout_s=30, shares_memory=False)) as channel:
        for _ in range(times):
            found = channel.infer(PRETENDED, {"clip": ROWS}, {"embedding": "embedding"})
            np.testing.assert_array_equal(found["embedding"], ROWS[:, :3])


def test_no_more_rows_than_the_model_takes() -> None:
    echo = Echo()
    with serving(echo) as url:
        asked(url)
    assert echo.num_rows == [4, 4, 1]


def test_no_more_bytes_than_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_chunks, "MOST_REQUEST_BYTES", 2500)
    echo = Echo()
    with serving(echo) as url:
        asked(url)
    assert echo.num_rows == [2, 2, 2, 2, 1]


def test_what_is_refused_for_its_size_is_halved_and_remembered() -> None:
    echo = Echo()
    with serving(echo, most_bytes=1500) as url:
        asked(url, times=2)
    assert echo.num_rows == [1] * 18


def test_a_row_that_is_too_large_is_told() -> None:
    told = r"refuses the size of a request or of its answer: .*larger than max"
    with serving(Echo(), most_bytes=500) as url, pytest.raises(RequestTooLargeError, match=told):
        asked(url)
