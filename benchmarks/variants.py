"""What the variants of an export gain: INT8, and time folded into the batch, beside a plain export and OpenVINO.

    python benchmarks/variants.py

All variants of an encoder take turns, on all cores at once and as an instance of one thread per core, which answer
different requests at the same time. OpenVINO's rows need `pip install openvino nncf` and are left out without.
"""

import importlib.util
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from results_file import Row, write_results

from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.parity_clips import figure_clips
from cocon.export.artefacts.quantise import quantise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript, load_torchscript
from cocon.training.models.encoder import build_encoder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS

# One clip of four blocks keeps a call below a second; blocks do not see each other, so blocks/s do not depend on it.
NUM_BLOCKS = 4
NUM_ROUNDS, NUM_WARM_UPS = 9, 2
NUM_CORES = len(os.sched_getaffinity(0))

FULL_WIDTH = 64
CASES = {
    "full width (R18, 64, 128 px, T 5)": ((2, 2, 2, 2), FULL_WIDTH, 128, 5),
    "demo (R10, 16, 48 px, T 4)": ((1, 1, 1, 1), 16, 48, 4),
}
PLAIN, FOLDED, INT8 = "the same encoder as Conv3d graph", "folded", "INT8"
OV_FP32, OV_BF16, OV_INT8, OV_OURS = "OpenVINO fp32", "OpenVINO bf16", "OpenVINO INT8 (NNCF)", "our INT8 in OpenVINO"

# Ours, the alternative, and the least ratio that was asked for at full width.
PAIRS: Sequence[tuple[str, str, float | None]] = (
    (FOLDED, PLAIN, 1.6),
    (INT8, PLAIN, 4.5),
    (INT8, FOLDED, None),
    (FOLDED, OV_FP32, 0.95),
    (INT8, OV_BF16, 1.2),
    (INT8, OV_INT8, 1.0),
    (INT8, OV_OURS, 1.0),
)

Call = Callable[[], object]
Clips = NDArray[np.uint8]


def main() -> None:
    """Measure, print and write `benchmarks/results/variants.json`."""
    torch.manual_seed(0)
    packages = ["torch", "onnx", "onnxscript", "onnxruntime-gpu", "numpy"]
    if has_openvino():
        packages += ["openvino", "nncf"]
    else:
        print("without OpenVINO: pip install openvino nncf")
    rows = [row for case, shape in CASES.items() for row in measure(case, *shape)]
    for row in rows:
        print(f"{row.case}: {row.value:.1f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("variants", rows, packages=packages))


def measure(case: str, depths: tuple[int, ...], width: int, side_px: int, num_frames: int) -> Iterator[Row]:
    """Time all variants of one encoder."""
    spec = EncoderSpec("resnet2d3d", depths, width)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    geometry, clip = Geometry(side_px, side_px), ClipSpec(NUM_BLOCKS, num_frames)
    contract = ModelContract("random", "rgb", clip, geometry, spec, encoder.embedding_dim, weights_sha256="")
    clips = figure_clips(contract)
    plain, folded = Deployable(encoder), Deployable(fold(encoder, num_frames))
    with tempfile.TemporaryDirectory() as name:
        files = {variant: Path(name, f"{variant}.onnx") for variant in (PLAIN, FOLDED, INT8)}
        export_onnx(plain, contract, files[PLAIN])
        export_onnx(folded, contract, files[FOLDED])
        quantise(files[FOLDED], clips, contract, files[INT8])
        for mode in MODES:
            yield from measure_mode(case, mode, files, contract, clips)
    yield measure_torchscript(case, {PLAIN: plain, FOLDED: folded}, contract, clips)


@dataclass(frozen=True, slots=True)
class Mode:
    """How the cores are shared: so many instances with so many threads each."""

    num_instances: int
    num_threads: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.num_instances} × {self.num_threads} thread{'s' * (self.num_threads > 1)}"

    def in_onnx_runtime(self, path: Path, contract: ModelContract, clips: Clips) -> Call:
        """A call of all instances of a file."""
        session = partial(
            LocalSession, path, contract, num_threads=self.num_threads, providers=["CPUExecutionProvider"]
        )
        return self._at_once([partial(session().run, clips) for _ in range(self.num_instances)])

    def in_openvino(self, model: Any, clips: Clips, precision: str) -> Call:  # noqa: ANN401  # openvino is optional
        """The same, of a model that OpenVINO has read."""
        import openvino

        model.reshape({model.inputs[0]: list(clips.shape)})  # it is faster with sizes that it knows
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": self.num_instances,
            "INFERENCE_NUM_THREADS": self.num_instances * self.num_threads,
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        requests = [compiled.create_infer_request() for _ in range(self.num_instances)]
        return self._at_once([partial(request.infer, {0: clips}) for request in requests])

    def _at_once(self, calls: Sequence[Call]) -> Call:
        if len(calls) == 1:
            return calls[0]
        pool = ThreadPoolExecutor(len(calls))
        return lambda: list(pool.map(lambda call: call(), calls))


