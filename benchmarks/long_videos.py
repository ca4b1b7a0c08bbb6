"""Training on ten hours of 720p: seconds until it begins, memory beside the network, clips/s against the step alone.

python benchmarks/long_videos.py                       # rgb, and rgb with flow: about ten minutes
python benchmarks/long_videos.py --view rgb            # the first of them
python benchmarks/long_videos.py --folder /data/films  # of your own

One file of an hour is made, H.264 with a key frame every ten seconds, and linked ten times. The network is the paper's
for one or two views. In one process, steps on new batches take turns with steps on one batch that stays. A round of new
batches ends when all that its steps have set off is decoded: what is decoded ahead is no gain. Memory is the
proportional set size of the process and all those it started, less that of a process that takes the same step alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from results_file import Row, write_results

if TYPE_CHECKING:
    from cocon.training.config.run import Config

NUM_ROUNDS = 6
NUM_FILES = 10
SECONDS = 3600
# A round's steps draw half as many clips as one stretch is drawn from, so every other round has one decoded.
BATCH_SIZE, NUM_STEPS = 8, 4
LOOKED_AT_S, IDLE_SHARE = 0.5, 0.06
LONGEST_START_S, MOST_BYTES, LEAST_SPEED = 60.0, 2e9, 0.9
VIEWS = {"rgb": ["rgb"], "rgb and flow": ["rgb", "flow"]}


def main() -> None:
    """Measure, print and write `benchmarks/results/long_videos.json`; with `--side`, be one side of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--view", choices=VIEWS, action="append", help="what is trained; all unless given")
    parser.add_argument("--folder", type=Path, help="long videos; made without it")
    parser.add_argument("--side", choices=("alone", "training"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(measured(given.side, given.folder, VIEWS[given.view[0]])))
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = given.folder or made_folder(Path(scratch))
        rows = [row for case in given.view or VIEWS for row in compared(case, folder)]
    for row in rows:
        print(f"{row.case}: {row.value:.3g} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("long_videos", rows, packages=["torch", "av"]))


def compared(case: str, folder: Path) -> list[Row]:
    """Both sides of one case."""
    alone, training = (side_of(side, case, folder) for side in ("alone", "training"))
    beside = max(training["peak_bytes"] - alone["peak_bytes"], 1)
    name = f"{case}, {NUM_FILES} × {SECONDS // 60} min of 720p, batch {BATCH_SIZE}"
    speed = BATCH_SIZE * NUM_STEPS / statistics.mean(training["new"])
    share = sum(training["same"]) / sum(training["new"])  # of all rounds: they have unequal work in turns
    start_s = training["start_s"]
    return [
        Row(name, round(start_s, 1), "s until the first step", "a minute", round(LONGEST_START_S / start_s, 2), 1.0),
        Row(name, round(beside / 1e9, 2), "GB beside the network", "2 GB", round(MOST_BYTES / beside, 2), 1.0),
        Row(name, round(speed, 3), "clips/s", "the same batch", round(share, 2), LEAST_SPEED),
    ]


def side_of(side: str, case: str, folder: Path) -> dict[str, Any]:
    """What a process of its own measured."""
    command = [sys.executable, __file__, "--side", side, "--view", case, "--folder", str(folder)]
    began_s = time.time()
    environment = os.environ | {"BEGAN_S": str(began_s)}
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    found = json.loads(shown)
    print(f"{case}, {side}, {time.time() - began_s:.0f} s: {found}", file=sys.stderr)
    return found


def measured(side: str, folder: Path, views: Sequence[str]) -> dict[str, Any]:
    """Train as `cocon train` does, or take the same step on one batch of noise."""
    from cocon.training.config.files import load_config
    from cocon.training.data.datasets import open_dataset
    from cocon.training.data.loader import clip_batches
    from cocon.training.data.samples import pretraining_sampler
    from cocon.training.data.stretches.opening import training_frames
    from cocon.training.loop.devices import make_fabric
    from cocon.training.loop.learner import Learner
    from cocon.training.loop.pretraining import step_plan
    from cocon.training.machine.memory import keep_memory
    from cocon.training.machine.precision import precision_of
    from cocon.training.machine.threads import use_threads
    from cocon.training.run_folder.files import RunFolder

    settings = [f"views={list(views)}", f"training.batch_size={BATCH_SIZE}", f"data.folder='{folder}'"]
    config = load_config("paper", settings)
    memory = PeakMemory()
    keep_memory()
    use_threads()
    fabric = make_fabric(config, precision_of(RunFolder(Path("none"), config), is_new=True).name)
    fabric.launch()

    def stepped(learner: Learner, batch: dict[str, Any], number: int) -> None:
        learner.step([batch], number, lambda figures: [float(figure) for figure in figures.values()])

    if side == "alone":
        learner = Learner(config, step_plan(config, 100), fabric, None)
        for number in (1, 2):
            stepped(learner, noise(config), number)
        return {"peak_bytes": memory.close()}
    frames = training_frames(config, open_dataset(config.data)).train
    with frames:
        plan = step_plan(config, len(frames))
        learner = Learner(config, plan, fabric, None)
        sampler = pretraining_sampler(config)
        clips = clip_batches(frames, config, first_step=0, num_steps=plan.num_batches, sampler=sampler)
        with closing(iter(clips)) as batches:
            first = next(batches)
            start_s = time.time() - float(os.environ["BEGAN_S"])
            numbers = iter(range(1, plan.num_steps))
            for batch in (first, *islice(batches, NUM_STEPS)):
                stepped(learner, batch, next(numbers))
            peak_bytes = memory.close()  # to look at it takes time, too
            rounds = alternated(
                lambda: stepped(learner, next(batches), next(numbers)),
                lambda: stepped(learner, first, next(numbers)),
                settle,
            )
    return {"start_s": start_s, "peak_bytes": peak_bytes} | rounds


def noise(config: "Config") -> dict[str, Any]:
    """A batch of the shape that is trained on."""
    import torch

    from cocon.video.views import VIEWS

    blocks = (BATCH_SIZE, config.clip.num_blocks, config.clip.frames_per_block)
    sides = {view: (config.geometry(view).crop_px,) * 2 for view in config.views}
    shapes = {view: (*blocks, *side, VIEWS[view].channels) for view, side in sides.items()}
    clips = {view: torch.randint(0, 256, shape, dtype=torch.uint8) for view, shape in shapes.items()}
    return {"clips": clips, "targets": torch.zeros(BATCH_SIZE, dtype=torch.int64)}


def alternated(
    new: Callable[[], None], same: Callable[[], None], settled: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of some steps, round after round; a round on new batches is over when nothing works for it any more."""
    seconds: dict[str, list[float]] = {"new": [], "same": []}
    settled()
    for index in range(NUM_ROUNDS):
        for side in ("new", "same") if index % 2 else ("same", "new"):
            begin_s = time.monotonic()
            for _ in range(NUM_STEPS):
                (new if side == "new" else same)()
            end_s = settled() if side == "new" else time.monotonic()
            seconds[side].append(end_s - begin_s)
            load, taken = os.getloadavg()[0], seconds[side][-1]
            print(f"round {index + 1}, load {load:.1f}, {side}: {taken:.1f} s", file=sys.stderr)
    return seconds


def settle() -> float:
    """Wait until neither this process nor those it started do anything; when that began, by `time.monotonic`."""
    before, since_s = spent_s(), time.monotonic()
    while True:
        time.sleep(LOOKED_AT_S)
        now, now_s = spent_s(), time.monotonic()
        if now - before < IDLE_SHARE * (now_s - since_s):
            return since_s
        before, since_s = now, now_s


def spent_s() -> float:
    """Processor time of this process and those it started, in seconds."""
    ticks = 0
    for process in family():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family() -> Iterator[int]:
    """This process and those it started."""
    import psutil

    own = psutil.Process()
    yield own.pid
    yield from (child.pid for child in own.children(recursive=True))


class PeakMemory:
    """The most memory that this process and those it started have had together, in bytes, looked at twice a second."""

    def __init__(self) -> None:
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> int:
        """Stop looking; what was found."""
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._peak = max(self._peak, sum(map(proportional_bytes, family())))


def proportional_bytes(process: int) -> int:
    """Proportional set size of a process; what several share counts by parts."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def made_folder(scratch: Path) -> Path:
    """Ten links to a file of an hour."""
    minute, hour, folder = scratch / "minute.mp4", scratch / "hour.mp4", scratch / "films"
    film(minute)
    looped(minute, hour)
    folder.mkdir()
    for number in range(NUM_FILES):
        os.link(hour, folder / f"film_{number}.mp4")
    print(f"{NUM_FILES} files of {hour.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
    return folder


def film(path: Path) -> None:
    """A minute of 25 frames a second: a camera that wanders over a rough ground, and things that cross it."""
    import av
    import cv2

    rng = np.random.default_rng(0)
    rough = cv2.resize(rng.integers(0, 256, (400, 600, 3), np.uint8), (2400, 1600), interpolation=cv2.INTER_CUBIC)
    ground = cv2.addWeighted(rough, 0.4, cv2.GaussianBlur(rough, (0, 0), 20), 0.6, 0)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "25", "g": "250", "keyint_min": "250", "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for index in range(60 * 25):
            turn = 2 * np.pi * index / 1500
            left, top = int(560 + 500 * np.sin(3 * turn)), int(440 + 400 * np.sin(4 * turn))
            picture = np.ascontiguousarray(ground[top : top + 720, left : left + 1280])
            for thing in range(8):
                x, y = int(640 + 600 * np.sin((thing + 2) * turn + thing)), int(360 + 330 * np.cos((thing + 3) * turn))
                cv2.circle(picture, (x, y), 30 + 8 * thing, (30 * thing, 255 - 30 * thing, 128), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def looped(short: Path, long: Path) -> None:
    """The packets of a film again and again, until they fill an hour."""
    import av

    with av.open(str(long), "w") as output:
        stream = None
        for turn in range(SECONDS // 60):
            with av.open(str(short)) as source:
                if stream is None:
                    stream = output.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.dts is None:
                        continue
                    shift = int(Fraction(60 * turn) / packet.time_base)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)


if __name__ == "__main__":
    main()
