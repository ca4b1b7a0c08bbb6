"""Previews: stored views are shown, others made, and what cannot be had is said; files read back as they should."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.core.errors import TimedOutError
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.estimation.pose import COCO_KEYPOINTS
from cocon.video.following.rule import Following
from cocon.video.pictures.drawing import LEFT_COLOUR, RIGHT_COLOUR, WINDOW_COLOUR
from cocon.video.preview.panels import Panel, SheetLayout, draw_strip
from cocon.video.preview.sheet import survey_video, write_preview
from cocon.video.preview.strips import StripPlan
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import write_frames, write_keypoints
from cocon.video.workers.pool import WorkerPool

WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[np.ndarray]]
VIEWS = ("rgb", "flow", "pose", "mask")
MARGIN = 12
TIMES = np.array([0.0, 0.1, 0.2, 0.5, 0.6, 1.0])


@pytest.fixture
def stored(tmp_path: Path, write_video: WriteVideo, numbered: Numbered) -> Path:
    """Six grey pictures, with motion to the right, a left forearm and a person in the left half in the store."""
    path = write_video(tmp_path / "grey.mp4", numbered(30)[24:], TIMES)
    attributes = {"content_sha256": content_sha256(path), "flow_interval_seconds": 1 / 15}
    flow = np.broadcast_to(flow_to_bytes(np.array([9.0, 0.0])), (6, 48, 64, 2))
    mask = np.zeros((6, 48, 64, 1), np.uint8)
    mask[:, :, :32] = 255
    keypoints = np.zeros((6, 1, 17, 3), np.float16)
    keypoints[:, 0, COCO_KEYPOINTS.index("left_elbow")] = (16, 24, 0.9)
    keypoints[:, 0, COCO_KEYPOINTS.index("left_wrist")] = (48, 24, 0.9)
    write_frames(tmp_path, "flow", path.name, np.array(flow), TIMES, attributes=attributes)
    write_frames(tmp_path, "mask", path.name, mask, TIMES, attributes=attributes)
    write_keypoints(tmp_path, path.name, keypoints, TIMES, height=48, width=64, attributes=attributes)
    return path


def _preview(path: Path, output: Path, *, num_rows: int = 4, following: Following | None = None) -> list[str]:
    with WorkerPool() as pool:
        return write_preview(pool, survey_video(pool, path), output, num_rows=num_rows, following=following)


def _read_png(path: Path) -> np.ndarray:
    sheet = cv2.imread(str(path))
    assert sheet is not None
    return cv2.cvtColor(sheet, cv2.COLOR_BGR2RGB)


def _bars_and_pictures(
    sheet: np.ndarray, layout: SheetLayout, times: list[float], notes: list[str]
) -> list[np.ndarray]:
    """The first row's four pictures; every row's labels must be as `times` and `notes` say."""
    blank = np.zeros((1, 1, 3), np.uint8)
    panels = [Panel(view, blank, note) for view, note in zip(VIEWS, notes, strict=True)]
    for row, seconds in enumerate(times):
        expected = draw_strip(layout, panels, seconds)
        height, width = expected.shape[:2]
        top = MARGIN + row * (height + MARGIN)
        bar = height - layout.height
        assert np.array_equal(sheet[top : top + bar, MARGIN : MARGIN + width], expected[:bar]), f"row {row}"
    gap = (width - 4 * layout.width) // 3
    lefts = [MARGIN + column * (layout.width + gap) for column in range(4)]
    return [sheet[MARGIN + bar : MARGIN + height, left : left + layout.width] for left in lefts]


def _is_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=2) < 30


def test_stored_views_are_shown_and_labelled_so(stored: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    assert _preview(stored, output, num_rows=2) == []
    sheet, layout = _read_png(output), SheetLayout.of(48, 64)
    rgb, flow, pose, mask = _bars_and_pictures(sheet, layout, [0.2, 0.6], ["", "stored", "stored", "stored"])
    assert np.ptp(rgb) < 6
    assert (flow == (255, 0, 0)).all()
    is_arm = _is_colour(pose, LEFT_COLOUR)
    height, width = layout.height, layout.width
    assert is_arm[height // 2 - 1, width // 4 + 5 : 3 * width // 4 - 5].all()
    assert not is_arm[: height // 2 - 10].any()
    assert not is_arm[height // 2 + 10 :].any()
    assert mask[:, 5 : width // 2 - 10].mean() > 2 * mask[:, width // 2 + 10 :].mean()


def test_the_window_around_people_is_framed_in_every_view(stored: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    assert _preview(stored, output, num_rows=1, following=Following("mask")) == []
    layout = SheetLayout.of(48, 64)
    for panel in _bars_and_pictures(_read_png(output), layout, [0.5], ["", "stored", "stored", "stored"]):
        is_frame = _is_colour(panel, WINDOW_COLOUR)
        right = 3 * layout.width // 4  # a square as high as the picture, at its left
        assert is_frame[10:-10, right - 4 : right].any(axis=1).all()
        assert not is_frame[:, right + 4 :].any()


def test_without_a_store_a_walking_person_is_found_drawn_and_moves_right(
    tmp_path: Path, write_video: WriteVideo, walking_person: list[np.ndarray]
) -> None:
    path = write_video(tmp_path / "person.mp4", walking_person, np.arange(30) / 30)
    assert _preview(path, tmp_path / "out.png", num_rows=1) == []
    layout = SheetLayout.of(*walking_person[0].shape[:2])
    (middle,) = [seconds for seconds, _ in read_frames(path)][14:15]
    _, flow, pose, mask = _bars_and_pictures(_read_png(tmp_path / "out.png"), layout, [middle], [""] * 4)
    left, right = (np.nonzero(_is_colour(pose, colour))[1] for colour in (LEFT_COLOUR, RIGHT_COLOUR))
    assert min(len(left), len(right)) > 100
    assert left.mean() > right.mean() + 30  # the person faces us
    inside = mask[100:160, layout.width // 2 - 5 : layout.width // 2 + 20]
    assert np.ptp(inside, axis=2).mean() > 20
    moving = flow[100:160, layout.width // 2 - 5 : layout.width // 2 + 20].reshape(-1, 3).mean(axis=0)
    assert moving[0] > 240
    assert moving[1:].mean() < 200


def test_a_film_has_every_frame_at_its_own_time_and_even_sides(stored: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    assert _preview(stored, output) == []
    frames = read_frames(output)
    read = list(frames)
    assert [seconds for seconds, _ in read] == pytest.approx(TIMES, abs=1e-3)
    assert frames.duration_seconds == pytest.approx(1.4, abs=1e-3)
    assert frames.lost == ""
    assert {pixels.shape for _, pixels in read} == {read[0][1].shape}
    height, width = read[0][1].shape[:2]
    assert (height % 2, width % 2) == (0, 0)
    assert width > 4 * SheetLayout.of(48, 64).width
    levels = [pixels[MARGIN + 60, MARGIN + 60].mean() for _, pixels in read]
    assert np.diff(levels) == pytest.approx([4] * 5, abs=2)


def test_a_view_stored_for_another_content_is_missing_and_the_reason_is_told(
    stored: Path, tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    write_video(stored, numbered(6), TIMES)
    first, second, third = _preview(stored, tmp_path / "out.png", num_rows=1)
    assert "views/flow/grey.mp4.npz' was made from another video" in first
    assert "pose" in second
    assert "mask" in third
    pictures = _bars_and_pictures(
        _read_png(tmp_path / "out.png"), SheetLayout.of(48, 64), [0.5], ["", "missing", "missing", "missing"]
    )
    for picture in pictures[1:]:
        assert (picture > 200).any()  # the reason
        assert np.ptp(picture.astype(int), axis=2).max() < 10


def test_a_short_video_has_a_row_per_frame(tmp_path: Path, stored: Path) -> None:
    _preview(stored, tmp_path / "out.png", num_rows=9)
    layout = SheetLayout.of(48, 64)
    times = [seconds for seconds, _ in read_frames(stored)]
    _bars_and_pictures(_read_png(tmp_path / "out.png"), layout, times, ["", "stored", "stored", "stored"])


def test_progress_counts_frames_to_the_last(stored: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with WorkerPool() as pool:
        survey = survey_video(pool, stored)
        write_preview(pool, survey, tmp_path / "o.mp4", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(number + 1, 6) for number in range(6)]


def test_a_decoder_that_hangs_ends_with_one_error_and_no_file(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    times = np.arange(60) / 30
    path = write_video(tmp_path / "hang.mp4", numbered(60), times)
    write_frames(tmp_path, "mask", path.name, np.zeros((60, 48, 64, 1), np.uint8), times, attributes={})
    write_keypoints(tmp_path, path.name, np.zeros((60, 1, 17, 3), np.float16), times, height=48, width=64)
    output = tmp_path / "out" / "views.mp4"
    with WorkerPool() as pool:
        survey = survey_video(pool, path)

        def hang(done: int, total: int | None) -> None:
            for worker in pool._busy:
                os.kill(worker._process.pid, signal.SIGSTOP)
                worker._frame_timeout_s = 1.0  # only now: a busy machine takes longer to begin

        with pytest.raises(TimedOutError, match=r"hang\.mp4.*no new frame for 1 s"):
            write_preview(pool, survey, output, on_progress=hang)
    assert list(output.parent.iterdir()) == []


def test_short_videos_are_followed_from_the_start_and_long_ones_in_part() -> None:
    def followed(seconds: float) -> np.ndarray:
        times = np.arange(0, seconds, 1 / 25)
        wanted = np.array([int(len(times) * share) for share in (0.125, 0.375, 0.625, 0.875)])
        plan = StripPlan.of_frames(Path("v.mp4"), MediaLimits(), None, wanted=wanted, times=times)
        assert plan.wanted == tuple(wanted)
        assert plan.followed is not None
        assert set(plan.wanted) <= set(plan.followed)
        assert plan.num_frames == plan.followed[-1] + 1
        return np.array(plan.followed)

    assert np.array_equal(followed(59), np.arange(followed(59)[-1] + 1))
    assert len(followed(3600)) <= 25 * 61
