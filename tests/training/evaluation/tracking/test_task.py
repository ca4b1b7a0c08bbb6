"""`--task tracking`: true boxes of figures and of OTB's folders, followed by a run beside what knows nothing."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.training.evaluation.tracking.figures import motionless, one_pass_scores
from cocon.training.evaluation.tracking.sequences import FILMED, WINDOW, find_sequences, window_corners
from cocon.training.evaluation.tracking.task import found_boxes
from cocon.training.run_folder.files import RunFolder
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import resize
from cocon.video.store.files import read_view, view_path
from cocon.video.workers.pool import WorkerPool

RunCocon = Callable[..., tuple[int, str, str]]
Pixels = NDArray[np.uint8]


def _with_test_videos(data: Path, count: int) -> list[str]:
    """Leave so many videos of the test split in a folder's manifest; their ids."""
    path = data / "manifest.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    tests = [row for row in rows if row["split"] == "test"][:count]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows([row for row in rows if row["split"] == "train"] + tests)
    return [row["video_id"] for row in tests]


def test_the_window_moves_from_edge_to_edge_and_no_further() -> None:
    seconds = np.arange(300) / 30
    corners = window_corners(seconds, 213, 240, 160, 180, seed=1)
    np.testing.assert_array_equal(corners.min(axis=0), 0)
    np.testing.assert_array_equal(corners.max(axis=0), [53, 60])
    assert np.abs(np.diff(corners, axis=0)).max() <= 4
    np.testing.assert_array_equal(corners, window_corners(seconds, 213, 240, 160, 180, seed=1))
    assert (corners != window_corners(seconds, 213, 240, 160, 180, seed=2)).any()


def test_boxes_of_figures_are_those_of_the_visible_mask(figures: Path) -> None:
    video = find_sequences(figures, 1)[0]
    with WorkerPool() as pool:
        filmed, window = video.load(pool, MediaLimits())
    assert [filmed.scene, window.scene] == [FILMED, WINDOW]
    mask = read_view(figures, "mask", video.name)
    assert mask.pixels is not None
    corners = window_corners(mask.timestamps, 213, 213, 160, 160, seed=crc32(video.name.encode()))
    pictures = [pixels for _, pixels in read_frames(figures / "videos" / f"{video.name}.mp4")]
    for sequence, side, places in ((filmed, 160, np.zeros_like(corners)), (window, 213, corners)):
        for index, (top, left) in enumerate(places):
            seen = np.s_[top : top + 160, left : left + 160]
            np.testing.assert_array_equal(sequence.frames[index], resize(pictures[index], side, side)[seen])
            rows, columns = np.nonzero(resize(mask.pixels[index], side, side)[seen][..., 0] >= 128)
            expected = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            np.testing.assert_array_equal(sequence.boxes[index], expected)
    moved = np.ptp(window.boxes[:, :2] + window.boxes[:, 2:] / 2, axis=0).max()
    assert moved > 10 > np.ptp(filmed.boxes[:, :2] + filmed.boxes[:, 2:] / 2, axis=0).max()


def test_a_run_is_judged_beside_rest_and_the_untrained_network(
    cocon: RunCocon, trained: Path, figures_copy: Path
) -> None:
    kept, lost = _with_test_videos(figures_copy, 2)
    view_path(figures_copy, "mask", lost).unlink()
    arguments = ("evaluate", trained, "--task", "tracking", "--data", figures_copy, "--json")
    code, out, err = cocon(*arguments)
    assert code == 3  # one video has no mask
    assert "1 video was left out" in err
    rows = json.loads(out)
    keys = [(row["scene"], row["method"]) for row in rows]
    assert keys == [(scene, method) for scene in (FILMED, WINDOW) for method in ("no motion", "random", "cocon")]
    with WorkerPool() as pool:
        sequences = next(v for v in find_sequences(figures_copy, 9) if v.name == kept).load(pool, MediaLimits())
    encoder, _ = RunFolder.open(trained).encoder("rgb")
    for index, sequence in enumerate(sequences):
        found = found_boxes(encoder, sequence)
        for row, boxes in ((rows[3 * index], motionless(sequence.boxes)), (rows[3 * index + 2], found)):
            expected = one_pass_scores(boxes, sequence.boxes)
            assert row["success_auc"] == pytest.approx(100 * expected.success_auc)
            assert row["precision_at_20_px"] == pytest.approx(100 * expected.precision_at_20_px)
            assert (row["view"], row["videos"]) == ("rgb", 1)


def _texture(rng: np.random.Generator, side: int) -> Pixels:
    blotches = cv2.GaussianBlur(rng.standard_normal((side, side, 3)), (0, 0), 4)
    return np.clip(128 + 45 * blotches / blotches.std(), 0, 255).astype(np.uint8)


