"""Videos in, vectors out: `client embed` beside the script that one would write, and beside what its stages take.

python benchmarks/embed.py                      # films of 640 × 360 are generated; any videos: --videos FOLDER

The script is decord, at the size that the network takes, in a process per core ahead of the network, and the network as
it was trained, in PyTorch, four clips at a time on all cores. Both are whole commands, each in a process of its own, in
turn; what they take for videos of a moment is their start, which is also taken off. *Stages* is the processor time of
decoding, cutting and computing, each alone on one thread, divided by the cores: what no arrangement of the same work on
these cores can beat. On a machine that is not quiet, read the processor time.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from results_file import Row, write_results

from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.local import LocalRepository
from cocon.embedding.repository import FORMATS, FormatName
from cocon.export.artefacts.deployable import Deployable
from cocon.export.artefacts.fold import fold
from cocon.export.artefacts.quantise import quantise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.training.models.encoder import build_encoder
from cocon.video.clips import ClipSpec
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.store.found_videos import find_videos
from cocon.video.views import VIEWS

NUM_CORES = len(os.sched_getaffinity(0))
NUM_FILMS, FILM_SECONDS, RATE = 6, 10, 25
HEIGHT, WIDTH = 360, 640
NUM_ROUNDS = 5
SCRIPT = "decord and PyTorch"
VARIANTS: dict[FormatName, str] = {"onnx": "fp32", "int8": "INT8"}
WANTED_OF_SCRIPT, WANTED_OF_STAGES = 2.0, 1 / 1.15
PACKAGES = ["decord2", "torch", "av", "opencv-contrib-python-headless", "onnxruntime-gpu", "numpy"]


@dataclass(frozen=True, slots=True)
class Case:
    """An encoder of random weights.

    Attributes:
        depths: blocks of each stage.
        width: channels of the first stage.
        side_px: of the square that it sees.
        num_blocks: N.
        frames_per_block: T.
        step_seconds: between frames.
    """

    depths: tuple[int, ...]
    width: int
    side_px: int
    num_blocks: int
    frames_per_block: int
    step_seconds: float


CASES = {
    "full width (R18, 64, 128 px)": Case((2, 2, 2, 2), 64, 128, 8, 5, 0.1),
    "demo (R10, 16, 48 px)": Case((1, 1, 1, 1), 16, 48, 6, 4, 1 / 15),
}


def main() -> None:
    """Measure, print and write `benchmarks/results/embed.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="a folder of videos; generated films without it")
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS, help="of all commands")
    parser.add_argument("--case", action="append", choices=[name.split()[0] for name in CASES], help="only these")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        # One for each core, so that all processes of both sides are started.
        moments = [write_film(scratch / f"moment{core}.mp4", seed=90 + core, num_frames=2) for core in range(NUM_CORES)]
        videos = find_videos(given.videos).videos if given.videos else films(scratch / "films")
        for case in CASES:
            if not given.case or case.split()[0] in given.case:
                rows += measure(case, list(videos), moments, scratch, given.rounds)
    for row in rows:
        print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("embed", rows, packages=PACKAGES))


def measure(case: str, videos: Sequence[Path], moments: Sequence[Path], scratch: Path, num_rounds: int) -> list[Row]:
    """Time all commands in turn, with all videos and with some of a moment."""
    repository = write_repository(CASES[case], scratch / f"repository{len(case)}", videos[0])
    output = scratch / "rows"
    commands = {
        (who, what): [*command, *map(str, named)]
        for who, command in commands_of(CASES[case], repository, output).items()
        for what, named in (("all", videos), ("start", moments))
    }
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in commands}
    for number in range(num_rounds):
        for key, command in commands.items():
            taken[key].append(wall_and_processor_seconds(command))
            Path(f"{output}.parquet").unlink(missing_ok=True)
        last = (f"{who} {what} {times[-1][0]:.1f}/{times[-1][1]:.1f}" for (who, what), times in taken.items())
        print(f"{case}, round {number + 1}, seconds/of processors: {', '.join(last)}", flush=True)
    wall, processor = (
        {key: statistics.median(seconds[index] for seconds in times) for key, times in taken.items()}
        for index in range(2)
    )
    rows = []
    for variant, name in VARIANTS.items():
        stages, num_clips = stage_seconds(repository, variant, videos)
        print(f"{case}, {name}, stages: {', '.join(f'{stage} {s:.2f} s' for stage, s in stages.items())}")
        rows += rows_of(f"{case}, {name}", variant, num_clips, wall, processor, sum(stages.values()))
    return rows


def commands_of(case: Case, repository: Path, output: Path) -> dict[str, list[str]]:
    """Who embeds → the command, without the videos."""
    ours = [sys.executable, "-m", "cocon.client", "embed", "-q", f"--url=local:{repository}"]
    ours += [f"--output={output}.parquet", f"--failures={output}.failures"]
    script = str(Path(__file__).with_name("embed_script.py"))
    commands = {variant: [*ours, f"--model-format={variant}"] for variant in VARIANTS}
    return commands | {SCRIPT: [sys.executable, script, json.dumps(asdict(case)), f"{output}.npy"]}


def rows_of(
    case: str,
    variant: FormatName,
    num_clips: int,
    wall: dict[tuple[str, str], float],
    processor: dict[tuple[str, str], float],
    stages_s: float,
) -> list[Row]:
    """What was measured, as ratios."""
    rows = []
    for name, of in (("", wall), (", processor time", processor)):
        whole, start = of[variant, "all"], of[variant, "start"]
        others, others_start = of[SCRIPT, "all"], of[SCRIPT, "start"]
        speed, work = num_clips / whole, num_clips / (whole - start)
        ratio, ratio_of_work = others / whole, (others - others_start) / (whole - start)
        rows += [
            Row(f"{case}, whole command{name}", round(speed, 2), "clips/s", SCRIPT, round(ratio, 2), WANTED_OF_SCRIPT),
            Row(f"{case}, without the start{name}", round(work, 2), "clips/s", SCRIPT, round(ratio_of_work, 2)),
            Row(f"{case}, start{name}", round(start, 2), "s", SCRIPT, round(others_start / start, 2)),
        ]
    wall_s, used_s = (of[variant, "all"] - of[variant, "start"] for of in (wall, processor))
    least = f"its stages' processor time on {NUM_CORES} cores"
    ratio, ratio_of_used = stages_s / NUM_CORES / wall_s, stages_s / used_s
    speed, wanted = num_clips / wall_s, round(WANTED_OF_STAGES, 2)
    return [
        *rows,
        Row(f"{case}, without the start", round(speed, 2), "clips/s", least, round(ratio, 2), wanted),
        Row(f"{case}, processor time", round(used_s, 2), "s", "its stages alone", round(ratio_of_used, 2)),
    ]


def wall_and_processor_seconds(command: Sequence[str]) -> tuple[float, float]:
    """What a command takes; its processes and theirs count."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stage_seconds(repository: Path, variant: FormatName, videos: Sequence[Path]) -> tuple[dict[str, float], int]:
    """Processor seconds of decoding and cutting, and of the encoder, each alone on one thread; and how many clips."""
    cv2.setNumThreads(1)
    model = LocalRepository(repository, FORMATS[variant], num_threads=1).open(ENCODER, "rgb")
    request = {"rgb": ViewRequest(model.contract.geometry)}
    seconds = {"clips": 0.0, "compute": 0.0}
    waiting: list[NDArray[np.uint8]] = []
    num_clips = 0

    def cut(path: Path) -> None:
        waiting.extend(clip.pixels["rgb"] for clip in VideoSource(path, model.contract.clip, request).clips())

    for path in videos:
        seconds["clips"] += consumed_seconds(partial(cut, path))
        num_clips += len(waiting)
        for begin in range(0, len(waiting), model.max_batch_size):
            rows = np.stack(waiting[begin : begin + model.max_batch_size])
            seconds["compute"] += consumed_seconds(partial(model.embed, rows))
        waiting.clear()
    return seconds, num_clips


def consumed_seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def write_repository(case: Case, root: Path, example: Path) -> Path:
    """A model repository of the encoder alone, of random weights, as `cocon export` writes it: folded, and in INT8."""
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", case.depths, case.width)
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    clip = ClipSpec(case.num_blocks, case.frames_per_block, case.step_seconds)
    geometry = Geometry(case.side_px, case.side_px)
    contract = ModelContract("random", "rgb", clip, geometry, spec, encoder.embedding_dim, weights_sha256="")
    paths = {variant: root / ENCODER.name("rgb", FORMATS[variant]) / "1" / "model.onnx" for variant in VARIANTS}
    for path in paths.values():
        path.parent.mkdir(parents=True)
        (path.parent / "contract.json").write_text(contract.to_json(), encoding="utf-8")
    export_onnx(Deployable(fold(encoder, case.frames_per_block)), contract, paths["onnx"])
    clips = VideoSource(example, clip, {"rgb": ViewRequest(geometry)}).clips()
    quantise(paths["onnx"], np.stack([found.pixels["rgb"] for found in islice(clips, 4)]), contract, paths["int8"])
    return root


def films(folder: Path) -> list[Path]:
    """Some films of drifting textures."""
    folder.mkdir()
    return [
        write_film(folder / f"film{seed}.mp4", seed=seed, num_frames=RATE * FILM_SECONDS) for seed in range(NUM_FILMS)
    ]


def write_film(path: Path, *, seed: int, num_frames: int) -> Path:
    """A texture that drifts, with some noise that does not."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    ground = np.kron(small, np.ones((8, 8, 1), np.uint8))
    noise = rng.integers(0, 24, (4, *ground.shape), dtype=np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "g": "125"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for number in range(num_frames):
            pixels = np.roll(ground, 2 * number, axis=1) + noise[number % len(noise)]
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
