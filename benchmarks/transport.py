"""What lies between client and server: shared memory beside the wire, the ensemble beside a request per view.

    python benchmarks/transport.py --repository model_repository

One clip or four of all views go to a real Triton on this machine, over the client's own path, in turn in each of the
ways. The processor's time is that of everyone: client, server and its workers. The ways give the same vectors, which is
checked.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from processor_time import processor_seconds
from results_file import Row, write_results

from cocon.client.models.connect import connect
from cocon.embedding.videos.fused_model import FusedModel, open_fused
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess

NUM_ROUNDS = 7
NUM_CLIPS = 24
BATCH_SIZES = (1, 4)
OURS, APART, BY_WIRE = "the ensemble, shared memory", "a request per view, shared memory", "the ensemble, the wire"

Run = dict[str, np.ndarray]
Way = Callable[[], object]


def clips_of(model: FusedModel, size: int) -> list[Run]:
    """Random clips in all views."""
    rng = np.random.default_rng(0)
    shapes = {view: one.contract.clip_shape for view, one in model.models.items()}
    return [{view: rng.integers(0, 256, shape, np.uint8) for view, shape in shapes.items()} for _ in range(size)]


def check_same(ways: dict[str, FusedModel], clips: list[Run]) -> None:
    """Refuse to compare what does not give the same."""
    expected, *others = (way.embed(clips) for way in ways.values())
    for found in others:
        for one, other in zip(expected, found, strict=True):
            for view, vectors in one.items():
                np.testing.assert_array_equal(vectors.vectors, other[view].vectors)


def measured(ways: dict[str, Way], num_requests: int, processes: list[psutil.Process]) -> dict[str, tuple[float, ...]]:
    """Medians over the rounds: seconds of a processor and of the clock for one request, the ways in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(NUM_ROUNDS):
        for name, ask in ways.items():
            ask()
            before, start_s = processor_s(processes), time.perf_counter()
            for _ in range(num_requests):
                ask()
            clock_s = time.perf_counter() - start_s
            found[name].append(((processor_s(processes) - before) / num_requests, clock_s / num_requests))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in found.items()
    }


def processor_s(processes: list[psutil.Process]) -> float:
    """Processor's seconds of the server's processes and of this one so far."""
    time.sleep(0.05)  # what is in hand is finished, and counted
    return processor_seconds(processes)


def rows_of(size: int, found: dict[str, tuple[float, ...]]) -> list[Row]:
    """Time of the processor and of the clock for a clip, ours beside the others."""
    clips = "1 clip" if size == 1 else f"{size} clips"
    figures = (("processor's ms per clip", 0), ("ms per clip, one caller", 1))
    return [
        Row(
            f"all views, {clips} a request: {OURS}",
            1e3 * found[OURS][column] / size,
            unit,
            other,
            found[other][column] / found[OURS][column],
        )
        for unit, column in figures
        for other in (APART, BY_WIRE)
    ]


def main() -> None:
    """Measure, print and write `benchmarks/results/transport.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="of the demo's encoders")
    repository = parser.parse_args().repository
    rows: list[Row] = []
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "triton.log"
        server = stack.enter_context(ServerProcess(repository, Address.on_free_ports(), log=log, timeout_s=600))
        root = psutil.Process(server.identity.pid)
        hosts = [connect(server.url, timeout_s=600, shares_memory=shares) for shares in (True, False)]
        near, far = (open_fused(stack.enter_context(closing(host)), ["all"]) for host in hosts)
        if near.joint is None:
            parser.error(f"'{repository}' has no ensemble that gives what its encoders say; export it again")
        models = {OURS: near, APART: replace(near, joint=None), BY_WIRE: far}
        for size in BATCH_SIZES:
            clips = clips_of(near, size)
            check_same(models, clips)
            ways = {name: partial(model.embed, clips) for name, model in models.items()}
            found = measured(ways, NUM_CLIPS // size, [root, *root.children(recursive=True)])
            rows += rows_of(size, found)
            for row in rows[-4:]:
                print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f} x {row.versus}", flush=True)
    print(write_results("transport", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton"]))


if __name__ == "__main__":
    main()
