"""The multi-view store: what is written comes back, what is damaged says so."""

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import MissingViewError, StorageError
from cocon.video.estimation.flow import flow_from_bytes, flow_to_bytes
from cocon.video.estimation.pose import draw_heatmaps
from cocon.video.store.files import read_view, view_path, write_frames, write_keypoints
from tests.disks import full_disk

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (6, 12, 20, 1), dtype=np.uint8)
TIMES = np.cumsum(RNG.uniform(0.02, 0.09, 6))


def _write_mask(root: Path) -> Path:
    write_frames(root, "mask", "walk", FRAMES, TIMES, attributes={"threshold": 0.5, "made_by": "hand"})
    return view_path(root, "mask", "walk")


def test_frames_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = _write_mask(tmp_path)
    assert path == tmp_path / "views" / "mask" / "walk.npz"
    stored = read_view(tmp_path, "mask", "walk")
    assert np.array_equal(stored.timestamps, TIMES)
    assert (stored.view, stored.height, stored.width) == ("mask", 12, 20)
    assert stored.attributes == {"threshold": 0.5, "made_by": "hand"}
    assert stored.keypoints is None
    assert np.array_equal(stored.frames([4, 0, 4], height=12, width=20), FRAMES[[4, 0, 4]])


def test_frames_are_resized_when_they_are_taken(tmp_path: Path) -> None:
    _write_mask(tmp_path)
    smaller = read_view(tmp_path, "mask", "walk").frames([1], height=6, width=10)
    assert smaller.shape == (1, 6, 10, 1)
    assert np.abs(smaller[0] - FRAMES[1].reshape(6, 2, 10, 2, 1).mean(axis=(1, 3))).max() <= 0.5


@pytest.mark.parametrize("scale", [0.5, 2])
def test_flow_vectors_scale_with_the_picture(tmp_path: Path, scale: float) -> None:
    flow = np.zeros((2, 12, 20, 2), np.float32)
    flow[..., 0], flow[..., 1] = 6.0, -4.0
    write_frames(tmp_path, "flow", "walk", flow_to_bytes(flow), np.array([0.0, 0.1]), attributes={})
    stored = read_view(tmp_path, "flow", "walk")
    taken = flow_from_bytes(stored.frames([0, 1], height=int(12 * scale), width=int(20 * scale)))
    assert taken.shape == (2, 12 * scale, 20 * scale, 2)
    assert np.allclose(taken, [6 * scale, -4 * scale], atol=0.2)


def test_other_views_keep_their_values_when_resized(tmp_path: Path) -> None:
    _write_mask(tmp_path)
    write_frames(tmp_path, "mask", "grey", np.full((1, 12, 20, 1), 200, np.uint8), np.zeros(1), attributes={})
    assert set(read_view(tmp_path, "mask", "grey").frames([0], height=6, width=10).ravel()) == {200}


def test_a_pose_is_drawn_at_the_right_place_at_any_size(tmp_path: Path) -> None:
    keypoints = np.zeros((3, 1, 17, 3), np.float16)
    keypoints[1, 0, 9] = 160.0, 60.0, 1.0  # left wrist, in pixels of a 240 × 320 frame
    write_keypoints(tmp_path, "walk", keypoints, np.arange(3) / 30, height=240, width=320)
    stored = read_view(tmp_path, "pose", "walk")
    assert stored.pixels is None
    maps = stored.frames([0, 1], height=48, width=64)
    assert maps.shape == (2, 48, 64, 17)
    assert not maps[0].any()
    rows, columns = np.nonzero(maps[1, :, :, 9])
    weights = maps[1, rows, columns, 9]
    assert np.average(rows + 0.5, weights=weights) == pytest.approx(60 / 5, abs=0.05)
    assert np.average(columns + 0.5, weights=weights) == pytest.approx(160 / 5, abs=0.05)
    expected = draw_heatmaps(keypoints[1:2].astype(np.float32) * [0.2, 0.2, 1], height=48, width=64)
    assert np.array_equal(maps[1:], expected)


