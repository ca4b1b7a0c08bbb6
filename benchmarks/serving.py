"""What Triton costs: encoders and the ensemble behind the real server, beside the same files in bare ONNX Runtime.

    python benchmarks/serving.py [--only TEXT] [--side-s 0.5]

Both sides compute the same clips in turn, with as many instances and threads. Speed counts what a caller waits for, the
processor's time that of everyone: caller, server and its workers. It needs no repository, and trains nothing.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch
from processor_time import processor_seconds
from results_file import Row, write_results

from cocon.client.bench.bare_ensemble import BareEnsemble, bare_steps
from cocon.client.bench.bare_onnx import BareOnnx, onnx_file
from cocon.client.bench.measured_model import Caller, MeasuredModel, Request
from cocon.client.bench.served import ServedModel
from cocon.embedding.config_files import write_config
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.repository import ENSEMBLE, ONNX
from cocon.export.drafts import drafts_of
from cocon.export.repository.deployment import Deployment, Preference
from cocon.export.repository.model_config import add_version
from cocon.export.sources import ExportOptions, ViewSource
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS

NUM_ROUNDS = 7
NUM_CORES = len(os.sched_getaffinity(0))
PACKED_RUN = Path(__file__).parents[1] / "pretrained" / "figures-tiny"
BARE = "bare ONNX Runtime"


@dataclass(frozen=True, slots=True)
class Case:
    """A load on a model.

    Attributes:
        model: its name on the server.
        num_callers: that ask at the same time, each for the next answer when it has one.
        batch_size: clips of a request.
        wanted_speed: the least share of the bare speed.
        wanted_work: the least share of the processor's time that is the models' own.
    """

    model: str
    num_callers: int
    batch_size: int
    wanted_speed: float | None = None
    wanted_work: float | None = None

    def __str__(self) -> str:
        callers = "one caller" if self.num_callers == 1 else f"{self.num_callers} callers"
        return f"{callers}, {self.batch_size} a request"

    def is_in(self, text: str, title: str) -> bool:
        """Whether a text is in what the case is called."""
        return text in (f"ensemble, {self}" if self.model == ENSEMBLE else f"{title}, {self}")


@dataclass(frozen=True, slots=True)
class Used:
    """What some clips have taken, per clip."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure, print and write `benchmarks/results/serving.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name has this text; the results are not written")
    parser.add_argument("--side-s", type=float, default=0.5, help="how long each side computes in a round")
    given = parser.parse_args()
    one = [Case("cocon_rgb", 1, batch_size, wanted_speed=0.9) for batch_size in (1, 4)]
    many = [Case("cocon_rgb", 2 * NUM_CORES, batch_size, wanted_speed=0.95) for batch_size in (1, 4)]
    together = [
        Case(ENSEMBLE, callers, batch_size, wanted_work=0.9)
        for callers, batch_size in ((1, 1), (1, 4), (4, 4), (4, 16))
    ]
    plans: list[tuple[str, Callable[[], list[ViewSource]], Preference, list[Case]]] = [
        ("R18, 64 wide, 128 px", full_width, "latency", one),
        ("R18, 64 wide, 128 px", full_width, "throughput", many),
        ("demo's encoder, 48 px", demo, "latency", [*one, Case("cocon_rgb", 1, 16, wanted_speed=0.9)]),
        ("demo's encoder, 48 px", demo, "throughput", [*many, Case("cocon_rgb", 4, 16, wanted_speed=0.95), *together]),
    ]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, (title, sources, prefer, cases) in enumerate(plans):
            wanted = [case for case in cases if case.is_in(given.only, title)]
            repository = Path(scratch, str(number))
            if wanted:
                write_repository(sources(), repository, Deployment.on(NUM_CORES, prefer=prefer))
                rows += measured(title, repository, wanted, given.side_s)
    if not given.only:
        print(write_results("serving", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton"]))


def full_width() -> list[ViewSource]:
    """An encoder as large as the published ones, of random weights."""
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (2, 2, 2, 2), 64)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    clip, geometry = ClipSpec(1, 5), Geometry(128, 128)
    contract = ModelContract("random", "rgb", clip, geometry, spec, encoder.embedding_dim, weights_sha256="")
    return [ViewSource(encoder, contract, np.zeros((1, *contract.clip_shape), np.uint8))]


def demo() -> list[ViewSource]:
    """Those of the packed run, of four views."""
    run = RunFolder.open(PACKED_RUN)
    loaded = map(run.encoder, run.views)
    return [ViewSource(*each, np.zeros((1, *each[1].clip_shape), np.uint8)) for each in loaded]


def write_repository(sources: list[ViewSource], repository: Path, deployment: Deployment) -> None:
    """What `cocon export` writes, without its gates, which take longer than all that is measured here."""
    for draft in drafts_of(sources, repository, ExportOptions(formats=(ONNX,), deployment=deployment)):
        path = repository / draft.config.name / "1" / draft.file_name
        path.parent.mkdir(parents=True)
        draft.write(path)
        if draft.contract is not None:
            path.with_name(draft.contract[0]).write_text(draft.contract[1], encoding="utf-8")
        add_version(draft.config, 1, draft.identity)
        (path.parents[1] / "labels.txt").write_text("".join(f"{label}\n" for label in draft.labels), encoding="utf-8")
        write_config(draft.config, path.parents[1] / "config.pbtxt")


def measured(title: str, repository: Path, cases: list[Case], side_s: float) -> list[Row]:
    """Serve a repository, and measure its cases one after the other."""
    rows = []
    with ServerProcess(
        repository, Address.on_free_ports(), log=repository.with_suffix(".log"), timeout_s=600
    ) as server:
        main_process = psutil.Process(server.identity.pid)
        processes = [main_process, *main_process.children(recursive=True)]
        for case in cases:
            with closing(ServedModel(server.url, case.model, timeout_s=120, shares_memory=True)) as served:
                rows += rows_of(title, case, served, repository, partial(processor_seconds, processes), side_s)
            for row in rows[-2:]:
                print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.3f}× {row.versus}", flush=True)
    return rows


