"""Seconds to a still of a late moment: found by index or past packets, and by decoding what comes before.

python benchmarks/moments.py

A minute of textured 360p is repeated to five, in containers with an index and without; the still is that at nine
tenths. One pass is `stills_at`, which decodes from the beginning, in the same worker process.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
from results_file import Row, write_results

from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.moment_pictures import moment_still
from cocon.video.pictures.stills import stills_at
from cocon.video.workers.pool import WorkerPool

NUM_ROUNDS = 5
RATE, SECONDS, TIMES = 25, 60, 5
HEIGHT, WIDTH = 360, 640
MOMENT_SECONDS = 0.9 * SECONDS * TIMES
KINDS = {
    "MP4, H.264": ("mp4", "libx264"),
    "Matroska, HEVC": ("mkv", "libx265"),
    "WebM, VP9": ("webm", "libvpx-vp9"),
    "transport stream, H.264": ("ts", "libx264"),
    "AVI, MPEG-4": ("avi", "mpeg4"),
}
OPTIONS = {
    "libx264": {"preset": "veryfast", "g": "125"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:keyint=125:bframes=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "g": "125"},
    "mpeg4": {"g": "125"},
}


def main() -> None:
    """Measure, print and write `benchmarks/results/moments.json`."""
    limits = MediaLimits()
    rows = []
    with tempfile.TemporaryDirectory() as scratch, WorkerPool(limits) as pool:
        for case, (ending, codec) in KINDS.items():
            path = long_video(Path(scratch), ending, codec)
            found = partial(moment_still, pool, path, limits, MOMENT_SECONDS, long_side_px=160)
            passed = partial(stills_at, pool, path, limits, [MOMENT_SECONDS], side_px=160)
            seconds: dict[str, list[float]] = {"found": [], "passed": []}
            found()
            for _ in range(NUM_ROUNDS):
                seconds["found"].append(wall_seconds(found))
                seconds["passed"].append(wall_seconds(passed))
            found_s, passed_s = (statistics.median(seconds[name]) for name in ("found", "passed"))
            rows.append(
                Row(
                    f"still, {case}", round(found_s, 3), "s", "decoding what comes before", round(passed_s / found_s, 1)
                )
            )
            print(f"{rows[-1].case}: {rows[-1].value} {rows[-1].unit}, {rows[-1].ratio}× {rows[-1].versus}")
            path.unlink()
    print(write_results("moments", rows, packages=["av", "opencv-contrib-python-headless"]))


def wall_seconds(task: Callable[[], object]) -> float:
    """How long a task takes."""
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def long_video(folder: Path, ending: str, codec: str) -> Path:
    """A minute of a drifting texture, its packets repeated one after the other."""
    minute, path = folder / f"minute.{ending}", folder / f"long.{ending}"
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(0, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    with av.open(str(minute), "w") as output:
        stream = output.add_stream(codec, rate=RATE, options=OPTIONS[codec])
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for number in range(RATE * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, 2 * number, axis=1), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(str(path), "w") as copy, av.open(str(minute)) as original:
        source = original.streams.video[0]
        assert source.time_base
        stream = copy.add_stream_from_template(source)
        packets = [packet for packet in original.demux(source) if packet.size]
        length = round(SECONDS / source.time_base)
        contents = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        for number in range(TIMES):
            for content, pts, dts, is_keyframe in contents:
                packet = av.Packet(content)
                packet.pts = None if pts is None else pts + number * length
                packet.dts = None if dts is None else dts + number * length
                packet.time_base, packet.is_keyframe, packet.stream = source.time_base, is_keyframe, stream
                copy.mux(packet)
    minute.unlink()
    return path


if __name__ == "__main__":
    main()
