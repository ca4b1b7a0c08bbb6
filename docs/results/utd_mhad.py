"""Prepare UTD-MHAD (Chen, Jafari, Kehtarnavaz, ICIP 2015) as a dataset folder of four views.

    python docs/results/utd_mhad.py --source UTD --output data/utd_mhad

`--source` holds `depth/<video_id>.mp4` (the depth map as gray, background black), `keypoints.npz` (per video
`float16 [T, 20, 2]`, Kinect joints in pixels), `joint_map.json` (Kinect joint of each COCO key point) and
`manifest.csv` (odd subjects train, even test). Each video is cut to the square that its skeleton needs; depth is drawn
relative to the body's median, so that what an arm does in front of the body is seen.
"""

import argparse
import csv
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

COCON = Path(sys.executable).parent / "cocon"
SIDE_PX = 112
MARGIN = 1.15  # of the crop's side against the skeleton's
FLOOR = 8  # what compression leaves of black
MEDIAN_BYTE, CONTRAST = 140.0, 2.2
FRAMES_PER_SECOND = 30


def main() -> None:
    """Write videos, masks and key points, then the views."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("data/utd_mhad"))
    options = parser.parse_args()
    with (options.source / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for folder in ("videos", "own/mask", "own/pose"):
        (options.output / folder).mkdir(parents=True, exist_ok=True)
    joints = json.loads((options.source / "joint_map.json").read_text())["kinect20_index"]
    with ProcessPoolExecutor() as processes:
        list(processes.map(partial(prepare, options.source, options.output, joints), rows, chunksize=8))
    with (options.output / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["video_id", "path", "label", "group", "split"])
        for row in rows:
            path = f"videos/{row['video_id']}.mp4"
            writer.writerow([row["video_id"], path, row["label"], row["group"], row["split"]])
    own = options.output / "own"
    command = ["views", "make", options.output, "--pose", own / "pose", "--mask", own / "mask"]
    subprocess.run([COCON, *command, "--flow-size-px", "112"], check=True)


def prepare(source: Path, output: Path, joints: list[int | None], row: dict[str, str]) -> None:
    """One video: its square, its mask, its key points."""
    video_id = row["video_id"]
    skeletons = np.load(source / "keypoints.npz")[video_id].astype(float)  # [T, 20, 2]
    with av.open(str(source / row["path"])) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    left, top, side = square(skeletons)
    crops = [cut(frame, left, top, side) for frame in frames]
    body = np.concatenate([crop[crop > FLOOR] for crop in crops])
    median = float(np.median(body)) if body.size else 128.0
    drawn = [np.where(crop > FLOOR, np.clip(MEDIAN_BYTE + (crop - median) * CONTRAST, 40, 255), 0) for crop in crops]
    save_video(output / "videos" / f"{video_id}.mp4", [picture.astype(np.uint8) for picture in drawn])
    masks = [np.where(crop > FLOOR, 255, 0).astype(np.uint8) for crop in crops]
    save_video(output / "own/mask" / f"{video_id}.mp4", masks)
    moved = (skeletons - [left, top]) * (SIDE_PX / side)
    entries = [{"image_id": index, "keypoints": coco(skeleton, joints)} for index, skeleton in enumerate(moved)]
    (output / "own/pose" / f"{video_id}.json").write_text(json.dumps(entries[: len(frames)]))


def square(skeletons: np.ndarray) -> tuple[float, float, float]:
    """Left, top and side of the square around all skeletons `[T, 20, 2]`."""
    low, high = skeletons.min(axis=(0, 1)), skeletons.max(axis=(0, 1))
    side = float((high - low).max() * MARGIN)
    left, top = (low + high - side) / 2
    return float(left), float(top), side


def cut(frame: np.ndarray, left: float, top: float, side: float) -> np.ndarray:
    """The square, resized; what lies outside the picture is black."""
    scale = SIDE_PX / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return cv2.warpAffine(frame, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR)


def coco(skeleton: np.ndarray, joints: list[int | None]) -> list[float]:
    """17 key points as COCO results write them; a joint that Kinect has not scores 0."""
    values: list[float] = []
    for joint in joints:
        values += [0.0, 0.0, 0.0] if joint is None else [*np.round(skeleton[joint], 2).tolist(), 1.0]
    return values


def save_video(path: Path, frames: list[np.ndarray]) -> None:
    """Gray pictures as H.264, visually lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "10", "threads": "1"})
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
