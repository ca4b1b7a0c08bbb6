"""Decoded views: aligned, at the right size, the same from memory and from disk, and honest about what is missing."""

import dataclasses
import io
import logging
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest

from cocon.core.errors import MissingViewError, UnreadableVideoError, UsageError
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo, DecodedView, load_video
from cocon.video.clips import nearest_frames
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec, estimate_flow, resize_flow_bytes
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.store.files import read_view, view_path
from cocon.video.workers.pool import WorkerPool

SEVEN_BY_SIX = Geometry(28, 24)
REQUESTS = {
    "rgb": ViewRequest(Geometry(40, 32)),
    "flow": ViewRequest(SEVEN_BY_SIX, FlowSpec(1 / 15, size_px=32)),
    "pose": ViewRequest(SEVEN_BY_SIX),
    "mask": ViewRequest(Geometry(20, 16)),
}


def _entries(root: Path) -> tuple[VideoEntry, ...]:
    return DatasetFolder.open(root).split("train")


def _frames(root: Path, requests: Mapping[str, ViewRequest] = REQUESTS, *, cache_gib: float = 1.0) -> VideoFrames:
    return VideoFrames(_entries(root), root, requests, cache_gib=cache_gib)


def _load(entry: VideoEntry, root: Path, requests: Mapping[str, ViewRequest]) -> DecodedVideo:
    with WorkerPool() as workers:
        return load_video(entry, root, requests, workers)


def _assert_same(one: DecodedVideo, other: DecodedVideo) -> None:
    assert one.entry == other.entry
    assert list(one.views) == list(other.views)
    for view, decoded in one.views.items():
        assert np.array_equal(decoded.timestamps, other.views[view].timestamps)
        if decoded.pixels is not None:
            assert np.array_equal(decoded.pixels, other.views[view].pixels)


def test_every_view_comes_aligned_and_at_its_own_size(figures: Path) -> None:
    video = _frames(figures)[0]
    assert list(video.views) == ["rgb", "flow", "pose", "mask"]
    for view, channels, side in (("rgb", 3, 40), ("flow", 2, 28), ("mask", 1, 20)):
        pixels = video.views[view].pixels
        assert pixels is not None
        assert (pixels.shape, pixels.dtype) == ((30, side, side, channels), np.uint8)
    assert video.views["pose"].pixels is None
    assert (video.views["pose"].height, video.views["pose"].width) == (28, 28)
    for decoded in video.views.values():
        assert decoded.timestamps == pytest.approx(np.arange(30) / 30, abs=1e-3)
    assert video.timestamps is video.views["rgb"].timestamps


def test_the_first_view_is_the_clock(figures: Path) -> None:
    video = _frames(figures, {"mask": REQUESTS["mask"], "rgb": REQUESTS["rgb"]})[0]
    assert video.timestamps is video.views["mask"].timestamps


def test_the_nearest_frame_is_found_and_of_two_the_earlier() -> None:
    view = DecodedView(np.array([0.0, 0.2, 0.3]), np.zeros((3, 4, 4, 1), np.uint8), None, 4, 4)
    found = nearest_frames(view.timestamps, np.array([-1.0, 0.0, 0.09, 0.1, 0.11, 0.2, 0.26, 9.0]))
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert view.num_bytes == 3 * 4 * 4


def test_a_budget_of_nothing_reads_each_time_what_a_cache_keeps(figures: Path) -> None:
    kept, read = _frames(figures), _frames(figures, cache_gib=0.0)
    assert list(kept.preload()) == list(read.preload()) == [1, 2, 3, 4, 5, 6]
    for index in (0, 5, 0):
        _assert_same(kept[index], read[index])
    assert kept[0] is kept[0]
    assert read[0] is not read[0]


def test_what_fits_in_the_budget_is_kept_and_the_rest_is_read(figures: Path) -> None:
    one = _frames(figures)[0].num_bytes
    frames = _frames(figures, cache_gib=2.5 * one / 2**30)
    list(frames.preload())
    assert [frames[index] is frames[index] for index in range(6)] == [True, True, False, False, False, False]


