"""Frames per second of decoding, flow and people: the pipeline, its stages, and the straight loop one would write.

python benchmarks/views.py --videos FOLDER       # any videos; without it, figures are generated

Every frame gets its flow and its people on both sides. The straight loop is decord, OpenCV's DIS flow and MediaPipe,
frame by frame in one process, each with the threads it takes by itself. *Stages* is the processor time of each stage
alone, divided by the cores: what no arrangement of the same work on these cores can beat.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from results_file import Row, write_results

from cocon.video.clips import ClipSpec
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec, estimate_flow, with_later_frame
from cocon.video.estimation.people import people_of
from cocon.video.geometry import Geometry, resize_short_side
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.store.found_videos import find_videos
from cocon.video.workers.pool import WorkerPool

NUM_ROUNDS = 5
NUM_CORES = len(os.sched_getaffinity(0))

FLOW = FlowSpec()
REQUESTS = {
    "rgb": ViewRequest(Geometry(146, 128)),
    "flow": ViewRequest(Geometry(146, 128), FLOW),
    "pose": ViewRequest(Geometry(73, 64)),
    "mask": ViewRequest(Geometry(73, 64)),
}
CASES = {"decode": ("rgb",), "decode + flow": ("rgb", "flow"), "decode + flow + people": tuple(REQUESTS)}
EVERY_FRAME = ClipSpec(step_seconds=None, step_frames=1)


def main() -> None:
    """Measure, print and write `benchmarks/results/views.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="a folder of videos; generated figures without it")
    folder = parser.parse_args().videos
    with tempfile.TemporaryDirectory() as scratch:
        videos = list(find_videos(folder or generated(Path(scratch))).videos)
        videos.sort(key=lambda path: path.stat().st_size, reverse=True)  # a long one at the end would work alone
        num_frames = sum(sum(1 for _ in read_frames(path)) for path in videos)
        print(f"{len(videos)} videos, {num_frames} frames, {NUM_CORES} cores")
        rows = [row for case, views in CASES.items() for row in measure(case, views, videos, num_frames)]
    for row in rows:
        print(f"{row.case}: {row.value:.1f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("views", rows, packages=["decord2", "av", "opencv-contrib-python-headless", "mediapipe"]))


def measure(case: str, views: Sequence[str], videos: Sequence[Path], num_frames: int) -> list[Row]:
    """Time pipeline and straight loop in turn, and the stages once per round."""
    seconds: dict[str, list[float]] = {"pipeline": [], "loop": [], "stages": []}
    with WorkerPool() as pool, ThreadPoolExecutor(NUM_CORES) as threads:
        run = partial(pipeline, pool, threads, views)
        run(videos[-NUM_CORES:])  # starts the processes
        for _ in range(NUM_ROUNDS):
            seconds["pipeline"].append(wall_seconds(partial(run, videos)))
            seconds["loop"].append(wall_seconds(partial(straight_loop, views, videos)))
            seconds["stages"].append(processor_seconds(views, videos) / NUM_CORES)
    pipeline_s, loop_s, stages_s = (statistics.median(seconds[name]) for name in ("pipeline", "loop", "stages"))
    speed = round(num_frames / pipeline_s, 1)
    return [
        Row(case, speed, "frames/s", "the straight loop in one process", round(loop_s / pipeline_s, 2)),
        Row(
            case, speed, "frames/s", f"its stages' processor time on {NUM_CORES} cores", round(stages_s / pipeline_s, 2)
        ),
    ]


def pipeline(pool: WorkerPool, threads: ThreadPoolExecutor, views: Sequence[str], videos: Sequence[Path]) -> None:
    """What embedding does before the encoder: all clips of all videos, one worker process per core."""
    requests = {view: REQUESTS[view] for view in views}

    def consume(path: Path) -> int:
        return sum(1 for _ in clips_in_worker(pool, VideoSource(path, EVERY_FRAME, requests)))

    assert all(threads.map(consume, videos))


def straight_loop(views: Sequence[str], videos: Sequence[Path]) -> None:
    """What one would write in an afternoon."""
    import cv2
    import decord
    import mediapipe

    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for path in videos:
        pose = mediapipe.solutions.pose.Pose(model_complexity=1, enable_segmentation=True) if "pose" in views else None
        reader = decord.VideoReader(str(path))
        previous = None
        for index in range(len(reader)):
            pixels = reader[index].asnumpy()
            resize_short_side(pixels, REQUESTS["rgb"].geometry.resize_px)
            if "flow" in views:
                gray = cv2.cvtColor(resize_short_side(pixels, FLOW.size_px), cv2.COLOR_RGB2GRAY)
                if previous is not None:
                    estimator.calc(previous, gray, None)
                previous = gray
            if pose is not None:
                pose.process(pixels)
        if pose is not None:
            pose.close()


def processor_seconds(views: Sequence[str], videos: Sequence[Path]) -> float:
    """Processor time of decoding, resizing, flow and people, each alone in this process, with one OpenCV thread."""
    import cv2

    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    total = 0.0
    for path in videos:
        frames: list[tuple[float, NDArray[np.uint8]]] = []
        total += consumed_seconds(lambda path=path, frames=frames: frames.extend(read_frames(path)))  # type: ignore[misc]
        total += consumed_seconds(partial(all_reduced, frames))
        if "flow" in views:
            total += consumed_seconds(partial(all_flow, frames))
        if "pose" in views:
            total += consumed_seconds(lambda frames=frames: sum(1 for _ in people_of(frames)))  # type: ignore[misc]
    cv2.setNumThreads(num_threads)
    return total


def all_reduced(frames: Sequence[tuple[float, NDArray[np.uint8]]]) -> None:
    """Every frame at the size that clips are cut from."""
    for _, pixels in frames:
        resize_short_side(pixels, REQUESTS["rgb"].geometry.resize_px)


def all_flow(frames: Sequence[tuple[float, NDArray[np.uint8]]]) -> None:
    """Flow of every frame."""
    small = ((seconds, resize_short_side(pixels, FLOW.size_px)) for seconds, pixels in frames)
    for _, (first, later) in with_later_frame(small, FLOW.interval_seconds):
        estimate_flow(first, later, FLOW)


def wall_seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def consumed_seconds(work: Callable[[], object]) -> float:
    """Processor time of all threads of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def generated(folder: Path) -> Path:
    """A few generated videos."""
    from cocon.training.figures.figures import make_figures
    from cocon.training.figures.settings import FigureSettings

    make_figures(folder, FigureSettings(num_videos=12, seconds=6.0, size_px=256), on_progress=lambda *_: None)
    return folder / "videos"


if __name__ == "__main__":
    main()
