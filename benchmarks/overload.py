"""Five times more requests than a server can answer: what it still answers, how soon it refuses, and what it grows by.

    python benchmarks/overload.py [--seconds 20] [--times 5] [--rounds 5]

A server of its own has an encoder as large as the published ones, and gets requests of one clip that come evenly,
however long answers take (an open load). The alternative is the same server asked by as many callers as keep it busy
(a closed load), before each round. Nothing is asked again: what is refused stays refused. Clips go over the wire, or
are in memory that both see, by turns: client and server share the processor, and to send and to read what is then
refused costs as much of it as the clips are large.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from results_file import Row, write_results
from tritonclient.grpc import InferenceServerClient, InferInput, InferResult
from tritonclient.utils import InferenceServerException

from cocon.client.models.shared_tensors import SharedTensors
from cocon.embedding.server_keys import MEMORY_KEY
from cocon.export.repository.deployment import Deployment
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from serving import NUM_CORES, full_width, write_repository

MODEL = "cocon_rgb"
WAYS = {"over the wire": False, "in shared memory": True}
NUM_CALLERS = 8
PROBE_INTERVAL_S = 0.05
OPENING_S = 10.0
MOST_REFUSAL_S, MOST_RECOVERY_S = 0.05, 2.0
# Answers of one batch come within it.
BATCH_S = 0.01
NO_ROOM = "maximum queue size"


@dataclass(slots=True)
class Fate:
    """What became of the requests of an open load; filled by the threads of gRPC.

    Attributes:
        answered_s: When answers came, from the beginning.
        refused_s: How long refusals took.
        errors: Whatever else happened.
    """

    answered_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Print and write `benchmarks/results/overload.json`; ends with 1 where a request failed in another way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round of overload")
    parser.add_argument("--times", type=float, default=5.0, help="as many requests as the server answers")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repository = scratch / "model_repository"
        write_repository(full_width(), repository, Deployment.on(NUM_CORES))
        log = scratch / "triton.log"
        server = stack.enter_context(
            ServerProcess(repository, Address.on_free_ports(), log=log, timeout_s=600, scrutiny="none")
        )
        leader = psutil.Process(server.identity.pid)
        rounds: dict[str, list[Round]] = {way: [] for way in WAYS}
        for way in list(WAYS) * given.rounds:
            rounds[way].append(one_round(server.address, leader, given.seconds, given.times, way))
    rows = [row for way, found in rounds.items() for row in rows_of(found, f"{given.times:g} × capacity, {way}")]
    for row in rows:
        print(f"{row.case}: {row.value:.3g} {row.unit}, {row.ratio:.3f}× {row.versus}")
    print(write_results("overload", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton"]))
    if trouble := [error for each in rounds.values() for found in each for error in found.errors]:
        print(*dict.fromkeys(trouble), sep="\n", file=sys.stderr)
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class Round:
    """One round.

    Attributes:
        goodput: Answers a second under overload, beside that of a closed load before.
        refused_s: How long refusals took.
        growth: Most bytes that the server has had meanwhile, beside before.
        recovery_s: From the last request until an answer takes no longer than usual.
        errors: What was neither answered nor refused.
    """

    goodput: float
    refused_s: list[float]
    growth: float
    recovery_s: float
    errors: list[str]


def one_round(address: Address, server: psutil.Process, seconds: float, times: float, way: str) -> Round:
    """Capacity, overload, and back to normal."""
    with InferenceServerClient(address.url) as client, closing(memory_with(client, address)) as memory:
        request = one_clip(client, memory if WAYS[way] else None)
        closed(client, request, 1.0)
        capacity, usual_s = closed(client, request, max(2.0, seconds / 4))
        before = memory_of(server)
        with most_memory(server) as sizes:
            found = overload(client, request, rate=times * capacity, seconds=seconds)
        recovery_s = until(lambda: asked_s(client, request) < 2 * usual_s)
        growth = max(sizes) / before
    goodput = pace([moment for moment in found.answered_s if seconds / 10 < moment < seconds]) / capacity
    print(
        f"{way}: {capacity:.0f} requests/s; {goodput:.0%} of that at {times:g} ×, {len(found.refused_s)} refused "
        f"(99 % within {np.percentile(found.refused_s or [0.0], 99) * 1e3:.1f} ms), memory × {growth:.3f}, usual after "
        f"{recovery_s:.2f} s; load of the machine {psutil.getloadavg()[0]:.1f}",
        flush=True,
    )
    return Round(goodput, found.refused_s, growth, recovery_s, found.errors)


def memory_with(client: InferenceServerClient, address: Address) -> SharedTensors:
    """Memory that the server sees too."""
    return SharedTensors(client, is_wanted=True, key=partial(MEMORY_KEY.headers, address.grpc_port))


def one_clip(client: InferenceServerClient, memory: SharedTensors | None) -> list[InferInput]:
    """A request of one row of noise, whose pixels are in that memory if there is one."""
    (described,) = client.get_model_config(MODEL).config.input
    values = np.random.default_rng(0).integers(0, 256, (1, *described.dims), np.uint8)
    if memory is not None:
        shared = memory.request({described.name: values}, {}, deadline_s=time.monotonic() + OPENING_S)
        assert shared is not None
        return shared.inputs
    given = InferInput(described.name, list(values.shape), "UINT8")
    given.set_data_from_numpy(values)
    return [given]


def closed(client: InferenceServerClient, request: list[InferInput], seconds: float) -> tuple[float, float]:
    """Answers a second that so many callers get, and what one of them usually waits, in seconds."""
    end_s = time.perf_counter() + seconds

    def call() -> list[float]:
        waits = []
        while time.perf_counter() < end_s:
            waits.append(asked_s(client, request))
        return waits

    with ThreadPoolExecutor(NUM_CALLERS) as pool:
        waits = [wait for each in [pool.submit(call) for _ in range(NUM_CALLERS)] for wait in each.result()]
    return len(waits) / seconds, statistics.median(waits)


def overload(client: InferenceServerClient, request: list[InferInput], *, rate: float, seconds: float) -> Fate:
    """Send requests evenly, and wait for what becomes of each."""
    found, done = Fate(), threading.Semaphore(0)
    begin_s = time.perf_counter()

    def taken(sent_s: float) -> Callable[[InferResult | None, InferenceServerException | None], None]:
        def take(result: InferResult | None, error: InferenceServerException | None) -> None:
            now_s = time.perf_counter()
            if error is None:
                found.answered_s.append(now_s - begin_s)
            elif NO_ROOM in str(error):
                found.refused_s.append(now_s - sent_s)
            else:
                found.errors.append(str(error))
            done.release()

        return take

    num_requests = round(rate * seconds)
    for number in range(num_requests):
        early_s = begin_s + number / rate - time.perf_counter()
        if early_s > 0:
            time.sleep(early_s)
        client.async_infer(MODEL, request, taken(time.perf_counter()))
    for _ in range(num_requests):
        done.acquire()
    return found


def asked_s(client: InferenceServerClient, request: list[InferInput]) -> float:
    """How long one request takes, in seconds."""
    begin_s = time.perf_counter()
    client.infer(MODEL, request)
    return time.perf_counter() - begin_s


def pace(moments: list[float]) -> float:
    """Answers a second; they come in batches, so the first of them only says when to begin."""
    first, last = min(moments, default=0.0), max(moments, default=0.0)
    later = [moment for moment in moments if moment > first + BATCH_S]
    return len(later) / (last - first) if later else 0.0


def until(is_so: Callable[[], bool]) -> float:
    """Seconds until something is so; a minute at the most."""
    begin_s = time.perf_counter()
    while not is_so() and time.perf_counter() - begin_s < 60:
        time.sleep(PROBE_INTERVAL_S)
    return time.perf_counter() - begin_s


def memory_of(server: psutil.Process) -> int:
    """Bytes of a server and its workers; what several of them map is shared out among them."""
    return sum(each.memory_full_info().pss for each in [server, *server.children(recursive=True)])


@contextmanager
def most_memory(server: psutil.Process) -> Iterator[list[int]]:
    """Look at a server's memory every half a second."""
    sizes, is_over = [memory_of(server)], threading.Event()

    def look() -> None:
        while not is_over.wait(0.5):
            sizes.append(memory_of(server))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield sizes
    finally:
        is_over.set()
        looking.join()
        sizes.append(memory_of(server))


def rows_of(rounds: list[Round], case: str) -> list[Row]:
    """Medians of the rounds, each beside what was asked for."""
    goodput = statistics.median(found.goodput for found in rounds)
    refused_s = statistics.median(float(np.percentile(found.refused_s or [0.0], 99)) for found in rounds)
    growth = rounds[-1].growth if len(rounds) > 1 else rounds[0].growth
    recovery_s = statistics.median(found.recovery_s for found in rounds)
    refused = MOST_REFUSAL_S / max(refused_s, 1e-4)
    usual = MOST_RECOVERY_S / max(recovery_s, 0.01)
    return [
        Row(f"{case}: answered", 100 * goodput, "% of capacity", "the closed load before", goodput, 0.9),
        Row(f"{case}: refused, 99th percentile", refused_s * 1e3, "ms", "50 ms", refused, 1.0),
        Row(f"{case}: most memory", growth, "× before", "1.05 ×", 1.05 / growth, 1.0),
        Row(f"{case}: until usual again", recovery_s, "s", "2 s", usual, 1.0),
    ]


if __name__ == "__main__":
    main()
