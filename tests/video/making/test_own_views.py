"""A user's own views in place of estimators, for a whole dataset folder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.making.recipe import Recipe, made_views_named
from cocon.video.making.run import MadeViews, make_views
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.files import read_view, write_keypoints

NUM_FRAMES = 6


@pytest.fixture
def folder(tmp_path: Path, write_video: Callable[..., Path], numbered: Callable[..., list[np.ndarray]]) -> Path:
    """`run/a.mp4` and `jump/b.mp4`, 64 × 48, of six frames."""
    for name in ("run/a.mp4", "jump/b.mp4"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        write_video(tmp_path / "set" / name, numbered(NUM_FRAMES), np.arange(NUM_FRAMES) / 10)
    return tmp_path / "set"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where the user's files are."""
    own = tmp_path / "own"
    own.mkdir()
    return own


def _make(folder: Path, **user_folders: Path) -> tuple[MadeViews, dict[str, str]]:
    told: dict[str, str] = {}
    made = make_views(
        DatasetFolder.open(folder),
        Recipe(tuple(user_folders), user_folders=user_folders),
        num_workers=2,
        on_failure=lambda failure: told.update({failure.video: failure.message}),
    )
    return made, told


def _write_points(path: Path, x: float, frames: range = range(NUM_FRAMES)) -> None:
    path.write_text(json.dumps([{"image_id": frame, "keypoints": [x, 20.0, 0.5] * 17} for frame in frames]))


def test_key_points_are_stored_with_their_origin(folder: Path, own: Path) -> None:
    _write_points(own / "a.json", 10.0)
    _write_points(own / "jump__b.mp4.json", 30.0, range(2))
    assert _make(folder, pose=own) == (MadeViews(2, 0, 0, 0, 0, ()), {})
    first, second = (read_view(folder, "pose", video_id) for video_id in ("run__a.mp4", "jump__b.mp4"))
    assert (first.height, first.width) == (48, 64)
    assert first.keypoints is not None
    assert second.keypoints is not None
    assert np.array_equal(first.keypoints[:, 0, 0], np.tile([10.0, 20.0, 0.5], (NUM_FRAMES, 1)))
    assert second.keypoints.any(axis=(1, 2, 3)).tolist() == [True] * 2 + [False] * 4
    assert (first.attributes["estimator"], second.attributes["num_frames_with_person"]) == ("user", 2)


def test_masks_and_flow_replace_their_estimators(folder: Path, own: Path, write_video: Callable[..., Path]) -> None:
    for name in ("a", "b"):
        light = [np.full((48, 64, 3), 250 * (index < 3), np.uint8) for index in range(NUM_FRAMES)]
        write_video(own / f"{name}.mkv", light, np.arange(NUM_FRAMES) / 10)
        np.save(own / f"{name}.npy", np.full((NUM_FRAMES - 1, 128, 170, 2), 3.0, np.float32))
    assert _make(folder, flow=own, mask=own) == (MadeViews(2, 0, 0, 0, 0, ()), {})
    mask, flow = read_view(folder, "mask", "run__a.mp4"), read_view(folder, "flow", "run__a.mp4")
    assert mask.attributes["num_frames_with_person"] == 3
    assert flow.attributes["flow_algorithm"] == "user"
    assert np.array_equal(flow.pixels, np.broadcast_to(flow_to_bytes(np.array(3.0)), (NUM_FRAMES, 128, 170, 2)))


def test_a_video_without_key_points_fails_and_is_made_when_they_come(folder: Path, own: Path) -> None:
    _write_points(own / "a.json", 10.0)
    expected = f"view 'pose' was looked for in '{own}', which has nothing called 'jump__b.mp4' or 'b'"
    assert _make(folder, pose=own) == (MadeViews(1, 0, 1, 0, 0, ()), {"jump/b.mp4": expected})
    assert _make(folder, pose=own) == (MadeViews(0, 1, 0, 1, 0, ()), {})
    _write_points(own / "b.json", 10.0)
    assert _make(folder, pose=own) == (MadeViews(1, 1, 0, 0, 0, ()), {})


def test_key_points_that_do_not_fit_fail_and_are_read_again_when_they_change(folder: Path, own: Path) -> None:
    _write_points(own / "a.json", 10.0)
    _write_points(own / "b.json", 10.0, range(NUM_FRAMES + 1))
    made, told = _make(folder, pose=own)
    assert made == MadeViews(1, 0, 1, 0, 0, ())
    assert "image_id 6 is no frame of the video" in told["jump/b.mp4"]
    assert _make(folder, pose=own)[0] == MadeViews(0, 1, 0, 1, 0, ())
    _write_points(own / "b.json", 10.0)
    _write_points(own / "a.json", 40.0)
    assert _make(folder, pose=own)[0] == MadeViews(2, 0, 0, 0, 0, ())
    points = read_view(folder, "pose", "run__a.mp4").keypoints
    assert points is not None
    assert points[0, 0, 0, 0] == 40.0


