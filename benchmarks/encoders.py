"""Blocks per second of every method's encoder as it is exported, each timed alternately with CoCon's.

python benchmarks/encoders.py
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from results_file import Row, write_results

from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import build_encoder
from cocon.training.reproduce.rows import backbone_label
from cocon.training.run_folder.view_files import contract_of
from cocon.video.views import VIEWS

PRESET, VIEW = "figures", "rgb"
METHODS = ("cocon", "vicc", "vclr")  # CycleContrast's encoder is VCLR's
# Trunks that no method of the preset has, in blocks of the paper's length.
MORE = {
    "s3d": ["model.backbone=s3d", "clip.frames_per_block=16", "view.rgb.resize_px=128", "view.rgb.crop_px=112"],
    "r2plus1d": [
        "model.backbone=r2plus1d",
        "clip.frames_per_block=16",
        "view.rgb.resize_px=128",
        "view.rgb.crop_px=112",
    ],
    "resnet50": ["model.backbone=resnet2d", "model.depth=resnet50", "clip.frames_per_block=1"],
}
NUM_CLIPS = 4
NUM_ROUNDS = 9
NUM_WARM_UPS = 2


def main() -> None:
    """Measure, print and write `benchmarks/results/encoders.json`."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    configs = [load_config(PRESET, [f"method={method}"]) for method in METHODS]
    configs += [load_config(PRESET, settings) for settings in MORE.values()]
    with tempfile.TemporaryDirectory() as folder:
        embedders = {backbone_label(c): _embedder(c, Path(folder, f"{i}.onnx")) for i, c in enumerate(configs)}
        rows = measure(embedders)
    for row in rows:
        print(f"{row.case}: {row.value:.1f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("encoders", rows, packages=["torch", "onnx", "onnxscript", "onnxruntime-gpu", "numpy"]))


def measure(embedders: dict[str, ModelEmbedder]) -> list[Row]:
    """Median blocks per second over rounds in which every encoder has its turn; others are held to the first."""
    rng = np.random.default_rng(0)
    clips = {
        name: rng.integers(0, 256, (NUM_CLIPS, *embedder.contract.clip_shape), np.uint8)
        for name, embedder in embedders.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in embedders}
    for _ in range(NUM_WARM_UPS + NUM_ROUNDS):
        for name, embedder in embedders.items():
            start = time.perf_counter()
            embedder.embed(clips[name])
            seconds[name].append(time.perf_counter() - start)
    speeds = {
        name: NUM_CLIPS * embedders[name].contract.clip.num_blocks / statistics.median(times[NUM_WARM_UPS:])
        for name, times in seconds.items()
    }
    first, base = next(iter(speeds.items()))
    return [Row(name, round(speed, 1), "blocks/s", first, round(speed / base, 2)) for name, speed in speeds.items()]


def _embedder(config: Config, path: Path) -> ModelEmbedder:
    encoder = build_encoder(config.encoder_spec(), VIEWS[VIEW]).eval()
    contract: ModelContract = contract_of(config, VIEW, encoder, method="random", labels=())
    export_onnx(Deployable(fold(encoder, config.clip.frames_per_block)), contract, path)
    return ModelEmbedder(LocalSession(path, contract, providers=["CPUExecutionProvider"]))


if __name__ == "__main__":
    main()
