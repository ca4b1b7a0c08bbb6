"""Strips of frames: the video from its beginning to its end, and bright enough to be seen."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.training.evaluation.report.film_strips import NUM_FRAMES, SIDE_PX, brightened, film_strips
from cocon.video.store.dataset import VideoEntry


def test_a_strip_shows_a_video_from_beginning_to_end_and_a_broken_one_has_none(figures: Path, tmp_path: Path) -> None:
    path = min((figures / "videos").iterdir())
    whole = VideoEntry("whole", path)
    part = replace(whole, video_id="part", start_seconds=0.0, end_seconds=0.2)
    broken = VideoEntry("broken", tmp_path / "broken.mp4")
    broken.path.write_bytes(b"no video")
    seen: list[tuple[int, int | None]] = []
    wanted = [whole, broken, whole, part, VideoEntry("missing", tmp_path / "missing.mp4")]
    made = film_strips(wanted, on_progress=lambda *done: seen.append(done))
    assert list(made) == [whole, part]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for entry, span in ((whole, 1.0), (part, 0.2)):
        assert not made[entry].is_brightened
        frames = _frames(path)
        middles = (np.arange(NUM_FRAMES) + 0.5) / NUM_FRAMES * span * len(frames)
        for picture, middle in zip(_squares(made[entry].jpeg), middles, strict=True):
            differences = [np.abs(frame.astype(float) - picture).mean() for frame in frames]
            assert int(np.argmin(differences)) == pytest.approx(middle, abs=1.5)


def _squares(jpeg: bytes) -> list[np.ndarray]:
    row = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert row is not None
    assert row.shape == (SIDE_PX, NUM_FRAMES * SIDE_PX, 3)
    return np.split(row, NUM_FRAMES, axis=1)


def _frames(path: Path) -> list[np.ndarray]:
    """All frames as OpenCV reads them, their middle squares."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        side = min(read[1].shape[:2])
        top, left = ((length - side) // 2 for length in read[1].shape[:2])
        frames.append(cv2.resize(read[1][top : top + side, left : left + side], (SIDE_PX, SIDE_PX)))
    return frames


def _scene(brightest: int) -> np.ndarray:
    """Two frames in which everything from black to this level is there, the second half as bright."""
    ramp = np.linspace(0, brightest, 64)
    frames = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp / 2, (64, 1))])
    return np.repeat(frames[..., None], 3, axis=3).astype(np.uint8)


@pytest.mark.parametrize("brightest", [10, 30, 60])
def test_dark_frames_become_brighter_and_keep_what_is_lighter_than_what(brightest: int) -> None:
    dark = _scene(brightest)
    shown, is_brightened = brightened(dark)
    assert is_brightened
    assert shown.dtype == np.uint8
    assert shown.mean() > 2.5 * dark.mean()
    assert 60 < shown.mean() < 150
    order = np.argsort(dark.ravel(), kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()
    assert shown[0].mean() > shown[1].mean()  # all frames in the same way: a light that goes out is seen


def test_frames_that_can_be_seen_stay_as_they_are_and_black_ones_stay_black() -> None:
    bright = _scene(200)
    shown, is_brightened = brightened(bright)
    assert not is_brightened
    assert shown is bright
    black, _ = brightened(np.zeros((2, 8, 8, 3), np.uint8))
    assert black.max() == 0