def test_the_stored_flow_is_used_where_it_measures_what_is_wanted(figures: Path) -> None:
    entry = _entries(figures)[0]
    stored = read_view(figures, "flow", entry.video_id)
    same = _load(entry, figures, {"flow": REQUESTS["flow"]}).views["flow"]
    assert np.array_equal(same.pixels, stored.frames(range(30), height=28, width=28))


@pytest.mark.parametrize("flow", [FlowSpec(0.1, size_px=32), FlowSpec(1 / 15, size_px=40)])
def test_a_stored_flow_that_measures_something_else_is_refused(flow: FlowSpec, figures: Path) -> None:
    with pytest.raises(MissingViewError, match=r"measures another flow.*cocon views make .* --view flow"):
        _load(_entries(figures)[0], figures, {"flow": ViewRequest(SEVEN_BY_SIX, flow)})


def test_flow_over_any_interval_is_estimated_where_none_is_stored(figures_copy: Path) -> None:
    entry = _entries(figures_copy)[1]
    view_path(figures_copy, "flow", entry.video_id).unlink()
    pictures = [pixels for _, pixels in read_frames(entry.path)]
    for frames_apart in (1, 4):
        request = ViewRequest(Geometry(40, 32), FlowSpec(frames_apart / 30, size_px=64))
        view = _load(entry, figures_copy, {"flow": request}).views["flow"]
        assert view.pixels is not None
        assert len(view.pixels) == 30
        for index, pixels in enumerate(view.pixels):
            later = pictures[min(index + frames_apart, 29)]
            assert request.flow is not None
            expected = resize_flow_bytes(estimate_flow(pictures[index], later, request.flow), 40, 40)
            assert np.array_equal(pixels, expected)


def test_flow_is_estimated_where_none_is_stored(figures_copy: Path) -> None:
    entry = _entries(figures_copy)[0]
    exact = _load(entry, figures_copy, {"flow": REQUESTS["flow"]}).views["flow"]
    view_path(figures_copy, "flow", entry.video_id).unlink()
    live = _load(entry, figures_copy, {"flow": REQUESTS["flow"]}).views["flow"]
    assert live.pixels is not None
    assert exact.pixels is not None
    assert live.pixels.shape == exact.pixels.shape
    assert not np.array_equal(live.pixels, exact.pixels)


@pytest.mark.parametrize("view", ["pose", "mask"])
def test_a_view_that_pictures_do_not_give_must_be_stored(view: str, figures_copy: Path) -> None:
    entry = _entries(figures_copy)[0]
    view_path(figures_copy, view, entry.video_id).unlink()
    with pytest.raises(MissingViewError, match=f"view '{view}' of video 'figure_00000' is not stored under"):
        _load(entry, figures_copy, REQUESTS)


@pytest.mark.parametrize("view", ["flow", "pose"])
def test_a_damaged_view_is_named_rather_than_replaced(view: str, figures_copy: Path) -> None:
    entry = _entries(figures_copy)[0]
    path = view_path(figures_copy, view, entry.video_id)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MissingViewError, match="is damaged"):
        _load(entry, figures_copy, REQUESTS)


