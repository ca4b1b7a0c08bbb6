"""Clips of generated videos: the right frames, at the right times, in every view."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import TooLargeError, TruncatedVideoError, UnreadableVideoError, UsageError
from cocon.video.blocks import distinct_blocks
from cocon.video.clips import ClipSpec, ShortVideoPolicy, TailPolicy, dense_windows, grid_indices
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.workers.pool import WorkerPool

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[Pixels]]
NumberOf = Callable[[Pixels], int]

RGB = {"rgb": ViewRequest(Geometry(32, 32))}
FLOW = {"flow": ViewRequest(Geometry(48, 48), FlowSpec())}
RATES = {
    "30 fps": np.arange(60) / 30,
    "25 fps": np.arange(47) / 25,
    "variable": np.cumsum(np.random.default_rng(1).integers(10, 80, 55)) / 1000,
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo, numbered: Numbered) -> dict[str, Path]:
    """One video per frame rate whose brightness is the frame's number."""
    root = tmp_path_factory.mktemp("videos")
    return {
        name: write_video(root / f"video{index}.mp4", numbered(len(times)), times)
        for index, (name, times) in enumerate(RATES.items())
    }


def _numbers(clip_pixels: Pixels, number_of: NumberOf) -> list[int]:
    return [number_of(frame) for frame in clip_pixels.reshape(-1, *clip_pixels.shape[2:])]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("tail", get_args(TailPolicy))
@pytest.mark.parametrize("hop", [None, 1, 4])
@pytest.mark.parametrize("step", [{"step_seconds": 0.1}, {"step_seconds": None, "step_frames": 3}])
def test_streamed_clips_are_the_dense_windows_of_the_grid(
    rate: str,
    tail: TailPolicy,
    hop: int | None,
    step: dict[str, float],
    videos: dict[str, Path],
    number_of: NumberOf,
) -> None:
    spec = ClipSpec(2, 3, tail=tail, **step)  # type: ignore[arg-type]  # the two steps have different types
    grid = grid_indices(RATES[rate], spec)
    expected = grid[dense_windows(len(grid), spec, hop=hop)]
    clips = list(VideoSource(videos[rate], spec, RGB, hop=hop).clips())
    assert [_numbers(clip.pixels["rgb"], number_of) for clip in clips] == expected.tolist()
    assert [clip.index for clip in clips] == list(range(len(clips)))
    assert {clip.pixels["rgb"].shape for clip in clips} == {(2, 3, 32, 32, 3)}


@pytest.mark.parametrize("tail", get_args(TailPolicy))
@pytest.mark.parametrize("hop", [None, 1, 3, 4])
@pytest.mark.parametrize("views", [RGB, {**RGB, **FLOW}], ids=["rgb", "both"])
def test_clips_that_share_blocks_bring_each_once_and_are_made_of_the_same_pixels(
    tail: TailPolicy, hop: int | None, views: dict[str, ViewRequest], videos: dict[str, Path]
) -> None:
    spec, path = ClipSpec(2, 3, tail=tail), videos["variable"]
    whole = list(VideoSource(path, spec, views, hop).clips())
    shared = list(VideoSource(path, spec, views, hop, shares_blocks=True).clips())
    blocks = {view: np.concatenate([clip.pixels[view] for clip in shared]) for view in views}  # each [U, T, H, W, C]
    num_grid = len(grid_indices(RATES["variable"], spec))
    assert len(blocks["rgb"]) == len(distinct_blocks(dense_windows(num_grid, spec, hop=hop), 3)[0])
    num_known = 0
    for clip, other in zip(whole, shared, strict=True):
        assert clip.blocks == (2 * clip.index, 2 * clip.index + 1)
        assert (clip.index, clip.start_seconds, clip.end_seconds) == (
            other.index,
            other.start_seconds,
            other.end_seconds,
        )
        num_known += len(other.pixels["rgb"])
        assert max(other.blocks) < num_known  # nothing that is still to come
        for view in views:
            np.testing.assert_array_equal(blocks[view][list(other.blocks)], clip.pixels[view])


