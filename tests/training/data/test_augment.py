"""Clips cut out of decoded views: shapes, what varies and what must not, and the same clip that a served model sees."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.config.input_sections import AugmentSection
from cocon.training.data.augment import centred_clip, random_clip
from cocon.training.data.reading.decoded_video import DecodedVideo, DecodedView, load_video
from cocon.video.clips import ClipSpec, dense_windows, grid_indices, nearest_frames
from cocon.video.estimation.flow import FlowSpec
from cocon.video.estimation.pose import LEFT_RIGHT_SWAP
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.files import StoredView, view_path
from cocon.video.views import VIEWS
from cocon.video.workers.pool import WorkerPool

NOTHING = AugmentSection(drawn_per="clip", crop_scale=(1.0, 1.0), gain=0.0, rgb_colour=0.0, rgb_gray=0.0)
CROPS = NOTHING.model_copy(update={"crop_scale": (0.4, 0.9)})
EVERYTHING = AugmentSection(crop_scale=(0.5, 1.0), gain=0.3, horizontal_flip=True)
STILL = np.zeros((4, 3), np.int64)


def _with(how: AugmentSection, **changes: object) -> AugmentSection:
    return AugmentSection.model_validate(how.model_dump() | changes)


def _view(channels: int = 3, *, height: int = 40, width: int = 56, value: int | None = None) -> DecodedView:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, height, width, channels)).astype(np.uint8)
    if value is not None:
        pixels[:] = value
    return DecodedView(np.arange(6) / 30, pixels, None, height, width)


def _pose(*points: tuple[int, float, float], height: int = 40, width: int = 56) -> DecodedView:
    """Key points (number, x, y) in a picture of twice the decoded size."""
    keypoints = np.zeros((6, 1, 17, 3), np.float16)
    for number, x, y in points:
        keypoints[:, 0, number] = (x, y, 1.0)
    stored = StoredView("pose", np.arange(6) / 30, None, keypoints, 2 * height, 2 * width, {})
    return DecodedView(stored.timestamps, None, stored, height, width)


def _peak(maps: NDArray[np.uint8]) -> tuple[int, int]:
    row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    return int(row), int(column)


def _all_views() -> dict[str, DecodedView]:
    shown = {view: _view(VIEWS[view].channels) for view in ("rgb", "flow", "mask", "depth")}
    return shown | {"pose": _pose((9, 50.0, 40.0), (10, 20.0, 30.0))}


@pytest.mark.parametrize("view", VIEWS)
def test_a_clip_has_the_networks_shape_and_type_and_depends_on_the_generator_alone(view: str) -> None:
    video, indices = _all_views()[view], np.array([[0, 1, 2], [3, 4, 5]])
    clips = [random_clip(video, view, indices, 24, EVERYTHING, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert clips[0].shape == (2, 3, 24, 24, VIEWS[view].channels)
    assert clips[0].dtype == np.uint8
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2])


@pytest.mark.parametrize("view", VIEWS)
def test_each_block_has_its_own_draw_or_the_clip_has_one(view: str) -> None:
    video = _all_views()[view]
    per_clip = random_clip(video, view, STILL, 24, _with(EVERYTHING, drawn_per="clip"), np.random.default_rng(0))
    per_block = random_clip(video, view, STILL, 24, EVERYTHING, np.random.default_rng(0))
    assert np.array_equal(per_clip, np.broadcast_to(per_clip[:1, :1], per_clip.shape))
    assert np.array_equal(per_block, np.broadcast_to(per_block[:, :1], per_block.shape))
    for one in range(4):
        for other in range(one):
            assert not np.array_equal(per_block[one], per_block[other])


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_varies_where_nothing_may(view: str) -> None:
    square = {
        "rgb": _view(3, width=40), "flow": _view(2, width=40), "mask": _view(1, width=40), "depth": _view(1, width=40),
        "pose": _pose((0, 30.0, 40.0), width=40),
    }[view]  # fmt: skip
    clip = random_clip(square, view, STILL, 40, NOTHING, np.random.default_rng(0))
    assert np.array_equal(clip, centred_clip(square, STILL, 40))


def test_crops_lie_within_the_picture_and_reach_everywhere() -> None:
    rows, columns = np.mgrid[0:40, 0:56].astype(np.uint8)
    places = np.stack([rows, columns, np.zeros_like(rows)], axis=-1)[None]
    video = DecodedView(np.zeros(1), places, None, 40, 56)
    corners = []
    for seed in range(200):
        clip = random_clip(video, "rgb", np.zeros((1, 1), np.int64), 20, CROPS, np.random.default_rng(seed))[0, 0]
        corners.append((*clip[0, 0, :2], *clip[-1, -1, :2]))
        height, width = clip[-1, 0, 0] - clip[0, 0, 0] + 1, clip[0, -1, 1] - clip[0, 0, 1] + 1
        assert abs(int(height) - int(width)) <= 2  # square
        assert 0.4 * 40 - 3 <= height <= 0.9 * 40 + 1
    top, left, bottom, right = np.array(corners).T
    assert (top.min(), left.min()) <= (1, 1)
    assert bottom.max() >= 38
    assert right.max() >= 53


def test_gains_leave_the_byte_alone_that_means_nothing() -> None:
    how = _with(NOTHING, gain=0.5)
    for view, neutral in (("flow", 128), ("mask", 0), ("depth", 0)):
        flat = _view(VIEWS[view].channels, value=neutral)
        assert (random_clip(flat, view, STILL, 40, how, np.random.default_rng(0)) == neutral).all()
    loud = _view(1, value=100)
    gains = [random_clip(loud, "mask", STILL, 40, how, np.random.default_rng(seed)).max() for seed in range(50)]
    assert 50 <= min(gains) < 65
    assert 135 < max(gains) <= 150


def test_flow_vectors_grow_with_the_picture() -> None:
    video = _view(2, value=128 + 20)
    clip = random_clip(video, "flow", STILL, 80, NOTHING, np.random.default_rng(0))
    assert (clip == 128 + 40).all()
    half = random_clip(video, "flow", STILL, 40, _with(NOTHING, crop_scale=(0.5, 0.5)), np.random.default_rng(0))
    assert (half == 128 + 40).all()


def test_colours_vary_by_channel_and_sometimes_become_gray() -> None:
    video = _view(3)
    coloured = random_clip(video, "rgb", STILL, 40, _with(NOTHING, rgb_colour=0.3), np.random.default_rng(0))
    shifts = [float(coloured[..., c].mean()) - float(video.pixels[0, ..., c].mean()) for c in range(3)]
    assert len({round(shift) for shift in shifts}) == 3
    how = _with(NOTHING, rgb_gray=0.5)
    clips = [random_clip(video, "rgb", STILL, 40, how, np.random.default_rng(seed)) for seed in range(60)]
    assert 15 < sum(np.ptp(clip, axis=-1).max() == 0 for clip in clips) < 45


def test_a_crop_of_key_points_is_the_crop_of_the_drawn_picture() -> None:
    pose = _pose((0, 40.0, 30.0), (9, 70.0, 60.0), (16, 20.0, 16.0))
    drawn = pose.pose.frames([0], height=40, width=56)[0]
    as_picture = DecodedView(np.zeros(1), drawn[None], None, 40, 56)
    for seed in range(10):
        one = np.zeros((1, 1), np.int64)
        moved = random_clip(pose, "pose", one, 40, CROPS, np.random.default_rng(seed))[0, 0]
        cut = random_clip(as_picture, "mask", one, 40, CROPS, np.random.default_rng(seed))[0, 0]
        for number in (0, 9, 16):
            if cut[3:-3, 3:-3, number].max() > 230:  # well inside
                (row, column), (expected_row, expected_column) = _peak(moved[..., number]), _peak(cut[..., number])
                assert abs(row - expected_row) <= 2
                assert abs(column - expected_column) <= 2
            elif cut[..., number].max() == 0:
                assert moved[..., number].max() < 30


def _flipped_and_not(view: str, video: DecodedView, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The clip as it is, and mirrored."""
    plain = random_clip(video, view, STILL, size_px, NOTHING, np.random.default_rng(0))
    how = _with(NOTHING, horizontal_flip=True)
    for seed in range(20):
        clip = random_clip(video, view, STILL, size_px, how, np.random.default_rng(seed))
        if not np.array_equal(clip, plain):
            return plain, clip
    raise AssertionError("20 coins showed the same side")


