"""Tensors in shared memory: the same answers as over the wire, and never one that the server did not write there."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray

from cocon.client.models import shared_region, shared_tensors
from cocon.client.models.channel import TritonChannel
from cocon.client.models.target import Target
from cocon.core.errors import ServerError
from cocon.embedding.server_keys import MEMORY_KEY
from cocon.serving.launcher import ServerProcess
from tests.client.conftest import contract
from tests.client.models.conftest import serving
from tests.client.models.pretender import PRETENDED, Pretender

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="POSIX shared memory is elsewhere")

OUTPUTS = {name: name for name in ("embedding", "blocks", "logits")}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_tensors, "_LEAST_BYTES", 1)  # these clips are a kilobyte
    monkeypatch.setattr(shared_tensors, "_FIRST_BYTES", 1)


@pytest.fixture
def clips() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (4, *contract("rgb").clip_shape), np.uint8)


def regions(url: str) -> set[str]:
    """What a server has open."""
    with closing(grpc_client.InferenceServerClient(url)) as client:
        return set(client.get_system_shared_memory_status(headers=key(url)).regions)


def key(url: str) -> dict[str, str]:
    """What this user alone has the server open and forget memory by."""
    return MEMORY_KEY.headers(Target.parse(url).port)


def ask(channel: TritonChannel, clips: NDArray[np.uint8], *, times: int = 1) -> dict[str, NDArray[np.float32]]:
    model = channel.described("cocon_rgb", "contract")
    return [channel.infer(model, {"clip": clips}, OUTPUTS) for _ in range(times)][-1]


def assert_equal(found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.fixture
def expected(server: ServerProcess, clips: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """What comes over the wire."""
    with closing(TritonChannel(Target.parse(server.url), timeout_s=60, shares_memory=False)) as channel:
        found = ask(channel, clips)
    assert not regions(server.url)
    return found


def test_answers_are_those_of_the_wire_and_one_region_serves_all_requests(
    server: ServerProcess, clips: NDArray[np.uint8], expected: dict[str, NDArray[np.float32]]
) -> None:
    with closing(TritonChannel(Target.parse(server.url), timeout_s=60)) as channel:
        few = ask(channel, clips[:1])
        small = regions(server.url)
        assert_equal(ask(channel, clips, times=3), expected)
        large = regions(server.url)
        assert_equal(ask(channel, clips[:1]), few)
        assert len(small) == len(large) == 1 and small != large and regions(server.url) == large
    assert not regions(server.url) and not Path("/dev/shm", large.pop()).exists()


def test_a_server_that_forgets_the_region_is_asked_over_the_wire_and_then_by_another(
    server: ServerProcess, clips: NDArray[np.uint8], expected: dict[str, NDArray[np.float32]]
) -> None:
    with closing(TritonChannel(Target.parse(server.url), timeout_s=60)) as channel:
        for _ in range(7):
            assert_equal(ask(channel, clips), expected)
            with closing(grpc_client.InferenceServerClient(server.url)) as client:
                client.unregister_system_shared_memory(headers=key(server.url))
        assert not regions(server.url)  # five times are enough


def test_a_server_that_does_not_see_this_memory_is_asked_over_the_wire(
    server: ServerProcess,
    clips: NDArray[np.uint8],
    expected: dict[str, NDArray[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(shared_region, "_FOLDER", tmp_path)  # as in a container
    with closing(TritonChannel(Target.parse(server.url), timeout_s=60)) as channel:
        assert_equal(ask(channel, clips, times=2), expected)
        assert not regions(server.url) and not list(tmp_path.iterdir())


def test_what_a_killed_process_has_left_at_the_server_goes_too(server: ServerProcess, clips: NDArray[np.uint8]) -> None:
    with closing(grpc_client.InferenceServerClient(server.url)) as client:
        left = shared_region.SharedRegion.create(4096)
        client.register_system_shared_memory(left.name, left.key, 4096, headers=key(server.url))
        left.remove()
        with closing(TritonChannel(Target.parse(server.url), timeout_s=60)) as channel:
            ask(channel, clips)
            assert left.name not in regions(server.url)


def test_the_environment_turns_it_off(
    server: ServerProcess, clips: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COCON_SHARED_MEMORY", "0")
    with closing(TritonChannel(Target.parse(server.url), timeout_s=60)) as channel:
        ask(channel, clips)
        assert not regions(server.url)


@pytest.mark.parametrize(
    ("version", "asked"),
    [("2.51.0", ["register", "shared", "wire", "config", "wire"]), ("2.50.0", ["wire", "config", "wire"])],
)
def test_an_answer_that_was_not_written_is_none(version: str, asked: list[str]) -> None:
    servicer = Pretender(version)
    with serving(servicer) as url, closing(TritonChannel(Target.parse(url), timeout_s=30)) as channel:
        for _ in range(2):
            found = channel.infer(PRETENDED, {"clip": np.ones((2, 2), np.uint8)}, {"embedding": "embedding"})
            assert found["embedding"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert servicer.asked == asked


def test_a_server_that_forbids_it_is_asked_over_the_wire_at_once() -> None:
    servicer = Pretender()
    servicer.refuses = True
    with serving(servicer) as url, closing(TritonChannel(Target.parse(url), timeout_s=30)) as channel:
        for _ in range(7):
            channel.infer(PRETENDED, {"clip": np.ones((2, 2), np.uint8)}, {"embedding": "embedding"})
    assert servicer.asked.count("wire") == 7
    assert servicer.asked.count("register") == 1


def test_closing_waits_no_longer_for_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_tensors, "_CLOSING_S", 0.1)
    servicer = Pretender()
    servicer.is_stuck = True
    with serving(servicer) as url, closing(TritonChannel(Target.parse(url), timeout_s=30)) as channel:
        channel._servers.shared._lost = ["cocon-client-1", "cocon-client-2", "cocon-client-3"]
        channel.close()
    assert servicer.asked == ["unregister"]


def test_opening_a_region_and_the_answer_have_one_deadline_together() -> None:
    servicer = Pretender()
    servicer.pause_s = 0.6
    late = pytest.raises(ServerError, match="did not answer within 1 s")
    with serving(servicer) as url, closing(TritonChannel(Target.parse(url), timeout_s=1)) as channel, late:
        channel.infer(PRETENDED, {"clip": np.ones((2, 2), np.uint8)}, {"embedding": "embedding"})
