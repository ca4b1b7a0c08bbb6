"""Clips in several views: read from the store or made from the pictures, aligned, and honest about what is missing."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, MissingViewError
from cocon.video.clips import ClipSpec, dense_windows, grid_indices
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec, estimate_flow, flow_from_bytes, flow_to_bytes, with_later_frame
from cocon.video.estimation.identity import MADE_BY, identity_of
from cocon.video.estimation.people import people_of
from cocon.video.geometry import Geometry
from cocon.video.reading.reader import VideoSource, ViewRequest
from cocon.video.reading.worker_clips import clips_in_worker
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import view_path, write_frames, write_keypoints
from cocon.video.workers.pool import WorkerPool

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[Pixels]]
NumberOf = Callable[[Pixels], int]

RGB = {"rgb": ViewRequest(Geometry(32, 32))}
FLOW = {"flow": ViewRequest(Geometry(48, 48), FlowSpec(size_px=96))}
PEOPLE = {"pose": ViewRequest(Geometry(64, 64)), "mask": ViewRequest(Geometry(64, 64))}
VARIABLE_TIMES = np.cumsum(np.random.default_rng(1).integers(10, 80, 55)) / 1000


def _numbers(clip_pixels: Pixels, number_of: NumberOf) -> list[int]:
    return [number_of(frame) for frame in clip_pixels.reshape(-1, *clip_pixels.shape[2:])]


def test_several_views_of_a_clip_show_the_same_moments(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    times = VARIABLE_TIMES
    pictures = numbered(len(times), 64, 64)
    path = write_video(tmp_path / "walk.mp4", pictures, times)
    masks = np.stack(pictures)[..., :1]
    write_frames(tmp_path, "mask", "walk.mp4", masks, times, attributes={})
    keypoints = np.zeros((len(times), 1, 17, 3), np.float16)
    keypoints[:, 0, 0] = np.stack([np.arange(len(times)) + 0.5, np.full(len(times), 8.0), np.ones(len(times))], axis=1)
    write_keypoints(tmp_path, "walk.mp4", keypoints, times, height=64, width=64)

    requests = {**RGB, **FLOW, "mask": ViewRequest(Geometry(24, 20)), "pose": ViewRequest(Geometry(64, 64))}
    source = VideoSource(path, ClipSpec(2, 3), requests)
    grid = grid_indices(times, source.spec)
    clips = list(source.clips())
    windows = grid[dense_windows(len(grid), source.spec)]
    assert len(clips) == len(windows)
    for clip, window in zip(clips, windows, strict=True):
        assert {view: pixels.shape for view, pixels in clip.pixels.items()} == {
            "rgb": (2, 3, 32, 32, 3),
            "flow": (2, 3, 48, 48, 2),
            "mask": (2, 3, 20, 20, 1),
            "pose": (2, 3, 64, 64, 17),
        }
        assert _numbers(clip.pixels["rgb"], number_of) == window.tolist()
        assert _numbers(clip.pixels["mask"], number_of) == window.tolist()
        peaks = clip.pixels["pose"][..., 0].reshape(6, 64, 64).max(axis=1).argmax(axis=1)
        assert peaks.tolist() == window.tolist()
    assert source.missing == {}


@pytest.mark.parametrize("is_stored", [False, True])
def test_views_by_others_than_the_model_learned_from_are_said_or_refused(
    is_stored: bool, tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    times = np.arange(30) / 30
    path = write_video(tmp_path / "walk.mp4", numbered(30), times)
    here = str(identity_of("flow"))
    if is_stored:
        known: dict[str, float | str] = {"flow_interval_seconds": 1 / 15, MADE_BY: here}
        write_frames(tmp_path, "flow", "walk.mp4", np.zeros((30, 96, 128, 2), np.uint8), times, attributes=known)

    def source(*learned_from: str, is_strict: bool = False) -> VideoSource:
        request = replace(FLOW["flow"], made_by=learned_from)
        return VideoSource(path, ClipSpec(2, 3, tail="drop"), {**RGB, "flow": request}, is_strict=is_strict)

    for known_or_not in ((), (here,), ("dis r0 (opencv 4.0)", here)):
        clips = source(*known_or_not, is_strict=True)
        assert len(list(clips.clips())) == 1
        assert clips.differences == []
    other = source("dis r0 (opencv 4.0)")
    assert len(list(other.clips())) == 1
    stored = "stored " * is_stored
    sentence = f"{stored}view 'flow' is made by {here}, but the model learned from dis r0 (opencv 4.0)"
    assert other.differences == [sentence]
    with WorkerPool() as pool, pytest.raises(MismatchError, match=re.escape(sentence)):
        list(clips_in_worker(pool, source("dis r0 (opencv 4.0)", is_strict=True)))


@pytest.mark.parametrize("folder", ["", "videos", "videos/day1"])
def test_stored_views_are_found_from_anywhere_inside_the_dataset_folder(
    folder: str, tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = write_video(tmp_path / folder / "walk.mp4", numbered(30), np.arange(30) / 30)
    video_id = "__".join([*Path(folder).parts, "walk.mp4"])
    write_frames(tmp_path, "mask", video_id, np.full((30, 6, 8, 1), 77, np.uint8), np.arange(30) / 30, attributes={})
    (clip,) = VideoSource(path, ClipSpec(2, 3, tail="drop"), {"mask": ViewRequest(Geometry(8, 8))}).clips()
    assert set(clip.pixels["mask"].ravel()) == {77}


@pytest.mark.parametrize(
    ("attributes", "is_used"),
    [
        ({"flow_interval_seconds": 1 / 15}, True),
        ({"flow_interval_seconds": 1 / 10}, False),
        ({"flow_interval_seconds": 1 / 15, "content_sha256": "0" * 64}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("size", [96, 48])
def test_stored_flow_is_used_if_it_measures_the_same_in_the_same_video_and_refused_otherwise(
    attributes: dict[str, float | str],
    is_used: bool,
    size: int,
    tmp_path: Path,
    write_video: WriteVideo,
    numbered: Numbered,
) -> None:
    times = np.arange(30) / 30
    path = write_video(tmp_path / "walk.mp4", numbered(30), times)
    stored = flow_to_bytes(np.full((30, size, size * 4 // 3, 2), 8.0, np.float32))
    write_frames(tmp_path, "flow", "walk.mp4", stored, times, attributes=attributes)
    source = VideoSource(path, ClipSpec(2, 3, tail="drop"), {**RGB, **FLOW}, content_sha256=content_sha256(path))
    (clip,) = source.clips()
    if is_used and size == 96:
        # half the size, half the displacement
        assert float(flow_from_bytes(clip.pixels["flow"]).mean()) == pytest.approx(4.0, abs=0.2)
        assert source.missing == {}
    else:
        assert set(clip.pixels) == {"rgb"}
        assert "cocon views make" in source.missing["flow"]


def test_a_clip_is_the_same_whether_its_views_were_stored_before_or_not(
    tmp_path: Path, write_video: WriteVideo, walking_person: list[Pixels]
) -> None:
    spec, times = FlowSpec(size_px=64), np.arange(len(walking_person)) / 30
    path = write_video(tmp_path / "walk.mp4", walking_person, times)
    requests = {**RGB, **PEOPLE, "flow": ViewRequest(Geometry(40, 36), spec)}
    live = list(VideoSource(path, ClipSpec(2, 3), requests).clips())

    frames = list(read_frames(path))
    times = np.array([seconds for seconds, _ in frames])
    flow = np.stack([estimate_flow(*pair, spec) for _, pair in with_later_frame(frames, spec.interval_seconds)])
    write_frames(tmp_path, "flow", "walk.mp4", flow, times, attributes={"flow_interval_seconds": spec.interval_seconds})
    people = [people for _, people in people_of(frames)]
    masks, keypoints = np.stack([found.mask for found in people]), np.stack([found.keypoints for found in people])
    write_frames(tmp_path, "mask", "walk.mp4", masks, times, attributes={})
    write_keypoints(
        tmp_path, "walk.mp4", keypoints, times, height=people[0].height, width=people[0].width, attributes={}
    )
    stored = list(VideoSource(path, ClipSpec(2, 3), requests).clips())

    assert len(live) == len(stored) > 1
    for one, other in zip(live, stored, strict=True):
        for view in requests:
            assert np.array_equal(one.pixels[view], other.pixels[view]), view
    assert all(clip.pixels["pose"].max() > 100 and clip.pixels["mask"].max() > 100 for clip in live)


def test_where_nobody_is_found_pose_and_mask_are_empty_and_it_is_said(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    source = VideoSource(
        write_video(tmp_path / "grey.mp4", numbered(30), np.arange(30) / 30), ClipSpec(2, 3), {**RGB, **PEOPLE}
    )
    for clip in source.clips():
        assert clip.pixels["pose"].shape == (2, 3, 64, 64, 17)
        assert clip.pixels["mask"].shape == (2, 3, 64, 64, 1)
        assert not clip.pixels["pose"].any()
        assert not clip.pixels["mask"].any()
    assert source.notes == ["no person found in 30 of 30 frames; pose and mask are empty there"]
    assert source.empty_views == ["mask", "pose"]
    assert source.missing == {}


def test_where_nobody_was_found_when_a_view_was_stored_it_is_said(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "grey.mp4", numbered(30), np.arange(30) / 30)
    masks, times = np.zeros((30, 24, 32, 1), np.uint8), np.arange(30) / 30
    for num_found, empty in ((0, ["mask"]), (3, [])):
        write_frames(tmp_path, "mask", "grey.mp4", masks, times, attributes={"num_frames_with_person": num_found})
        source = VideoSource(path, ClipSpec(2, 3), {**RGB, "mask": PEOPLE["mask"]})
        assert len(list(source.clips())) > 0
        assert source.empty_views == empty
        assert source.notes == [f"stored view '{view}' has nobody in any frame" for view in empty]


def test_a_stored_view_that_ends_early_repeats_its_last_frame_and_it_is_said(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    times = np.arange(60) / 30
    path = write_video(tmp_path / "walk.mp4", numbered(60), times)
    masks = np.stack(numbered(30))[..., :1]
    write_frames(tmp_path, "mask", "walk.mp4", masks, times[:30], attributes={})
    source = VideoSource(path, ClipSpec(2, 3), {**RGB, "mask": ViewRequest(Geometry(24, 20))})
    clips = list(source.clips())
    assert _numbers(clips[-1].pixels["mask"], number_of) == [29] * 6
    assert max(_numbers(clips[-1].pixels["rgb"], number_of)) > 50
    (note,) = source.notes
    assert note.startswith("stored view 'mask' ends at 0.967 s, the video at 2.00")


def test_views_that_cannot_be_made_are_left_out_and_the_remedy_is_said(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # what an import finds that is not installed
    for name in [name for name in sys.modules if name.startswith("mediapipe.")]:
        monkeypatch.delitem(sys.modules, name)
    path = write_video(tmp_path / "grey.mp4", numbered(30), np.arange(30) / 30)
    source = VideoSource(path, ClipSpec(2, 3), {**RGB, **PEOPLE})
    assert all(set(clip.pixels) == {"rgb"} for clip in source.clips())
    assert set(source.missing) == {"pose", "mask"}
    assert "pip install 'cocon[people]'" in source.missing["pose"]
    with pytest.raises(MissingViewError, match=r"'cocon\[people\]'.*'cocon\[people\]'"):
        next(VideoSource(path, ClipSpec(), PEOPLE).clips())


def test_a_damaged_stored_view_is_said_with_its_remedy(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "walk.mp4", numbered(10), np.arange(10) / 30)
    damaged = view_path(tmp_path, "mask", "walk.mp4")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(MissingViewError, match="delete it and make the view again"):
        next(VideoSource(path, ClipSpec(), {"mask": ViewRequest(Geometry(8, 8))}).clips())