MODES = (Mode(1, NUM_CORES), Mode(NUM_CORES, 1))


def measure_mode(case: str, mode: Mode, files: Mapping[str, Path], contract: ModelContract, clips: Clips) -> list[Row]:
    """Time all variants, the cores shared in one way."""
    calls = {variant: mode.in_onnx_runtime(path, contract, clips[:1]) for variant, path in files.items()}
    if has_openvino():
        import openvino

        read = openvino.Core().read_model
        calls[OV_FP32] = mode.in_openvino(read(files[PLAIN]), clips[:1], "f32")
        calls[OV_BF16] = mode.in_openvino(read(files[PLAIN]), clips[:1], "bf16")
        calls[OV_INT8] = mode.in_openvino(quantised_by_nncf(read(files[PLAIN]), clips), clips[:1], "f32")
        calls[OV_OURS] = mode.in_openvino(read(files[INT8]), clips[:1], "f32")
    speeds = blocks_per_second(calls, NUM_BLOCKS * mode.num_instances)
    for name, speed in speeds.items():
        print(f"{case}, {mode.name}: {name} {speed:.1f} blocks/s", flush=True)
    is_full = contract.encoder.width == FULL_WIDTH
    return [
        Row(
            f"{case}, {mode.name}, {ours}",
            round(speeds[ours], 1),
            "blocks/s",
            other,
            round(speeds[ours] / speeds[other], 2),
            wanted if is_full else None,
        )
        for ours, other, wanted in PAIRS
        if other in speeds
    ]


def measure_torchscript(case: str, deployables: Mapping[str, Deployable], contract: ModelContract, clips: Clips) -> Row:
    """Time TorchScript with time folded into the batch and without, on all cores."""
    calls: dict[str, Call] = {}
    with tempfile.TemporaryDirectory() as name:
        for variant, deployable in deployables.items():
            path = Path(name, f"{variant}.pt")
            export_torchscript(deployable, contract, path)
            calls[variant] = partial(load_torchscript(path, contract).embed, clips[:1])
    speeds = blocks_per_second(calls, NUM_BLOCKS)
    ratio = round(speeds[FOLDED] / speeds[PLAIN], 2)
    return Row(f"{case}, TorchScript, {FOLDED}", round(speeds[FOLDED], 1), "blocks/s", f"TorchScript, {PLAIN}", ratio)


def quantised_by_nncf(model: Any, clips: Clips) -> Any:  # noqa: ANN401  # openvino is optional
    """What OpenVINO's own tool makes of an encoder with the same clips."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(model, nncf.Dataset([clip[None] for clip in clips]))


def has_openvino() -> bool:
    """Whether OpenVINO and its tool for INT8 are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("openvino", "nncf"))


def blocks_per_second(calls: Mapping[str, Call], num_blocks: int) -> dict[str, float]:
    """Median over rounds in which every call, of so many blocks, has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(NUM_WARM_UPS + NUM_ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: num_blocks / statistics.median(times[NUM_WARM_UPS:]) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
