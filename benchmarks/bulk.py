"""Videos per second of `client embed --engine ray`: on two cores and on one, and beside the plain path on two.

python benchmarks/bulk.py --repository model_repository --view rgb --view flow

Whole commands are timed, each in a process of its own that may use so many cores, in turn; the start of Ray is measured
by the same command with one video. Generated figures, or any folder of videos (--videos).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from results_file import Row, write_results

from cocon.video.store.found_videos import find_videos

VIEWS = ("rgb", "flow")
CORES = sorted(os.sched_getaffinity(0))[:2]


def main() -> None:
    """Measure, print and write `benchmarks/results/bulk.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="a model repository")
    parser.add_argument("--view", action="append", help="views to embed; default: rgb and flow")
    parser.add_argument("--videos", type=Path, help="a folder of videos; generated figures without it")
    parser.add_argument("--num-videos", type=int, default=96, help="how many to generate")
    parser.add_argument("--rounds", type=int, default=5, help="of all cases")
    given = parser.parse_args()
    options = ["--url", f"local:{given.repository.absolute()}", *(f"--view={view}" for view in given.view or VIEWS)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.videos or generated(Path(scratch) / "data", given.num_videos)
        videos = [str(path.absolute()) for path in find_videos(folder).videos]
        rows = measure(videos, options, Path(scratch), given.rounds)
    for row in rows:
        print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("bulk", rows, packages=["ray", "onnxruntime-gpu", "av", "opencv-contrib-python-headless"]))


def measure(videos: Sequence[str], options: Sequence[str], scratch: Path, num_rounds: int) -> list[Row]:
    """Time the three in turn, and Ray's start on each number of cores."""
    seconds: dict[str, list[float]] = {}
    for number in range(num_rounds):
        for name, engine, cores, some in (
            ("two", "ray", CORES, videos),
            ("one", "ray", CORES[:1], videos),
            ("plain", "local", CORES, videos),
            ("start of two", "ray", CORES, videos[:1]),
            ("start of one", "ray", CORES[:1], videos[:1]),
        ):
            seconds.setdefault(name, []).append(command_seconds(engine, cores, [*some, *options], scratch))
            print(f"round {number + 1}, {name}: {seconds[name][-1]:.1f} s", flush=True)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    speed = round(len(videos) / median["two"], 2)
    work = {name: median[name] - median[f"start of {name}"] for name in ("two", "one")}
    return [
        Row("whole command, Ray, two cores", speed, "videos/s", "one core", round(median["one"] / median["two"], 2)),
        Row(
            "without the start, Ray, two cores",
            round(len(videos) / work["two"], 2), "videos/s", "one core", round(work["one"] / work["two"], 2),
        ),
        Row("whole command, Ray, two cores", speed, "videos/s", "the plain path on two cores",
            round(median["plain"] / median["two"], 2)),
        Row("without the start, Ray, two cores", round(len(videos) / work["two"], 2), "videos/s",
            "the plain path on two cores", round(median["plain"] / work["two"], 2)),
        Row("start and end of Ray, two cores", round(median["start of two"], 1), "s", "one core",
            round(median["start of one"] / median["start of two"], 2)),
    ]  # fmt: skip


def command_seconds(engine: str, cores: Sequence[int], arguments: Sequence[str], scratch: Path) -> float:
    """How long a command takes that may use some cores."""
    output = scratch / ("rows" if engine == "ray" else "rows.parquet")
    command = [sys.executable, "-m", "cocon.client", "embed", "-q", "--engine", engine, "--output", str(output)]
    begin = time.perf_counter()
    subprocess.run([*command, *arguments], check=True, cwd=scratch, preexec_fn=lambda: os.sched_setaffinity(0, cores))
    taken = time.perf_counter() - begin
    shutil.rmtree(output, ignore_errors=True)
    return taken


def generated(folder: Path, num_videos: int) -> Path:
    """Some generated videos."""
    from cocon.training.figures.figures import make_figures
    from cocon.training.figures.settings import FigureSettings

    settings = FigureSettings(num_videos=num_videos, seconds=6.0)
    make_figures(folder, settings, on_progress=lambda *_: None)
    return folder / "videos"


if __name__ == "__main__":
    main()