def rows_of(
    title: str, case: Case, served: ServedModel, repository: Path, clock: Callable[[], float], side_s: float
) -> list[Row]:
    """Alternate Triton and bare sessions with the same instances and threads."""
    generator = np.random.default_rng(0)
    request = {
        name: generator.integers(0, 256, (case.batch_size, *spec.shape), np.uint8)
        for name, spec in served.inputs.items()
    }
    sides: dict[str, MeasuredModel] = bare_models(case, served, repository) | {"Triton": served}
    with ExitStack() as stack:
        used = {
            name: stack.enter_context(repeated(model, request, case.num_callers if name == "Triton" else None, clock))
            for name, model in sides.items()
        }
        num_calls = max(1, round(side_s / used["Triton"](2).wall_s / case.batch_size / case.num_callers))
        rounds = [{name: use(num_calls * case.num_callers) for name, use in used.items()} for _ in range(NUM_ROUNDS)]
    walls = {name: statistics.median(each[name].wall_s for each in rounds) for name in sides}
    fastest = min((name for name in sides if name != "Triton"), key=lambda name: walls[name])
    speed = statistics.median(each[fastest].wall_s / each["Triton"].wall_s for each in rounds)
    work = statistics.median(each[BARE].cpu_s / each["Triton"].cpu_s for each in rounds)
    cpu_ms = 1e3 * statistics.median(each["Triton"].cpu_s for each in rounds)
    name = f"{title}, {served.num_instances} × {served.num_threads} threads, {case}"
    if case.model == ENSEMBLE:
        name = f"ensemble of four views, {NUM_CORES} × 1 threads each, {case}"
    return [
        Row(name, round(1 / walls["Triton"], 1), "clips/s", fastest, round(speed, 3), case.wanted_speed),
        Row(f"{name}: processor", round(cpu_ms, 2), "ms/clip", BARE, round(work, 3), case.wanted_work),
    ]


def bare_models(case: Case, served: ServedModel, repository: Path) -> dict[str, MeasuredModel]:
    """What one would write oneself: threads that wait by sleeping, as ours, and by spinning, as is the default."""
    if case.model == ENSEMBLE:
        whole = partial(BareEnsemble, ENSEMBLE, "1", bare_steps(repository, served.steps))
        return {f"{BARE}, all cores for each view": whole(spins=True), BARE: whole(num_threads=1, spins=False)}
    path = onnx_file(repository, case.model, "")
    each = partial(BareOnnx, path, num_instances=served.num_instances, num_threads=served.num_threads)
    spinning = {} if served.num_threads == 1 else {f"{BARE}, spinning": each(spins=True)}
    return spinning | {BARE: each(spins=False)}


@contextmanager
def repeated(
    model: MeasuredModel, request: Request, num_callers: int | None, clock: Callable[[], float]
) -> Iterator[Callable[[int], Used]]:
    """Ask a model a number of times, by so many callers at once; by default one for each of its instances."""
    callers = [model.caller() for _ in range(num_callers or model.num_instances)]
    batch_size = len(next(iter(request.values())))

    def use(num_calls: int) -> Used:
        shares = [len(range(start, num_calls, len(callers))) for start in range(len(callers))]
        time.sleep(0.1)  # threads of the side before may still spin
        cpu_start, start = clock(), time.perf_counter()
        if len(callers) == 1:
            _ask(callers[0], request, num_calls)
        else:
            list(pool.map(_ask, callers, [request] * len(callers), shares))
        wall_s = time.perf_counter() - start
        time.sleep(0.02)  # the server still tidies up
        return Used(wall_s / num_calls / batch_size, (clock() - cpu_start) / num_calls / batch_size)

    with ThreadPoolExecutor(len(callers)) as pool:
        use(len(callers))
        yield use
        for caller in callers:
            caller.close()


def _ask(caller: Caller, request: Request, num_calls: int) -> None:
    for _ in range(num_calls):
        caller.call(request)


if __name__ == "__main__":
    main()
