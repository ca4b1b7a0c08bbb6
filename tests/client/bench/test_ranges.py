import pytest

from cocon.client.bench.ranges import concurrencies, request_rates
from cocon.core.errors import UsageError


def test_levels_of_a_range() -> None:
    assert concurrencies("3") == [3]
    assert concurrencies("1:3") == [1, 2, 3]
    assert concurrencies("1:8:3") == [1, 4, 7]
    assert request_rates("0.1:0.3:0.1") == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("text", ["", "a", "0", "4:1", "1:2:0", "1:2:3:4", "1:100000", "1.5"])
def test_a_range_that_makes_no_levels_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"--concurrency-range '{text}'"):
        concurrencies(text)


@pytest.mark.parametrize("text", ["nan", "inf", "1:inf", "-1:5"])
def test_a_rate_is_a_finite_number(text: str) -> None:
    with pytest.raises(UsageError, match="--request-rate-range"):
        request_rates(text)


def test_more_levels_than_anybody_reads_are_refused() -> None:
    with pytest.raises(UsageError, match="200 levels, at most 64; take a larger step"):
        concurrencies("1:200")