@pytest.fixture
def otb(tmp_path: Path) -> Path:
    """A textured square that crosses a picture, from OTB's pixel 1 on; one more picture than boxes."""
    rng = np.random.default_rng(0)
    ground, target = _texture(rng, 320), (0.5 * _texture(rng, 320) + [0, 0, 110]).astype(np.uint8)
    folder = tmp_path / "otb" / "Square"
    (folder / "img").mkdir(parents=True)
    boxes = [(30 + 10 * frame, 60 + 4 * frame, 90, 80) for frame in range(9)]
    for number, (x, y, width, height) in enumerate(boxes, start=1):
        pixels = ground[:240].copy()
        pixels[y : y + height, x : x + width] = target[:height, :width]
        cv2.imwrite(str(folder / "img" / f"{number:04d}.jpg"), pixels)
    lines = [f"{x + 1},{y + 1},{width},{height}\n" for x, y, width, height in boxes[:-1]]
    (folder / "groundtruth_rect.txt").write_text("".join(lines))
    return folder.parent


def test_folders_of_otb_are_read_in_their_own_pixels(otb: Path, cocon: RunCocon, trained: Path) -> None:
    video = find_sequences(otb, 5)[0]
    with WorkerPool() as pool:
        (sequence,) = video.load(pool, MediaLimits())
    assert (video.name, sequence.scene, sequence.height, sequence.width) == ("Square", FILMED, 240, 320)
    assert sequence.frames.shape == (8, 160, 160, 3)  # squeezed, as `client track` does
    np.testing.assert_array_equal(sequence.boxes[[0, 7]], [[30, 60, 90, 80], [100, 88, 90, 80]])
    code, out, _ = cocon("evaluate", trained, "--task", "tracking", "--data", otb, "--no-random")
    assert code == 0
    assert "pictures of 320 × 240 px" in " ".join(out.split())
    still, followed = (line.split() for line in out.splitlines()[-2:])
    assert still[:2] == ["no", "motion"]
    assert float(followed[-3]) > float(still[-3]) + 10


def test_every_folder_of_a_benchmark_is_judged(otb: Path) -> None:
    for index in range(3):
        shutil.copytree(otb / "Square", otb / f"Other{index}")
    assert len(find_sequences(otb, 1)) == 4


def _numbered(folder: Path, num_pictures: int, num_boxes: int) -> None:
    """Pictures of one brightness each, its number modulo 200, and boxes."""
    (folder / "img").mkdir(parents=True)
    for number in range(1, num_pictures + 1):
        cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), np.full((16, 24, 3), number % 200, np.uint8))
    (folder / "groundtruth_rect.txt").write_text("3,3,9,9\n" * num_boxes)


@pytest.mark.videos
def test_boxes_of_a_benchmark_that_begin_later_are_of_the_later_pictures(tmp_path: Path) -> None:
    _numbered(tmp_path / "David", 303, 3)
    _numbered(tmp_path / "Freeman3", 6, 4)
    with WorkerPool() as pool:
        found = [video.load(pool, MediaLimits())[0] for video in find_sequences(tmp_path, 9)]
    assert [sequence.frames[:, 0, 0, 0].tolist() for sequence in found] == [[100, 101, 102], [1, 2, 3, 4]]
    assert [sequence.doubt for sequence in found] == ["", ""]


def test_of_a_benchmark_cut_to_its_boxes_every_picture_is_taken(tmp_path: Path) -> None:
    _numbered(tmp_path / "David", 3, 3)
    with WorkerPool() as pool:
        (sequence,) = find_sequences(tmp_path, 9)[0].load(pool, MediaLimits())
    assert (sequence.frames[:, 0, 0, 0].tolist(), sequence.doubt) == ([1, 2, 3], "")


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("cocon.training.evaluation")]


def test_pictures_that_may_not_be_those_of_the_boxes_are_said(
    otb: Path, cocon: RunCocon, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _numbered(otb / "David", 5, 3)
    code, _, _ = cocon("evaluate", trained, "--task", "tracking", "--data", otb, "--no-random")
    assert code == 0
    assert _warnings(caplog) == [
        f"video '{name}' has more pictures than true boxes, which are taken for the first {count}"
        for name, count in (("David", 3), ("Square", 8))
    ]


def test_a_first_box_outside_its_picture_costs_its_video_only(
    otb: Path, cocon: RunCocon, trained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(otb / "Square", otb / "Outside")
    (otb / "Outside" / "groundtruth_rect.txt").write_text("400,20,30,30\n" * 9)
    code, out, _ = cocon("evaluate", trained, "--task", "tracking", "--data", otb, "--no-random", "--json")
    assert code == 3
    reason = "the first true box [399.0, 19.0, 30.0, 30.0] lies outside the picture of 320 × 240"
    assert _warnings(caplog)[0] == f"video 'Outside' is left out: {reason}"
    assert [row["videos"] for row in json.loads(out)] == [1, 1]


def test_folders_without_boxes_or_with_too_many_are_refused(otb: Path, cocon: RunCocon, trained: Path) -> None:
    truth = otb / "Square" / "groundtruth_rect.txt"
    truth.write_text("1,1,9,9\n" * 12)
    arguments = ("evaluate", trained, "--task", "tracking", "--no-random", "--data")
    code, _, err = cocon(*arguments, otb)
    assert code == 3
    assert "has 9 pictures, but 12 true boxes" in err
    truth.write_text("1,1,9\n")
    code, _, err = cocon(*arguments, otb)
    assert code == 2
    assert "line 1" in err
    shutil.rmtree(otb / "Square")
    with pytest.raises(UsageError, match="has no videos"):
        find_sequences(otb, 5)
