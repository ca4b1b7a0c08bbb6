"""A real server under malformed requests: it lives, each has a clear answer, and its neighbours notice nothing."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient

from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from tests.serving.conftest import CLIP, write_encoder, write_ensemble, write_fusion
from tests.serving.hostile.grpc_attacks import VERBS, grpc_attacks, written_into_workers
from tests.serving.hostile.http_attacks import http_attacks
from tests.serving.hostile.siege import (
    Neighbour,
    Outcome,
    new_question,
    resident_bytes,
    send_all,
    send_over_http,
    wait_for_port,
)

pytestmark = pytest.mark.triton

MODELS = ("cocon_rgb", "cocon_flow", "cocon_fuse", "cocon")
QUESTION = new_question("cocon_rgb", "clip", [1, *CLIP])
# A leak of one body of the larger attacks each time would be many times this.
MOST_GROWTH_BYTES = 64 << 20


@pytest.fixture(scope="module")
def besieged(
    can_serve: None, weight: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server of its own: one that dies here must not take other tests with it."""
    folder = tmp_path_factory.mktemp("besieged")
    for view in ("rgb", "flow"):
        write_encoder(folder / "models", f"cocon_{view}", weight)
    write_fusion(folder / "models")
    write_ensemble(folder / "models")
    with ServerProcess(
        folder / "models", Address.on_free_ports(http=True), log=folder / "log", timeout_s=600
    ) as process:
        yield process


def unharmed(server: ServerProcess, attack: Callable[[], Outcome], canary: Path) -> Outcome:
    """Attack; afterwards server, models, memory, neighbours and files must be as before."""
    neighbour = Neighbour(server.url, QUESTION)
    before = resident_bytes(server.identity.pid)
    with neighbour.asking():
        outcome = attack()
    assert server.is_alive()
    assert outcome.faults == []
    assert neighbour.faults == []
    assert neighbour.num_answers > 0
    assert resident_bytes(server.identity.pid) - before < MOST_GROWTH_BYTES
    with InferenceServerClient(server.url) as client:
        assert [model for model in MODELS if not client.is_model_ready(model)] == []
    assert not canary.exists()
    return outcome


@pytest.mark.parametrize(
    ("seed", "num_random"), [(0, 12), *(pytest.param(seed, 120, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_malformed_requests_of_every_verb(besieged: ServerProcess, tmp_path: Path, seed: int, num_random: int) -> None:
    canary = tmp_path / "canary"
    attacks = list(grpc_attacks(random.Random(seed), QUESTION, num_random, (*MODELS, "1", "clip", "embedding"), canary))
    assert {attack.verb for attack in attacks} == set(VERBS)
    outcome = unharmed(besieged, lambda: send_all(besieged.url, attacks), canary)
    assert outcome.number == len(attacks) > 450


@pytest.mark.parametrize(
    ("seed", "num_random"), [(0, 60), *(pytest.param(seed, 2000, marks=pytest.mark.slow) for seed in (1, 2, 3))]
)
def test_what_is_no_http_and_what_is_no_question(
    besieged: ServerProcess, tmp_path: Path, seed: int, num_random: int
) -> None:
    canary, port = tmp_path / "canary", besieged.address.http_port
    assert port is not None
    attacks = list(http_attacks(random.Random(seed), num_random, canary))
    wait_for_port((besieged.address.interface, port))
    outcome = unharmed(besieged, lambda: send_over_http((besieged.address.interface, port), attacks), canary)
    assert outcome.number == len(attacks) > 550


def test_no_stranger_has_answers_written_into_the_workers_memory(besieged: ServerProcess, tmp_path: Path) -> None:
    """It ended the server at the second answer, when anybody could register memory."""
    regions = sorted(Path("/dev/shm").glob(f"cocon-{besieged.address.grpc_port}-*"))
    assert regions, "the workers' memory has another name than before"
    attacks = list(written_into_workers(QUESTION, regions))
    outcome = unharmed(besieged, lambda: send_all(besieged.url, attacks), tmp_path / "canary")
    assert outcome.statuses["answers into the workers' own memory"].keys() == {"UNAVAILABLE", "NOT_FOUND"}
