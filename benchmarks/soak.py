"""Hours in minutes: a server at 80 % of its peak, whether it fails, grows or gets slow.

    python benchmarks/soak.py [--minutes 30] [--repository model_repository]

A supervised server in the background, as `cocon serve --detach` starts it, is asked for the demo's rgb embedding by
callers that nobody arranges (Poisson). Memory is that of the server and its workers, what they share counted once.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from every import export
from numpy.typing import NDArray
from results_file import Row, write_results

from cocon.client.bench.load import Load, Window, arrival_times
from cocon.client.bench.served import ServedModel
from cocon.client.bench.tensors import made_requests
from cocon.serving.address import Address
from cocon.serving.background import detach, stop
from cocon.serving.processes import group_members
from cocon.serving.record import ServerRecord
from cocon.serving.supervision.incidents import IncidentFile
from cocon.serving.supervision.settings import WatchSettings

MODEL = "cocon_rgb"
SHARE_OF_PEAK = 0.8
MOST_CALLERS = 32
PEAK_CALLERS = 8
PEAK_WINDOWS, PEAK_WINDOW_S = 3, 5.0
WINDOW_S = 10.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Soaked:
    """What the whole time has shown.

    Attributes:
        asked: Requests that were due.
        latencies_s: Of those that were answered, `float64 [n]`.
        errors: What the others met with.
        memory: Bytes of server and workers after each window.
    """

    asked: int
    latencies_s: NDArray[np.float64]
    errors: list[str]
    memory: list[int]


def main() -> None:
    """Soak, print and write `benchmarks/results/soak.json`; ends with 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long")
    parser.add_argument("--repository", type=Path, help="of the demo's encoders; exported if not given")
    parser.add_argument("--share", type=float, default=SHARE_OF_PEAK, help="of the peak")
    given = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repository = given.repository or scratch / "model_repository"
        if given.repository is None:
            export(repository)
        os.environ["XDG_STATE_HOME"] = str(scratch)
        record = stack.enter_context(served(repository))
        model = stack.enter_context(closing(ServedModel(record.address.url, MODEL, timeout_s=30.0, shares_memory=True)))
        load = stack.enter_context(closing(Load(model, made_requests(model.inputs, 1, is_random=True))))
        peak = statistics.median(load.closed(PEAK_CALLERS, PEAK_WINDOW_S).requests_per_s for _ in range(PEAK_WINDOWS))
        print(f"peak {peak:.0f} requests/s; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
        soaked = soak(load, given.share * peak, given.minutes, lambda: memory_of(record))
        rows = rows_of(soaked, f"{given.minutes:g} minutes at {given.share:.0%} of {peak:.0f} requests/s")
        for row in rows:
            print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.3f}× {row.versus}")
        incidents = [str(incident) for incident in IncidentFile(record.log).read()]
    print(write_results("soak", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton"]))
    for trouble in [*dict.fromkeys(soaked.errors), *incidents]:
        print(trouble, file=sys.stderr)
    sys.exit(1 if soaked.errors or incidents else 0)


@contextmanager
def served(repository: Path) -> Iterator[ServerRecord]:
    """A server in the background, supervised; gone after."""
    address = Address.on_free_ports()
    detached = detach(repository.absolute(), address, timeout_s=600.0, watch=WatchSettings())
    try:
        yield detached.record
    finally:
        stop(address.grpc_port)


def soak(load: Load, rate: float, minutes: float, memory: Callable[[], int]) -> Soaked:
    """Windows of load, one after the other; the first one warms up and does not count."""
    windows: list[tuple[int, Window]] = []
    sizes = []
    load.open(arrival_times(rate, WINDOW_S, is_poisson=True, seed=0), MOST_CALLERS, WINDOW_S)
    for number in range(1, max(2, round(minutes * 60 / WINDOW_S)) + 1):
        arrivals_s = arrival_times(rate, WINDOW_S, is_poisson=True, seed=number)
        windows.append((len(arrivals_s), load.open(arrivals_s, MOST_CALLERS, WINDOW_S)))
        sizes.append(memory())
        if number % 6 == 0:
            told = windows[-1][1].latencies_s * 1e3
            print(
                f"{time.strftime('%H:%M:%S')} {sizes[-1] / MEBIBYTE:.0f} MiB, p50 {np.median(told):.1f} ms, "
                f"p99 {np.percentile(told, 99):.1f} ms, load of the machine {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    latencies_s = np.concatenate([window.latencies_s for _, window in windows])
    errors = [str(error) for _, window in windows for error in window.errors]
    return Soaked(sum(asked for asked, _ in windows), latencies_s, errors, sizes)


def memory_of(record: ServerRecord) -> int:
    """Bytes of a server and its workers; what several of them map is shared out among them."""
    return sum(psutil.Process(member.pid).memory_full_info().pss for member in group_members(record.process))


def rows_of(soaked: Soaked, case: str) -> list[Row]:
    """Answers, memory of the last tenth beside the first, and the slowest beside the usual."""
    few = max(1, len(soaked.memory) // 10)
    first, last = statistics.median(soaked.memory[:few]), statistics.median(soaked.memory[-few:])
    p50, p99 = np.percentile(soaked.latencies_s, [50, 99]) * 1e3
    answered = len(soaked.latencies_s)
    return [
        Row(f"{case}: answered", answered, "requests", "what was asked for", round(answered / soaked.asked, 5), 1.0),
        Row(f"{case}: memory", last / MEBIBYTE, "MiB", "1.02 × its beginning", round(1.02 * first / last, 3), 1.0),
        Row(f"{case}: 99th percentile", float(p99), "ms", "4 × the median", round(float(4 * p50 / p99), 3), 1.0),
    ]


if __name__ == "__main__":
    main()