def test_a_video_that_fails_is_replaced_by_its_neighbour_and_said_once(
    figures_copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (figures_copy / "videos" / "figure_00005.mp4").write_bytes(b"no video")
    frames = _frames(figures_copy)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert frames[5].entry.video_id == "figure_00000"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("video 'figure_00005' is left out: ")
    assert list(frames.failures) == ["figure_00005"]


def test_if_no_video_loads_the_first_ones_error_is_raised(figures_copy: Path) -> None:
    for path in figures_copy.glob("videos/*"):
        path.write_bytes(b"no video")
    frames = _frames(figures_copy, {"rgb": REQUESTS["rgb"]})
    with pytest.raises(UnreadableVideoError, match="figure_00003"):
        frames[3]
    assert len(frames.failures) == 6


def test_a_missing_file_is_a_mistake_rather_than_a_bad_video(figures_copy: Path) -> None:
    (figures_copy / "videos" / "figure_00001.mp4").unlink()
    with pytest.raises(UsageError, match=r"figure_00001\.mp4' does not exist"):
        _frames(figures_copy)[1]


def test_a_file_that_is_gone_or_out_of_reach_later_is_a_bad_video(figures_copy: Path) -> None:
    frames = _frames(figures_copy, {"rgb": REQUESTS["rgb"]})
    gone, unreachable = (figures_copy / "videos" / f"figure_0000{number}.mp4" for number in range(2))
    gone.unlink()
    unreachable.unlink()
    unreachable.symlink_to(unreachable.name)
    assert frames[0].entry.video_id == "figure_00002"
    assert frames.failures["figure_00000"].endswith("does not exist or is no file")
    assert frames.failures["figure_00001"].endswith("cannot be reached: Too many levels of symbolic links")


def test_a_video_whose_pictures_change_their_size_has_all_frames_at_the_size_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "joined.h264"
    with path.open("wb") as joined:
        for height, width in ((64, 96), (96, 64)):
            stream = io.BytesIO()
            with av.open(stream, "w", format="h264") as output:
                video = output.add_stream("libx264", rate=25)
                video.height, video.width, video.pix_fmt = height, width, "yuv420p"
                for _ in range(6):
                    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 99, np.uint8), format="rgb24")
                    output.mux(video.encode(frame))
                output.mux(video.encode(None))
            joined.write(stream.getvalue())
    assert len({pixels.shape for _, pixels in read_frames(path)}) == 2
    (entry,) = _entries(tmp_path)
    loaded = _load(entry, tmp_path, {view: REQUESTS[view] for view in ("rgb", "flow")})
    shapes = {view: decoded.pixels.shape for view, decoded in loaded.views.items() if decoded.pixels is not None}
    assert shapes == {"rgb": (12, 40, 60, 3), "flow": (12, 28, 42, 2)}


@pytest.mark.parametrize("is_stored", [True, False])
def test_of_a_part_no_frame_outside_is_kept_in_any_view(is_stored: bool, figures: Path, tmp_path: Path) -> None:
    whole = _entries(figures)[0]
    part = dataclasses.replace(whole, video_id=f"{whole.video_id}#0.3-0.7", start_seconds=0.3, end_seconds=0.7)
    assert part.store_id == whole.video_id
    root, requests = (figures, REQUESTS) if is_stored else (tmp_path, {k: REQUESTS[k] for k in ("rgb", "flow")})
    all_of_it, cut = (_load(entry, root, requests) for entry in (whole, part))
    for view, decoded in cut.views.items():
        full = all_of_it.views[view]
        inside = np.flatnonzero((full.timestamps >= 0.3 - 1e-6) & (full.timestamps < 0.7 - 1e-6))
        assert 0 < len(inside) < len(full.timestamps)
        np.testing.assert_allclose(decoded.timestamps, full.timestamps[inside] - full.timestamps[inside[0]], atol=1e-9)
        if full.pixels is not None and decoded.pixels is not None:
            np.testing.assert_array_equal(decoded.pixels, full.pixels[inside])
        elif full.pose is not None and decoded.pose is not None:
            assert full.pose.keypoints is not None and decoded.pose.keypoints is not None
            np.testing.assert_array_equal(decoded.pose.keypoints, full.pose.keypoints[inside])
    assert cut.num_bytes < all_of_it.num_bytes


def test_a_part_behind_the_end_of_its_video_is_told(figures: Path) -> None:
    whole = _entries(figures)[0]
    part = dataclasses.replace(whole, video_id=f"{whole.video_id}#7-8", start_seconds=7.0, end_seconds=8.0)
    with pytest.raises(UnreadableVideoError, match=r"has no frame from 7 to 8 s; the last one before is at 0\.9"):
        _load(part, figures, REQUESTS)
