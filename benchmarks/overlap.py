"""What it takes to embed a video whose clips overlap by three quarters, against no overlap and against clip by clip.

    python benchmarks/overlap.py                    # two minutes, one video in this process, after a warm-up

*No overlap* has a quarter of the clips and the same blocks; *clip by clip* is the same pipeline with rows of whole
clips, four times as many. Time is that of a whole `VideoEmbedder.embed`: decoding, cutting, models and fusion;
processor time is of this process and those that decode. The encoders are an R18 of full width on 128 pixels, with
random weights, and rgb of the packed run of the demo.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import psutil
import torch
from processor_time import processor_seconds
from results_file import Row, write_results

from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.repository import ONNX
from cocon.embedding.videos.fused_model import FusedModel
from cocon.export.artefacts.parity_clips import moving_squares
from cocon.export.models.encoders import write_encoder
from cocon.export.sources import ViewSource
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import weights_sha256
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from cocon.video.views import view_named

NUM_ROUNDS = 5
OVERLAP = 0.75
SECONDS, FRAMES_PER_SECOND = 24.0, 25
PACKED_RUN = Path(__file__).parents[1] / "pretrained" / "figures-tiny"

NONE, SHARED, CLIP_BY_CLIP = "no overlap", "blocks once", "clip by clip"


class WholeClips(FusedModel):
    """Every clip in a row of its own, as if its classifier had to see it whole."""

    __slots__ = ()
    shares_blocks = False  # type: ignore[assignment]  # a property there


def main() -> None:
    """Measure, print and write `benchmarks/results/overlap.json`."""
    with tempfile.TemporaryDirectory() as folder:
        video = write_video(Path(folder) / "video.mp4")
        rows = []
        for case, source in (("R18 at 128 px", full_width()), ("demo's rgb encoder", packed())):
            rows += measure(case, repository(Path(folder) / case, source), video)
    for row in rows:
        print(f"{row.case}: {row.value} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("overlap", rows, packages=["onnxruntime-gpu", "av", "numpy"]))


def measure(case: str, url: str, video: Path) -> list[Row]:
    """Time the three in turn."""
    seconds: dict[str, list[tuple[float, float]]] = {NONE: [], SHARED: [], CLIP_BY_CLIP: []}
    with VideoEmbedder(url) as embedder, VideoEmbedder(url, overlap=OVERLAP) as whole:
        whole._lanes = [WholeClips(lane.models, lane.weights) for lane in whole._lanes]
        ways: Mapping[str, tuple[VideoEmbedder, float]] = {
            NONE: (embedder, 0.0),
            SHARED: (embedder, OVERLAP),
            CLIP_BY_CLIP: (whole, OVERLAP),
        }
        for number in range(NUM_ROUNDS + 1):
            for name, (one, overlap) in ways.items():
                one.overlap = overlap
                taken = taken_seconds(one, video)
                if number:  # the first warms up
                    seconds[name].append(taken)
    wall, processor = ({name: statistics.median(column) for name, column in zipped(seconds, part)} for part in (0, 1))
    rows = []
    for what, times in (("wall", wall), ("processor time", processor)):
        value = round(times[SHARED], 2)
        named = f"{case}, 75 % overlap, {what}"
        rows.append(Row(named, value, "s", NONE, round(times[NONE] / times[SHARED], 3), wanted=round(1 / 1.15, 3)))
        rows.append(Row(named, value, "s", CLIP_BY_CLIP, round(times[CLIP_BY_CLIP] / times[SHARED], 2)))
    return rows


def zipped(seconds: Mapping[str, list[tuple[float, float]]], part: int) -> list[tuple[str, list[float]]]:
    """Way → its times of one of the two clocks."""
    return [(name, [taken[part] for taken in found]) for name, found in seconds.items()]


def taken_seconds(embedder: VideoEmbedder, video: Path) -> tuple[float, float]:
    """Wall and processor time of embedding a video."""
    wall, processor = time.perf_counter(), with_children_s()
    embedder.embed(video)
    return time.perf_counter() - wall, with_children_s() - processor


def with_children_s() -> float:
    """Seconds of processors, of this process and its living children."""
    return processor_seconds(psutil.Process().children(recursive=True))


def full_width() -> ViewSource:
    """An untrained R18 of full width with a classifier of 101 classes."""
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (2, 2, 2, 2), 64, "mean")
    labels = tuple(f"action {number}" for number in range(101))
    encoder = build_encoder(spec, view_named("rgb"), num_classes=len(labels)).eval()
    contract = ModelContract(
        "cocon",
        "rgb",
        ClipSpec(8, 5),
        Geometry(146, 128),
        spec,
        encoder.embedding_dim,
        weights_sha256(encoder),
        labels,
    )
    return ViewSource(encoder, contract, moving_squares(contract, 1))


def packed() -> ViewSource:
    """The demo's."""
    encoder, contract = RunFolder.open(PACKED_RUN).encoder("rgb")
    return ViewSource(encoder, contract, moving_squares(contract, 1))


def repository(root: Path, source: ViewSource) -> str:
    """As much of a model repository as is opened in this process."""
    folder = root / "cocon_rgb" / "1"
    folder.mkdir(parents=True)
    write_encoder(source, ONNX, folder / "model.onnx")
    (folder / "contract.json").write_text(source.contract.to_json())
    return f"local:{root}"


def write_video(path: Path) -> Path:
    """Coloured squares that cross a textured ground."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (256, 340, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        for index in range(int(SECONDS * FRAMES_PER_SECOND)):
            pixels = np.roll(ground, index, axis=1)
            left = 3 * index % 260
            pixels[60:140, left : left + 80] = (index % 256, 80, 255 - index % 256)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


if __name__ == "__main__":
    main()
