"""Small people off the middle: videos of figures pasted into larger pictures, with their key points; for following.py.

    python docs/results/paste_people.py data/figures data/pasted --share 0.33 --per-class 8

Of each class so many test videos, every other frame. With `--share 1` they stay as they are: what there is to win.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.frames import read_frames
from cocon.video.geometry import resize
from cocon.video.pictures.encode import write_mp4
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.store.files import read_view, write_keypoints

HEIGHT, WIDTH = 240, 426
_EVERY = 2


def main() -> None:
    """Make the set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, default=0.33, help="of the picture's height that the pasted ones have")
    parser.add_argument("--per-class", type=int, default=8)
    options = parser.parse_args()
    dataset = DatasetFolder.open(options.source)
    (options.output / "videos").mkdir(parents=True)
    rows = ["video_id,path,label,group,split"]
    for label in dataset.labels:
        of_class = [entry for entry in dataset.split("test") if entry.label == label][: options.per_class]
        for entry in of_class:
            paste(options.source, entry, options.output, options.share)
            rows.append(f"{entry.video_id},videos/{entry.video_id}.mp4,{label},{entry.group},train")
    (options.output / "manifest.csv").write_text("\n".join(rows) + "\n")


def paste(source: Path, entry: VideoEntry, output: Path, share: float) -> None:
    """One video and its key points."""
    pose = read_view(source, "pose", entry.store_id)
    assert pose.keypoints is not None
    frames = list(read_frames(entry.path))[::_EVERY]
    side = frames[0][1].shape[0] if share >= 1 else round(share * HEIGHT)
    height, width = side, round(side * pose.width / pose.height)
    rng = np.random.default_rng(int(entry.video_id[-5:]))
    shape = (height, width) if share >= 1 else (HEIGHT, WIDTH)
    top, left = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(shape, (height, width), strict=True))
    coarse = rng.integers(0, 256, (*(max(2, n // 24) for n in shape), 3), np.uint8)
    ground = resize(coarse, *shape)

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        for seconds, pixels in frames:
            picture = ground.copy()
            picture[top : top + height, left : left + width] = resize(pixels, height, width)
            yield seconds, picture

    write_mp4(output / "videos" / f"{entry.video_id}.mp4", pictures())
    points = pose.keypoints[::_EVERY][: len(frames)].astype(np.float32)
    points[..., :2] = points[..., :2] * (width / pose.width) + (left, top)
    times = np.array([seconds for seconds, _ in frames])
    write_keypoints(output, entry.video_id, points.astype(np.float16), times, height=shape[0], width=shape[1])


if __name__ == "__main__":
    main()
