"""What folding time into the batch gains: the same encoder exported with and without it, timed alternately.

python benchmarks/fold.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from results_file import Row, write_results

from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.artefacts.to_torchscript import export_torchscript, load_torchscript
from cocon.training.models.encoder import build_encoder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from cocon.video.views import VIEWS

# One clip of four blocks keeps a call below a second; blocks do not see each other, so blocks/s do not depend on it.
NUM_BLOCKS = 4
NUM_ROUNDS = 9
NUM_WARM_UPS = 2

CASES = {
    "full width (R18, 64, 128 px, T 5)": ((2, 2, 2, 2), 64, 128, 5),
    "demo (R10, 16, 48 px, T 4)": ((1, 1, 1, 1), 16, 48, 4),
}


def main() -> None:
    """Measure, print and write `benchmarks/results/fold.json`."""
    torch.manual_seed(0)
    rows = [row for case, shape in CASES.items() for row in measure(case, *shape)]
    for row in rows:
        print(f"{row.case}: {row.value:.1f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("fold", rows, packages=["torch", "onnx", "onnxscript", "onnxruntime-gpu", "numpy"]))


def measure(case: str, depths: tuple[int, ...], width: int, side_px: int, num_frames: int) -> list[Row]:
    """Time one encoder as ONNX and as TorchScript, folded and not."""
    spec = EncoderSpec("resnet2d3d", depths, width)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    geometry, clip = Geometry(side_px, side_px), ClipSpec(NUM_BLOCKS, num_frames)
    contract = ModelContract("random", "rgb", clip, geometry, spec, encoder.embedding_dim, weights_sha256="")
    clips = np.random.default_rng(0).integers(0, 256, (1, *contract.clip_shape), np.uint8)
    plain, folded = Deployable(encoder), Deployable(fold(encoder, num_frames))
    runtimes: dict[str, dict[str, Callable[[], object]]] = {"ONNX Runtime": {}, "TorchScript": {}}
    with tempfile.TemporaryDirectory() as name:
        for graph, deployable in (("folded", folded), ("plain", plain)):
            onnx_file, script_file = Path(name, f"{graph}.onnx"), Path(name, f"{graph}.pt")
            export_onnx(deployable, contract, onnx_file)
            export_torchscript(deployable, contract, script_file)
            onnx = ModelEmbedder(LocalSession(onnx_file, contract, providers=["CPUExecutionProvider"]))
            runtimes["ONNX Runtime"][graph] = partial(onnx.embed, clips)
            runtimes["TorchScript"][graph] = partial(load_torchscript(script_file, contract).embed, clips)
    rows = []
    for runtime, calls in runtimes.items():
        speeds = blocks_per_second(calls)
        versus = f"the same encoder as Conv3d graph, {runtime}"
        ratio = speeds["folded"] / speeds["plain"]
        rows.append(Row(f"{case}, {runtime}, folded", round(speeds["folded"], 1), "blocks/s", versus, round(ratio, 2)))
    return rows


def blocks_per_second(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median over rounds in which every call has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(NUM_WARM_UPS + NUM_ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: NUM_BLOCKS / statistics.median(times[NUM_WARM_UPS:]) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
