"""Load on a real model file."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cocon.client.bench.bare_onnx import BareOnnx, onnx_file
from cocon.client.bench.load import Load, arrival_times
from cocon.client.bench.measured_model import Caller, Request
from cocon.client.bench.measuring import Level, Pace, measure_levels
from cocon.client.bench.tensors import made_requests
from cocon.core.errors import MismatchError, ServerError, UsageError


@pytest.fixture
def subject(repository: Path) -> BareOnnx:
    return BareOnnx(onnx_file(repository, "cocon_rgb", ""), num_instances=2, num_threads=1)


@pytest.fixture
def requests(subject: BareOnnx) -> list[Request]:
    return made_requests(subject.inputs, 3, is_random=True)


class SlowCaller:
    """Answers after so long, or not at all."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.threads: set[int] = set()

    def call(self, request: Request) -> None:
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error

    def close(self) -> None: ...


class SlowModel(BareOnnx):
    """A model whose answers take so long."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.num_instances, self.callers = 1, list[SlowCaller]()
        self._seconds, self._error = seconds, error

    def caller(self) -> Caller:  # type: ignore[override]  # another one
        self.callers.append(SlowCaller(self._seconds, self._error))
        return self.callers[-1]


def test_callers_ask_as_fast_as_they_are_answered() -> None:
    subject = SlowModel(0.02)
    with Load(subject, [{}]) as load:
        window = load.closed(4, 0.3)
    assert 0 < window.requests_per_s <= 4 / 0.02
    assert window.latencies_s.min() >= 0.02
    assert len(set().union(*(caller.threads for caller in subject.callers))) == len(subject.callers) == 4


def test_latency_of_an_open_load_counts_from_when_a_request_was_due() -> None:
    with Load(SlowModel(0.05), [{}]) as load:
        window = load.open(np.zeros(3), 1, 60.0)
    assert (np.sort(window.latencies_s) >= [0.05, 0.1, 0.15]).all()
    assert window.num_delayed >= 2


def test_what_cannot_be_sent_in_time_is_delayed_and_ends_with_the_window() -> None:
    with Load(SlowModel(0.05), [{}]) as load:
        window = load.open(arrival_times(10_000, 0.2, is_poisson=False, seed=0), 2, 0.2)
    assert len(window.latencies_s) < 20
    assert window.num_delayed > 1_900


def test_arrivals_have_the_mean_rate_that_was_asked() -> None:
    even = arrival_times(50, 2.0, is_poisson=False, seed=0)
    assert len(even) == 100
    np.testing.assert_allclose(np.diff(even), 0.02)
    chance = arrival_times(500, 20.0, is_poisson=True, seed=1)
    assert len(chance) == pytest.approx(10_000, rel=0.05)
    gaps_s = np.diff(chance)
    assert gaps_s.min() >= 0
    assert gaps_s.std() == pytest.approx(gaps_s.mean(), rel=0.05)  # as of an exponential distribution


def test_errors_are_counted_and_do_not_end_a_window() -> None:
    with Load(SlowModel(0.0, ServerError("gone")), [{}]) as load:
        window = load.closed(1, 0.12)
    assert (window.requests_per_s, len(window.latencies_s)) == (0, 0)
    assert {str(error) for error in window.errors} == {"gone"}
    assert len(window.errors) < 5, "it asks again after a pause"


def test_a_level_without_an_answer_ends_with_what_the_last_request_met_with() -> None:
    with pytest.raises(ServerError, match="gone"):
        list(measure_levels(SlowModel(0.0, ServerError("gone")), None, [{}], [Level(concurrency=1)], Pace(0.1)))


def test_a_fault_in_a_caller_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), Load(SlowModel(0.0, ZeroDivisionError()), [{}]) as load:
        load.closed(3, 5.0)


def test_levels_are_measured_until_their_windows_agree(subject: BareOnnx, requests: list[Request]) -> None:
    levels = [Level(concurrency=1), Level(concurrency=3), Level(request_rate=200.0)]
    pace = Pace(interval_s=0.1, stability=5.0, is_poisson=False)
    one, three, rate = measure_levels(subject, subject, requests, levels, pace)
    assert [len(measured.windows) for measured in (one, three)] == [5, 5]
    assert [measured.num_bare_callers for measured in (one, three, rate)] == [1, 2, 2]
    assert len(one.bare) == 5
    assert one.is_stable
    assert one.requests_per_s > 0
    assert 0 < len(rate.latencies_s) <= 20 * len(rate.windows)
    never = next(measure_levels(subject, None, requests, levels[:1], Pace(0.05, stability=0.0, max_trials=6)))
    assert (len(never.windows), never.is_stable) == (6, False)


def test_no_level_follows_one_beyond_the_threshold() -> None:
    levels = [Level(concurrency=number) for number in (1, 2, 3)]
    pace = Pace(interval_s=0.05, threshold_s=0.01, max_trials=3)
    assert len(list(measure_levels(SlowModel(0.02), None, [{}], levels, pace))) == 1


def test_requests_fit_the_model(subject: BareOnnx, requests: list[Request]) -> None:
    assert len({request["clip"].tobytes() for request in requests}) == len(requests)
    assert requests[0]["clip"].shape == (3, 2, 2, 16, 16, 3)
    assert not made_requests(subject.inputs, 1, is_random=False)[0]["clip"].any()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cocon_rgb/model\.onnx' does not exist"):
        onnx_file(tmp_path, "cocon_rgb", "")
    (path := tmp_path / "m" / "1" / "model.onnx").parent.mkdir(parents=True)
    path.write_bytes(b"no model")
    with pytest.raises(MismatchError, match="cannot be loaded"):
        BareOnnx(onnx_file(tmp_path, "m", "1"))
