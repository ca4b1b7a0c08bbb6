"""How finely `client align` tells moments apart, by the overlap of clips; writes alignment-overlap.md and .json.

    cocon export --run pretrained/figures-tiny --repository runs/tiny-repository
    python docs/results/alignment_overlap.py --url local:runs/tiny-repository

Of each video a second one is made that shows the same frames at other times, going faster and slower as a smooth
random curve has it, so it is known which moment goes with which. The error of an alignment is how far, in seconds, the
best way through both is from that curve, on average over the way. Overlaps take turns at each pair of videos.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cocon.client import VideoEmbedder
from cocon.client.aligning.spans import Alignment, align_videos
from cocon.training.figures.figures import make_figures
from cocon.training.figures.settings import FigureSettings
from cocon.training.reproduce.markdown import machine, markdown_table
from cocon.training.reproduce.rows import mean_and_sd
from cocon.video.decoding.frames import read_frames

HERE = Path(__file__).parent
OVERLAPS = (0.0, 0.5, 0.75, 0.9)
VIEWS = (("rgb",), ("flow",), ("flow", "rgb"))
NUM_VIDEOS, SECONDS, RATE = 8, 4.0, 30
# The slowest and the fastest pace of a warped video, as shares of the original's.
PACE = 0.5


def main() -> None:
    """Measure all overlaps on videos of every seed and write page and figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            pairs = warped_pairs(Path(folder), seed)
            for views in VIEWS:
                for overlap, (errors, seconds) in measured(options.url, views, pairs).items():
                    row = found.setdefault(f"{'+'.join(views)} {overlap:g}", {"error_s": [], "seconds": []})
                    row["error_s"].append(float(np.mean(errors)))
                    row["seconds"] += seconds
    (HERE / "alignment-overlap.json").write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "alignment-overlap.md").write_text(page(found, options.seeds))


def warped_pairs(folder: Path, seed: int) -> list[tuple[Path, Path, NDArray[np.float64]]]:
    """Videos, the same at another pace, and second of the first for each frame of the second, `float64 [F]`."""
    make_figures(folder / "set", FigureSettings(num_videos=NUM_VIDEOS, seconds=SECONDS, seed=100 + seed))
    rng, pairs = np.random.default_rng(seed), []
    for video in sorted((folder / "set" / "videos").glob("*.mp4")):
        frames = [pixels for _, pixels in read_frames(video)]
        pace = 1 + PACE * np.sin(2 * np.pi * (np.arange(len(frames)) / len(frames) * rng.uniform(1, 2) + rng.random()))
        places = np.clip(np.rint(np.cumsum(pace) * len(frames) / pace.sum()) - 1, 0, len(frames) - 1).astype(np.int64)
        warped = folder / f"warped_{video.name}"
        write_video(warped, [frames[place] for place in places])
        pairs.append((video, warped, places / RATE))
    return pairs


def write_video(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    """H.264 of the quality of the generated videos."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "18"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def measured(
    url: str, views: tuple[str, ...], pairs: list[tuple[Path, Path, NDArray[np.float64]]]
) -> dict[float, tuple[list[float], list[float]]]:
    """Overlap → error of the alignment of each pair in seconds, and how long it took."""
    found: dict[float, tuple[list[float], list[float]]] = {overlap: ([], []) for overlap in OVERLAPS}
    with ExitStack() as held:
        embedders = {
            overlap: held.enter_context(VideoEmbedder(url, views=views, overlap=overlap)) for overlap in OVERLAPS
        }
        for embedder in embedders.values():
            embedder.embed(pairs[0][0])  # what the first call sets up is nobody's
        for first, second, truth in pairs:
            for overlap, embedder in embedders.items():
                begun = time.perf_counter()
                alignment = align_videos(embedder, first, second)
                found[overlap][1].append(time.perf_counter() - begun)
                found[overlap][0].append(error_of(alignment, truth))
    return found


def error_of(alignment: Alignment, truth: NDArray[np.float64]) -> float:
    """How far the way is from the truth, at moments of B a tenth of a second apart."""
    middles_a = alignment.first.middles[alignment.path[:, 0]]
    middles_b = alignment.second.middles[alignment.path[:, 1]]
    moments = np.arange(middles_b[0], middles_b[-1], 0.1)
    order = np.unique(middles_b)  # of several blocks of A that go with one of B, the middle
    found = np.interp(moments, order, [middles_a[middles_b == middle].mean() for middle in order])
    expected = np.interp(moments, np.arange(len(truth)) / RATE, truth)
    return float(np.abs(found - expected).mean())


def page(found: dict[str, dict[str, list[float]]], seeds: int) -> str:
    """The table, and how it was made."""
    rows = []
    for key, values in found.items():
        views, overlap = key.rsplit(" ", 1)
        mean, sd = mean_and_sd([1000 * error for error in values["error_s"]])
        base = found[f"{views} 0"]["seconds"]
        ratio = float(np.median([took / before for took, before in zip(values["seconds"], base, strict=True)]))
        rows.append([views, overlap, f"{mean:.0f} ± {sd:.0f}", f"{ratio:.1f} ×"])
    head = (
        f"# Overlap of clips in alignments\n\n`python docs/results/alignment_overlap.py`, made on {date.today()}, "
        f"{machine()}. {seeds} seeds of {NUM_VIDEOS} generated videos of {SECONDS:g} s, each aligned with itself at a "
        f"pace that varies from {1 - PACE:g} to {1 + PACE:g} of its own; mean ± sd over the seeds of how far the way "
        "is off, and the median over the videos of the time in terms of that without overlap. Encoders: "
        "`pretrained/figures-tiny`, blocks of 0.27 s. Other work kept the machine busy, and the sides took turns: the "
        "times are rough.\n\n"
    )
    return head + markdown_table(["view", "overlap", "off by (ms)", "time"], rows) + "\n"


if __name__ == "__main__":
    main()