def test_a_mirrored_picture_is_mirrored_and_half_of_the_clips_are() -> None:
    video = _view(3, width=40)
    plain, mirrored = _flipped_and_not("rgb", video, 40)
    assert np.array_equal(mirrored, plain[..., ::-1, :])
    how = _with(NOTHING, horizontal_flip=True)
    clips = [random_clip(video, "rgb", STILL, 40, how, np.random.default_rng(seed)) for seed in range(60)]
    assert 15 < sum(np.array_equal(clip, plain) for clip in clips) < 45


def test_blocks_are_mirrored_together_or_each_by_its_own_coin() -> None:
    video = _view(3, width=40)
    plain, mirrored = _flipped_and_not("rgb", video, 40)
    together, apart = (_with(NOTHING, horizontal_flip=True, horizontal_flip_per=per) for per in ("clip", "block"))

    def sides(how: AugmentSection, seed: int) -> tuple[bool, ...]:
        clip = random_clip(video, "rgb", STILL, 40, how, np.random.default_rng(seed))
        is_mirrored = (clip == mirrored).all(axis=(1, 2, 3, 4))
        assert np.array_equal(clip[~is_mirrored], plain[~is_mirrored])
        return tuple(is_mirrored.tolist())

    assert {sides(together, seed) for seed in range(60)} == {(False,) * 4, (True,) * 4}
    assert len({sides(apart, seed) for seed in range(60)}) > 10