def test_a_view_that_is_not_there_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(MissingViewError, match=r"view 'pose' of video 'walk' is not stored at '.*pose/walk\.npz'"):
        read_view(tmp_path, "pose", "walk")


def test_no_flipped_byte_goes_unnoticed(tmp_path: Path) -> None:
    path = _write_mask(tmp_path)
    good = path.read_bytes()
    num_refused = 0
    for position in range(0, len(good), 3):
        damaged = bytearray(good)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            stored = read_view(tmp_path, "mask", "walk")
        except MissingViewError as error:
            assert "is damaged" in str(error)  # many positions, some of them harmless
            assert "delete it and make the view again" in str(error)
            num_refused += 1
            continue
        assert np.array_equal(stored.frames(range(6), height=12, width=20), FRAMES)
        assert np.array_equal(stored.timestamps, TIMES)
    assert num_refused > len(good) / 3 / 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_damaged(tmp_path: Path, share: float) -> None:
    path = _write_mask(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[: int(len(good) * share)])
    with pytest.raises(MissingViewError, match="make the view again"):
        read_view(tmp_path, "mask", "walk")


@pytest.mark.parametrize(
    "meta", ["[]", "5", "not json", '{"view": "mask"}', '{"height": 2, "width": 2}'], ids=lambda text: str(text)[:8]
)
def test_a_file_without_its_facts_is_damaged(tmp_path: Path, meta: str) -> None:
    path = _write_mask(tmp_path)
    np.savez(path, meta=np.array(meta), frames=FRAMES, timestamps=TIMES)
    with pytest.raises(MissingViewError, match="is damaged"):
        read_view(tmp_path, "mask", "walk")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = _write_mask(tmp_path)
    meta = json.dumps({"view": "mask", "height": 1, "width": 1, "attributes": {}})
    np.savez(path, meta=np.array(meta), frames=np.array([{"a": 1}], dtype=object), timestamps=TIMES)
    with pytest.raises(MissingViewError, match="is damaged"):
        read_view(tmp_path, "mask", "walk")


def test_the_file_holds_plain_arrays_only(tmp_path: Path) -> None:
    with zipfile.ZipFile(_write_mask(tmp_path)) as archive:
        assert set(archive.namelist()) == {"meta.npy", "frames.npy", "timestamps.npy"}
        for name in archive.namelist():
            np.load(io.BytesIO(archive.read(name)), allow_pickle=False)


def test_a_full_disk_leaves_the_old_file_whole_and_is_named(tmp_path: Path) -> None:
    path = _write_mask(tmp_path)
    good = path.read_bytes()
    with full_disk():
        for video_id in ("walk", "run"):
            message = re.escape(f"'{view_path(tmp_path, 'mask', video_id)}' cannot be written: File too large")
            with pytest.raises(StorageError, match=message):
                write_frames(tmp_path, "mask", video_id, FRAMES, TIMES, attributes={})
    assert path.read_bytes() == good
    assert [entry.name for entry in path.parent.iterdir()] == ["walk.npz"]


def test_a_finished_write_leaves_nothing_else_behind(tmp_path: Path) -> None:
    path = _write_mask(tmp_path)
    _write_mask(tmp_path)
    assert [entry.name for entry in path.parent.iterdir()] == ["walk.npz"]


def test_times_must_be_one_per_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one per frame"):
        write_frames(tmp_path, "mask", "walk", FRAMES, TIMES[:-1], attributes={})
    with pytest.raises(ValueError, match="one per frame"):
        write_keypoints(tmp_path, "walk", np.zeros((6, 1, 17, 3), np.float16), TIMES[:-1], height=4, width=4)


@pytest.mark.parametrize("shape", [(6, 17, 3), (6, 1, 20, 3), (6, 1, 17, 2)])
def test_key_points_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[F, P, 17, 3\]"):
        write_keypoints(tmp_path, "walk", np.zeros(shape, np.float16), TIMES, height=4, width=4)
