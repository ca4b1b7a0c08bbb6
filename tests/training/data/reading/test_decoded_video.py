"""Parts, folders, grids and people: one video in the views that are wanted, however it is come by."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import MissingViewError
from cocon.training.data.augment import centred_clip
from cocon.training.data.reading.decoded_video import DecodedVideo, load_video
from cocon.video.clips import ClipSpec, grid_indices, nearest_frames
from cocon.video.estimation.flow import FlowSpec
from cocon.video.following.rule import FollowedView, Following
from cocon.video.geometry import Geometry
from cocon.video.making.recipe import Recipe
from cocon.video.making.run import make_views
from cocon.video.reading.live import ViewRequest
from cocon.video.reading.reader import VideoSource
from cocon.video.store.dataset import DatasetFolder, VideoEntry, content_sha256, known_sha256
from cocon.video.workers.pool import WorkerPool

SQUARE = Geometry(28, 24)
STORED_SIZE = Geometry(32, 24)  # as the figures' views are stored, so that nothing is resized
REQUESTS = {
    "rgb": ViewRequest(SQUARE),
    "flow": ViewRequest(STORED_SIZE, FlowSpec(1 / 15, size_px=32)),
    "pose": ViewRequest(SQUARE),
    "mask": ViewRequest(SQUARE),
}
FOLLOWING = Following(smoothing_seconds=0.1)


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerPool]:
    with WorkerPool() as pool:
        yield pool


def _part(entry: VideoEntry) -> VideoEntry:
    return dataclasses.replace(entry, video_id=f"{entry.video_id}#0.2-0.8", start_seconds=0.2, end_seconds=0.8)


def _entry(root: Path) -> VideoEntry:
    return DatasetFolder.open(root).split("train")[0]


def _assert_alike(one: DecodedVideo, other: DecodedVideo) -> None:
    np.testing.assert_array_equal(one.timestamps, other.timestamps)
    for view, decoded in one.views.items():
        twin = other.views[view]
        np.testing.assert_array_equal(decoded.timestamps, twin.timestamps)
        assert (decoded.height, decoded.width) == (twin.height, twin.width)
        if decoded.pixels is not None and twin.pixels is not None:
            np.testing.assert_array_equal(decoded.pixels, twin.pixels)
        else:
            assert decoded.pose is not None and decoded.pose.keypoints is not None
            assert twin.pose is not None and twin.pose.keypoints is not None
            np.testing.assert_array_equal(decoded.pose.keypoints, twin.pose.keypoints)


@pytest.mark.parametrize("is_part", [False, True])
def test_frames_in_a_folder_are_those_in_memory(
    is_part: bool, figures: Path, tmp_path: Path, workers: WorkerPool
) -> None:
    entry = _part(_entry(figures)) if is_part else _entry(figures)
    laid = load_video(entry, figures, REQUESTS, workers, into=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.npy", "rgb.npy"]  # flow is where it is stored
    shutil.rmtree(tmp_path)
    _assert_alike(load_video(entry, figures, REQUESTS, workers), laid)


@pytest.mark.parametrize("step", [{"step_seconds": 0.1}, {"step_seconds": None, "step_frames": 4}])
def test_a_grid_keeps_the_frames_that_clips_take(step: dict[str, float], figures: Path, workers: WorkerPool) -> None:
    entry, spec = _part(_entry(figures)), ClipSpec(1, 2, **step)  # type: ignore[arg-type]  # of the parameters
    every, some = (load_video(entry, figures, REQUESTS, workers, grid=grid) for grid in (None, spec))
    np.testing.assert_array_equal(some.timestamps, every.timestamps)
    moments = every.timestamps[grid_indices(every.timestamps, spec)]
    for view in ("rgb", "flow", "mask"):
        taken = []
        for video in (every, some):
            pixels = video.views[view].pixels
            assert pixels is not None
            taken.append(pixels[nearest_frames(video.views[view].timestamps, moments)])
        np.testing.assert_array_equal(*taken)
    assert some.num_bytes < every.num_bytes


def test_people_who_are_found_on_the_fly_are_those_that_would_be_stored(
    figures: Path, tmp_path: Path, workers: WorkerPool
) -> None:
    entry = _entry(figures)
    video = Path(shutil.copy(entry.path, tmp_path))
    requests = {view: request for view, request in REQUESTS.items() if view != "flow"}
    alone = DatasetFolder.open(tmp_path).videos[0]
    assert alone.path == video
    with pytest.raises(MissingViewError, match=r"'pose' of video 'figure_00000\.mp4' is not stored"):
        load_video(alone, tmp_path, requests, workers)
    made = load_video(alone, tmp_path, requests, workers, makes_people=True)
    make_views(DatasetFolder.open(tmp_path), Recipe(views=("pose", "mask")), num_workers=1)
    _assert_alike(made, load_video(alone, tmp_path, requests, workers))


def test_a_file_is_summed_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for content in (b"one", b"another"):
        path.write_bytes(content)
        assert known_sha256(path) == content_sha256(path) == known_sha256(path)


def test_of_a_part_only_its_frames_are_kept(figures: Path, workers: WorkerPool) -> None:
    """Not the whole array that they were read with, once for each part."""
    entry = _part(_entry(figures))
    part = load_video(entry, figures, {"flow": REQUESTS["flow"], "pose": ViewRequest(SQUARE)}, workers)
    pose = part.views["pose"].pose
    assert pose is not None
    for rows in (part.views["flow"].rows, pose.rows, pose.timestamps):
        assert rows.base is None and rows.flags.owndata


@pytest.mark.parametrize("view", ["pose", "mask"])
@pytest.mark.parametrize("is_part", [False, True])
def test_people_are_followed_as_the_client_follows_them(
    is_part: bool, view: FollowedView, figures: Path, tmp_path: Path, workers: WorkerPool
) -> None:
    following = dataclasses.replace(FOLLOWING, by=view)
    requests = {
        name: dataclasses.replace(request, geometry=dataclasses.replace(request.geometry, following=following))
        for name, request in REQUESTS.items()
    }
    entry, spec = _entry(figures), ClipSpec(1, 2, step_seconds=0.1)
    source = VideoSource(entry.path, spec, requests, kept_as=(figures, entry.store_id))
    served = [clip for clip in source.clips() if not is_part or 0.2 <= clip.start_seconds < 0.7]
    entry = _part(entry) if is_part else entry
    grid = spec if is_part else None
    decoded = load_video(entry, figures, requests, workers, into=tmp_path if is_part else None, grid=grid)
    assert decoded.timestamps[-1] >= 0.5 and served
    for clip in served:
        moments = clip.start_seconds + 0.1 * np.arange(2) - entry.start_seconds
        for name, pixels in clip.pixels.items():
            frames = nearest_frames(decoded.views[name].timestamps, moments)[None]
            size = requests[name].geometry.crop_px
            np.testing.assert_array_equal(centred_clip(decoded.views[name], frames, size), pixels, name)


def test_people_who_are_followed_must_be_stored_or_be_looked_for(
    figures: Path, tmp_path: Path, workers: WorkerPool
) -> None:
    shutil.copy(_entry(figures).path, tmp_path)
    alone = DatasetFolder.open(tmp_path).videos[0]
    requests = {"rgb": ViewRequest(Geometry(28, 24, FOLLOWING))}
    with pytest.raises(MissingViewError, match=r"'pose' of video 'figure_00000\.mp4' is not stored"):
        load_video(alone, tmp_path, requests, workers)
    made = load_video(alone, tmp_path, requests, workers, makes_people=True)
    assert (made.views["rgb"].height, made.views["rgb"].width) == (28, 28)
    make_views(DatasetFolder.open(tmp_path), Recipe(views=("pose",)), num_workers=1)
    _assert_alike(made, load_video(alone, tmp_path, requests, workers))


def test_stored_views_follow_people_who_are_found_in_the_pictures(
    figures: Path, tmp_path: Path, workers: WorkerPool
) -> None:
    shutil.copy(_entry(figures).path, tmp_path)
    alone = DatasetFolder.open(tmp_path).videos[0]
    requests = {"flow": ViewRequest(Geometry(28, 24, FOLLOWING), FlowSpec(1 / 15, size_px=32))}
    made = load_video(alone, tmp_path, requests, workers, makes_people=True)
    make_views(DatasetFolder.open(tmp_path), Recipe(views=("flow",), flow=FlowSpec(1 / 15, size_px=32)), num_workers=1)
    _assert_alike(made, load_video(alone, tmp_path, requests, workers, makes_people=True))