@pytest.mark.parametrize("policy", get_args(ShortVideoPolicy))
def test_a_block_that_a_short_video_repeats_comes_once(policy: ShortVideoPolicy, videos: dict[str, Path]) -> None:
    spec, path = ClipSpec(40, 1, short_video=policy), videos["variable"]
    (whole,) = VideoSource(path, spec, RGB).clips()
    (shared,) = VideoSource(path, spec, RGB, shares_blocks=True).clips()
    assert len(shared.pixels["rgb"]) == len(set(shared.blocks)) < 40
    np.testing.assert_array_equal(shared.pixels["rgb"][list(shared.blocks)], whole.pixels["rgb"])


@pytest.mark.parametrize("policy", get_args(ShortVideoPolicy))
@pytest.mark.parametrize("rate", RATES)
def test_a_short_video_gives_one_clip_by_its_policy(
    policy: ShortVideoPolicy, rate: str, videos: dict[str, Path], number_of: NumberOf
) -> None:
    spec = ClipSpec(8, 5, short_video=policy)
    grid = grid_indices(RATES[rate], spec)
    (clip,) = VideoSource(videos[rate], spec, RGB).clips()
    assert _numbers(clip.pixels["rgb"], number_of) == grid[dense_windows(len(grid), spec)[0]].tolist()
    assert clip.start_seconds == 0.0
    assert clip.end_seconds == pytest.approx(RATES[rate][-1] - RATES[rate][0], abs=0.1)


