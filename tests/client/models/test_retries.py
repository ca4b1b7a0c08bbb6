"""A server that stops, comes back, or comes back as another; and one that is only told to."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cocon.client.models.retries import NoAnswerError, Retries
from cocon.client.models.server import TritonServer
from cocon.core.errors import MismatchError, ServerError
from cocon.core.telling.waits import awaited
from cocon.embedding.embedder import ENCODER
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract, make_repository
from tests.client.models.conftest import Flaky, serving, write_config

NOT_FOUND, UNAVAILABLE = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE
INTERNAL = grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("status", "is_ending", "num_failures"),
    [
        (UNAVAILABLE, False, 4),
        (grpc.StatusCode.CANCELLED, False, 2),  # what a server that ends does with the requests it has
        (NOT_FOUND, False, 2),  # it has let go of its models by then
        (INTERNAL, True, 2),
    ],
)
def test_a_server_that_is_away_for_a_moment_is_asked_again(
    status: grpc.StatusCode, is_ending: bool, num_failures: int
) -> None:
    servicer = Flaky(status, num_failures, is_ending=is_ending)
    with serving(servicer) as url, TritonServer(url) as triton:
        assert triton.software == "triton 2.0"
    assert servicer.num_requests == num_failures + 1


@pytest.mark.parametrize(("status", "is_ending"), [(UNAVAILABLE, False), (NOT_FOUND, False), (INTERNAL, True)])
def test_after_the_deadline_it_is_the_server_that_failed(status: grpc.StatusCode, is_ending: bool) -> None:
    servicer = Flaky(status, 1000, is_ending=is_ending)
    with (
        serving(servicer) as url,
        TritonServer(url, timeout_s=0.5) as triton,
        pytest.raises(ServerError, match=r"is not ready \((not now|Server exiting)\), and was not within 0\.5 s"),
    ):
        _ = triton.software
    assert servicer.num_requests > 1


FULL = "[request id: 7] Exceeds maximum queue size"


@pytest.mark.parametrize(("status", "message"), [(UNAVAILABLE, FULL), (grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")])
def test_a_server_without_room_is_asked_again_and_not_whether_it_ends(status: grpc.StatusCode, message: str) -> None:
    servicer = Flaky(status, 3, message=message)
    with serving(servicer) as url, TritonServer(url) as triton:
        assert triton.software == "triton 2.0"
    assert (servicer.num_requests, servicer.num_lives) == (4, 0)
    with (
        serving(Flaky(status, 1000, message=message)) as url,
        TritonServer(url, timeout_s=0.2, deadline_s=0.4) as triton,
        pytest.raises(ServerError, match=r"has no room \(.*\), and had none within 0\.4 s; .* --deadline-s waits"),
    ):
        _ = triton.software


def test_a_model_whose_worker_has_died_is_waited_for() -> None:
    servicer = Flaky(INTERNAL, 3, message="Stub process 'cocon_rgb_0_0' is not healthy.")
    with serving(servicer) as url, TritonServer(url) as triton:
        assert triton.software == "triton 2.0"
    assert (servicer.num_requests, servicer.num_lives) == (4, 0)


def test_what_is_too_large_is_no_smaller_the_next_time() -> None:
    servicer = Flaky(grpc.StatusCode.RESOURCE_EXHAUSTED, 9, message="Received message larger than max (9 vs. 4)")
    with serving(servicer) as url, TritonServer(url) as triton, pytest.raises(ServerError, match="size of a request"):
        _ = triton.software
    assert servicer.num_requests == 1


def test_a_server_that_hung_is_asked_again_within_the_deadline_if_it_ever_answered() -> None:
    hanging = Flaky(hangs_s=1.0)
    with serving(hanging) as url, TritonServer(url, timeout_s=0.3, deadline_s=600) as triton:
        assert triton.software == "triton 2.0"
        hanging.num_failures = 2  # which is the next request alone
        assert triton.software == "triton 2.0"
    assert hanging.num_requests == 3


def test_a_server_that_is_not_up_yet_is_waited_for_where_that_is_wanted() -> None:
    url = Address.on_free_ports().url
    with TritonServer(url, deadline_s=600) as triton, pytest.raises(ServerError, match="no Triton server answers"):
        _ = triton.software
    with ThreadPoolExecutor(1) as thread, TritonServer(url, deadline_s=600, awaits_start=True) as triton:
        waiting = thread.submit(lambda: triton.software)
        while awaited() != [f"server {url}"]:
            assert not waiting.done()
        with serving(Flaky(), url):
            assert waiting.result(timeout=60) == "triton 2.0"
    assert awaited() == []


@pytest.mark.parametrize(
    ("status", "error"), [(INTERNAL, ServerError), (grpc.StatusCode.INVALID_ARGUMENT, MismatchError)]
)
def test_what_a_sound_server_refuses_is_not_asked_for_again(status: grpc.StatusCode, error: type[Exception]) -> None:
    servicer = Flaky(status, 1000)
    with serving(servicer) as url, TritonServer(url, timeout_s=600) as triton, pytest.raises(error, match="not now"):
        _ = triton.software
    assert servicer.num_requests == 1


EXPIRED = InferenceServerException("CERTIFICATE_VERIFY_FAILED: certificate has expired", status="UNAVAILABLE")
AWAY = InferenceServerException("failed to connect to all addresses", status="UNAVAILABLE")


def _ask(retries: Retries, outcomes: list[InferenceServerException | str]) -> str:
    """What is got by requests that end so, one after the other."""

    def request(timeout_s: float) -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, InferenceServerException):
            raise outcome
        return outcome

    return retries.ask(request)


def test_a_server_that_is_away_is_waited_for_beside_one_that_is_distrusted() -> None:
    retries = Retries("one,two", lambda timeout_s: None, timeout_s=1, deadline_s=300, num_servers=2)
    assert _ask(retries, ["up"]) == "up"
    assert _ask(retries, [AWAY, EXPIRED, AWAY, EXPIRED, "back"]) == "back"
    outcomes: list[InferenceServerException | str] = [AWAY, EXPIRED, EXPIRED, "not asked for"]
    with pytest.raises(NoAnswerError):
        _ask(retries, outcomes)
    assert outcomes == ["not asked for"]


def test_whether_a_server_is_about_to_end_is_asked_for_no_longer_than_a_request_may_last() -> None:
    allowed_s: list[float] = []
    retries = Retries("one", allowed_s.append, timeout_s=1, deadline_s=300)
    with pytest.raises(NoAnswerError):
        _ask(retries, [InferenceServerException("broken", status="INTERNAL")])
    assert allowed_s == [1]


def test_who_closes_the_connection_ends_the_waiting() -> None:
    servicer = Flaky(UNAVAILABLE, 10**6)
    with serving(servicer) as url, ThreadPoolExecutor(1) as thread:
        triton = TritonServer(url, timeout_s=600)
        waiting = thread.submit(lambda: triton.software)
        while servicer.num_requests < 2:
            time.sleep(0.01)
        triton.close()
        assert isinstance(waiting.exception(timeout=60), ServerError | ValueError)  # gRPC's, on its way out


@contextmanager
def hosted(repository: Path, address: Address) -> Iterator[ServerProcess]:
    log = repository.with_suffix(".log")
    with ServerProcess(repository, address, log=log, timeout_s=600, scrutiny="none") as process:
        yield process


def _repository(root: Path, weights: str) -> Path:
    model = contract("rgb", weights=weights)
    write_config(make_repository(root, model) / "cocon_rgb", model, "onnxruntime")
    return root


def _end(server: ServerProcess) -> None:
    """Have it end, and return while it does."""
    os.kill(server.identity.pid, signal.SIGTERM)
    with InferenceServerClient(server.url) as client, suppress(InferenceServerException):
        while client.is_server_live():
            pass


@pytest.mark.usefixtures("server")  # and so its folders: none of the user's is touched
def test_a_server_started_anew_goes_on_with_the_same_model_and_with_no_other(tmp_path: Path) -> None:
    repository, other = _repository(tmp_path / "same", "1"), _repository(tmp_path / "other", "2")
    address = Address.on_free_ports()
    clips = np.random.default_rng(0).integers(0, 256, (3, 2, 2, 16, 16, 3), dtype=np.uint8)
    with TritonServer(address.url, timeout_s=600) as patient, TritonServer(address.url, timeout_s=1) as impatient:
        with hosted(repository, address) as server:
            encoder, hasty = patient.open(ENCODER, "rgb"), impatient.open(ENCODER, "rgb")
            before = encoder.embed(clips).embedding
            _end(server)
            for ask in (lambda: hasty.embed(clips), lambda: impatient.open(ENCODER, "rgb"), lambda: impatient.views):
                with pytest.raises(ServerError, match="within 1 s; see that it runs"):
                    ask()
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(encoder.embed, clips)
            with hosted(repository, address):
                np.testing.assert_array_equal(waiting.result().embedding, before)
        with (
            hosted(other, address),
            pytest.raises(MismatchError, match=r"'cocon_rgb' version 1 .* has changed meanwhile"),
        ):
            encoder.embed(clips)