def test_a_users_own_replace_views_that_came_from_elsewhere(folder: Path, own: Path) -> None:
    exact = np.ones((NUM_FRAMES, 1, 17, 3), np.float16)
    for video_id, name in (("run__a.mp4", "a"), ("jump__b.mp4", "b")):
        write_keypoints(folder, video_id, exact, np.arange(NUM_FRAMES) / 10, height=48, width=64)
        _write_points(own / f"{name}.json", 10.0)
    assert _make(folder, pose=own)[0].num_made == 2
    assert read_view(folder, "pose", "run__a.mp4").attributes["estimator"] == "user"


def test_an_estimator_never_takes_the_place_of_a_users_own_unasked(folder: Path, own: Path) -> None:
    _write_points(own / "a.json", 10.0)
    _write_points(own / "b.json", 30.0)
    _make(folder, pose=own)
    dataset, theirs = DatasetFolder.open(folder), read_view(folder, "pose", "run__a.mp4")
    assert make_views(dataset, Recipe(("pose",)), num_workers=1) == MadeViews(0, 2, 0, 0, 0, ())
    kept = read_view(folder, "pose", "run__a.mp4")
    assert kept.attributes == theirs.attributes
    assert make_views(dataset, Recipe(("pose",)), overwrite=True, num_workers=1).num_made == 2
    assert "source_sha256" not in read_view(folder, "pose", "run__a.mp4").attributes


def test_a_file_name_that_two_videos_share_says_nothing(folder: Path, own: Path) -> None:
    (folder / "jump" / "b.mp4").rename(folder / "jump" / "a.mp4")
    _write_points(own / "a.json", 10.0)
    made, told = _make(folder, pose=own)
    assert made.num_failed == 2
    assert told["run/a.mp4"].endswith("has nothing called 'run__a.mp4'")


def test_a_folder_for_a_view_that_is_not_wanted_or_not_there_is_refused(own: Path) -> None:
    with pytest.raises(UsageError, match="but view 'mask' is not wanted; add --view mask"):
        Recipe(views=("flow",), user_folders={"mask": own})
    with pytest.raises(UsageError, match=r"^--mask '.*gone' does not exist"):
        Recipe(views=("mask",), user_folders={"mask": own / "gone"})


def _write_depth(folder: Path, num_frames: int = NUM_FRAMES) -> None:
    for name in ("a", "b"):
        np.save(folder / f"{name}.npy", np.full((num_frames, 48, 64), 1500, np.uint16))


def _make_depth(folder: Path, own: Path, near: float, far: float) -> MadeViews:
    said = {"depth": {"depth_near": near, "depth_far": far}}
    recipe = Recipe(("depth",), user_folders={"depth": own}, said=said)
    return make_views(DatasetFolder.open(folder), recipe, num_workers=1)


def test_depth_is_stored_with_its_range_and_made_again_for_another(folder: Path, own: Path) -> None:
    _write_depth(own)
    assert _make_depth(folder, own, 1000, 2000) == MadeViews(2, 0, 0, 0, 0, ())
    stored = read_view(folder, "depth", "run__a.mp4")
    assert (stored.attributes["depth_near"], stored.attributes["depth_far"]) == (1000, 2000)
    assert stored.attributes["estimator"] == "user"
    assert "num_frames_with_person" not in stored.attributes
    assert stored.pixels is not None
    assert (stored.pixels == 128).all()
    assert _make_depth(folder, own, 1000, 2000) == MadeViews(0, 2, 0, 0, 0, ())
    assert _make_depth(folder, own, 1500, 2000) == MadeViews(2, 0, 0, 0, 0, ())
    assert not read_view(folder, "depth", "run__a.mp4").pixels.any()  # type: ignore[union-attr]


def test_depth_of_two_bytes_fails_without_a_range_and_is_tried_again_with_one(folder: Path, own: Path) -> None:
    _write_depth(own)
    made, told = _make(folder, depth=own)
    assert made == MadeViews(0, 0, 2, 0, 0, ())
    assert told["run/a.mp4"].endswith("say which values 0 and 255 stand for: --depth-range NEAR FAR")
    assert _make_depth(folder, own, 1000, 2000) == MadeViews(2, 0, 0, 0, 0, ())


def test_all_views_are_those_with_an_estimator_and_ones_own() -> None:
    assert made_views_named([]) == made_views_named(["all"]) == ("flow", "pose", "mask")
    assert made_views_named([], own=("depth", "pose")) == ("flow", "pose", "mask", "depth")
    assert made_views_named(["depth", "kphm"], own=("depth",)) == ("pose", "depth")