def test_a_mirrored_flow_moves_the_other_way_sideways_only() -> None:
    plain, mirrored = _flipped_and_not("flow", _view(2, width=40), 40)
    expected = plain[..., ::-1, :].astype(int) - 128
    assert np.array_equal(mirrored[..., 1].astype(int) - 128, expected[..., 1])
    assert np.array_equal(mirrored[..., 0].astype(int) - 128, np.clip(-expected[..., 0], -128, 127))


def test_a_mirrored_pose_has_its_left_hand_where_the_right_one_was() -> None:
    plain, mirrored = _flipped_and_not("pose", _pose((9, 21.0, 31.0), (10, 61.0, 51.0), (0, 41.0, 17.0), width=40), 40)
    assert np.array_equal(mirrored, plain[..., ::-1, :][..., LEFT_RIGHT_SWAP])
    (left_row, left_column), (row, column) = _peak(mirrored[0, 0, ..., 9]), _peak(plain[0, 0, ..., 10])
    assert (left_row, left_column) == (row, 39 - column)


REQUESTS = {
    "rgb": ViewRequest(Geometry(40, 32)),
    "flow": ViewRequest(Geometry(28, 24), FlowSpec(1 / 15, size_px=32)),
    "pose": ViewRequest(Geometry(28, 24)),
    "mask": ViewRequest(Geometry(20, 16)),
}
SPECS = [
    ClipSpec(3, 2, step_seconds=1 / 15),
    ClipSpec(3, 4, step_seconds=0.05),  # a step and a half of a frame
    ClipSpec(3, 3, step_seconds=0.1, tail="pad"),
    ClipSpec(2, 5, step_seconds=None, step_frames=2),
    ClipSpec(8, 5, step_seconds=0.1),  # longer than the video
    ClipSpec(8, 5, step_seconds=0.1, short_video="loop"),
]


def _centred_clips(video: DecodedVideo, view: str, spec: ClipSpec) -> list[NDArray[np.uint8]]:
    grid = grid_indices(video.timestamps, spec)
    clips = []
    for window in dense_windows(len(grid), spec):
        indices = nearest_frames(video.views[view].timestamps, video.timestamps[grid[window]])
        shape = (spec.num_blocks, spec.frames_per_block)
        clips.append(centred_clip(video.views[view], indices.reshape(shape), REQUESTS[view].geometry.crop_px))
    return clips


@pytest.mark.parametrize("live_flow", [False, True], ids=["stored flow", "live flow"])
@pytest.mark.parametrize("spec", SPECS)
def test_judging_sees_the_clips_that_a_served_model_sees(spec: ClipSpec, live_flow: bool, figures_copy: Path) -> None:
    entry = DatasetFolder.open(figures_copy).split("train")[2]
    if live_flow:
        view_path(figures_copy, "flow", entry.video_id).unlink()
    with WorkerPool() as workers:
        video = load_video(entry, figures_copy, REQUESTS, workers)
    served = list(VideoSource(entry.path, spec, REQUESTS).clips())
    for view in REQUESTS:
        clips = _centred_clips(video, view, spec)
        assert len(clips) == len(served)
        for clip, expected in zip(clips, served, strict=True):
            assert np.array_equal(clip, expected.pixels[view]), view


def test_a_wide_picture_is_cut_in_its_middle() -> None:
    video = _view(3)
    clip = centred_clip(video, np.array([[0, 5]]), 32)
    assert np.array_equal(clip[0, 1], video.pixels[5, 4:36, 12:44])