def test_clips_say_when_they_start_and_end(videos: dict[str, Path]) -> None:
    # 30 fps, 60 frames: 2.0 s, grid times 0 … 1.9, three clips of 0.6 s and one anchored to the end.
    source = VideoSource(videos["30 fps"], ClipSpec(2, 3), RGB)
    clips = list(source.clips())
    assert [clip.start_seconds for clip in clips] == pytest.approx([0.0, 0.6, 1.2, 1.4])
    assert [clip.end_seconds for clip in clips] == pytest.approx([0.6, 1.2, 1.8, 2.0], abs=2e-3)
    assert source.num_frames == 60
    assert source.duration_seconds == pytest.approx(2.0, abs=2e-3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("requests", [RGB, FLOW, {**RGB, **FLOW}], ids=["rgb", "flow", "both"])
@pytest.mark.parametrize("tail", get_args(TailPolicy))
def test_a_clip_ends_its_whole_length_after_its_start_or_with_the_video(
    rate: str, requests: dict[str, ViewRequest], tail: TailPolicy, videos: dict[str, Path]
) -> None:
    source = VideoSource(videos[rate], ClipSpec(2, 3, tail=tail), requests, hop=4)
    clips = list(source.clips())
    for clip in clips:
        assert clip.end_seconds == pytest.approx(min(clip.start_seconds + 0.6, source.duration_seconds))


def test_frame_steps_give_times_too(videos: dict[str, Path]) -> None:
    spec = ClipSpec(2, 3, step_seconds=None, step_frames=3, tail="drop")
    clips = list(VideoSource(videos["30 fps"], spec, RGB).clips())
    assert [clip.start_seconds for clip in clips] == pytest.approx([0.0, 0.6, 1.2], abs=1e-3)
    assert [clip.end_seconds for clip in clips] == pytest.approx([0.6, 1.2, 1.8], abs=1e-3)


def test_a_source_can_be_read_twice(videos: dict[str, Path]) -> None:
    source = VideoSource(videos["30 fps"], ClipSpec(2, 3, step_seconds=None, step_frames=3), RGB)
    first = [(clip.start_seconds, clip.end_seconds) for clip in source.clips()]
    again = [(clip.start_seconds, clip.end_seconds) for clip in source.clips()]
    assert first == again
    assert source.num_frames == 60


def test_a_clip_prints_its_span_and_shapes_and_no_pixels(videos: dict[str, Path]) -> None:
    clip = next(VideoSource(videos["30 fps"], ClipSpec(2, 3), RGB).clips())
    assert repr(clip) == "MultiViewClip(0, 0.000-0.600 s, {'rgb': [2, 3, 32, 32, 3]})"


@pytest.mark.parametrize("size", [48, 96])
def test_flow_of_a_moving_square_has_its_direction_and_size_in_bytes(
    size: int, tmp_path: Path, write_video: WriteVideo, square_at: Callable[[float, float], Pixels]
) -> None:
    # 2 px right and 1 px up per frame at 96 px; 1/15 s are two frames.
    pictures = [square_at(4 + 2 * index, 50 - index) for index in range(24)]
    path = write_video(tmp_path / "square.mp4", pictures, np.arange(24) / 30)
    request = ViewRequest(Geometry(size, size), FlowSpec())
    scale = size / 96
    (clip,) = VideoSource(path, ClipSpec(2, 3, tail="drop"), {"flow": request}).clips()
    flow = clip.pixels["flow"].reshape(6, size, size, 2)
    for position in range(6):
        index = 3 * position  # source frame
        top, left = (50 - index + 10) * scale, (4 + 2 * index + 10) * scale
        side = int(12 * scale)
        inside = flow[position, int(top) : int(top) + side, int(left) : int(left) + side].reshape(-1, 2)
        expected = 128 + np.array([4, -2]) * scale * 127 / 20
        assert np.abs(np.median(inside, axis=0) - expected).max() <= 3.2  # 0.5 px
        corner = flow[position, : size // 8, : size // 8]
        assert np.abs(corner.astype(int) - 128).max() <= 3


@pytest.mark.parametrize("view", ["rgb", "pose"])
def test_a_missing_video_is_a_usage_error_whatever_is_wanted_of_it(view: str, tmp_path: Path) -> None:
    source = VideoSource(tmp_path / "absent.mp4", ClipSpec(), {view: ViewRequest(Geometry(64, 64))})
    with pytest.raises(UsageError, match=r"absent\.mp4' does not exist"):
        next(source.clips())


def test_a_file_that_is_no_video_is_an_unreadable_video(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("milk, eggs")
    with pytest.raises(UnreadableVideoError):
        next(VideoSource(tmp_path / "notes.mp4", ClipSpec(), RGB).clips())


def test_a_damaged_video_gives_what_is_left_or_is_refused(tmp_path: Path, cut_video: Callable[[Path], Path]) -> None:
    path = cut_video(tmp_path / "cut.mkv")
    source = VideoSource(path, ClipSpec(2, 3), RGB)
    assert list(source.clips())
    assert "ends after" in source.lost
    strict = VideoSource(path, ClipSpec(2, 3), RGB, is_strict=True)
    with pytest.raises(TruncatedVideoError, match=r"cut\.mkv' is damaged: it ends after"):
        list(strict.clips())


def test_clips_come_while_the_video_is_still_being_decoded(videos: dict[str, Path]) -> None:
    decoded: list[None] = []
    next(VideoSource(videos["30 fps"], ClipSpec(1, 3), RGB).clips(on_frame=lambda: decoded.append(None)))
    assert 6 < len(decoded) < 20  # of 60


def test_clips_made_in_a_worker_are_the_same(videos: dict[str, Path]) -> None:
    here, there = (VideoSource(videos["variable"], ClipSpec(2, 3), {**RGB, **FLOW}) for _ in range(2))
    with WorkerPool() as pool:
        for one, other in zip(here.clips(), clips_in_worker(pool, there), strict=True):
            assert (one.index, one.start_seconds, one.end_seconds) == (
                other.index,
                other.start_seconds,
                other.end_seconds,
            )
            assert all(np.array_equal(one.pixels[view], other.pixels[view]) for view in ("rgb", "flow"))
    assert here == there
    assert here.num_frames == 55


def test_errors_in_a_worker_name_the_video(tmp_path: Path, videos: dict[str, Path]) -> None:
    (tmp_path / "notes.mp4").write_text("milk, eggs")
    with WorkerPool(MediaLimits(frame_timeout_s=60)) as pool:
        with pytest.raises(UnreadableVideoError, match=r"notes\.mp4"):
            next(clips_in_worker(pool, VideoSource(tmp_path / "notes.mp4", ClipSpec(), RGB)))
        with pytest.raises(UsageError, match=r"absent\.mp4"):
            next(clips_in_worker(pool, VideoSource(tmp_path / "absent.mp4", ClipSpec(), RGB)))
        limited = VideoSource(videos["30 fps"], ClipSpec(), RGB, limits=MediaLimits(max_frames=10))
        with pytest.raises(TooLargeError, match="max_frames is 10"):
            list(clips_in_worker(pool, limited))
