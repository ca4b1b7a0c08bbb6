"""Flow as people have it: arrays, and pictures in the two usual layouts."""

import io
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, TooLargeError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import flow_from_bytes, flow_to_bytes
from cocon.video.own_views.flow import user_flow
from cocon.video.own_views.source import OwnSource, OwnVideo

HEIGHT, WIDTH = 24, 32
# Fields whose vectors say which field they are.
FIELDS = np.stack([np.full((HEIGHT, WIDTH, 2), (index, -2.0 * index), np.float32) for index in range(4)])


def _flow(path: Path, num_frames: int, size_px: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    frames: NDArray[np.uint8] = user_flow(OwnSource(path), OwnVideo(num_frames, height, width, size_px)).rows
    return frames


def _refused(path: Path, num_frames: int = 4) -> str:
    with pytest.raises(MissingViewError) as caught:
        _flow(path, num_frames, 16)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def _save(path: Path, array: NDArray[Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.stem == "packed":
        np.savez_compressed(path, anything=array)
    else:
        np.savez(path, array)
    return path


@pytest.mark.parametrize("name", ["walk.npy", "walk.npz", "packed.npz"])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_arrays_give_their_displacements(name: str, dtype: str, tmp_path: Path) -> None:
    path = _save(tmp_path / name, FIELDS.astype(dtype))
    assert np.array_equal(_flow(path, 4, HEIGHT), flow_to_bytes(FIELDS))


@pytest.mark.parametrize("size_px", [16, 24, 48])
def test_vectors_keep_their_share_of_the_picture(size_px: int, tmp_path: Path) -> None:
    path = _save(tmp_path / "walk.npy", FIELDS)
    flow = _flow(path, 4, size_px)
    scale = size_px / HEIGHT
    assert flow.shape == (4, size_px, round(WIDTH * scale), 2)
    assert np.allclose(flow_from_bytes(flow).mean(axis=(1, 2)), FIELDS[:, 0, 0] * scale, atol=0.15)


def test_what_is_fast_in_a_large_picture_is_not_cut_in_a_small_one(tmp_path: Path) -> None:
    fields = np.full((1, 160, 320, 2), (90.0, -60.0), np.float32)
    flow = _flow(_save(tmp_path / "walk.npy", fields), 1, 32, 160, 320)
    assert np.allclose(flow_from_bytes(flow), [18.0, -12.0], atol=0.1)


def test_the_last_frame_needs_no_field_of_its_own(tmp_path: Path) -> None:
    path = _save(tmp_path / "walk.npy", FIELDS)
    flow = _flow(path, 5, HEIGHT)
    assert np.array_equal(flow, flow_to_bytes(FIELDS[[0, 1, 2, 3, 3]]))


def _write_parts(folder: Path, names: tuple[str, str], values: NDArray[np.uint8], first: int, ending: str) -> Path:
    """One flat x and y picture per row of `values`; names are templates of a number."""
    for number, row in enumerate(values, start=first):
        for name, value in zip(names, row, strict=True):
            path = folder / f"{name.format(number)}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(f".{ending}", np.full((HEIGHT, WIDTH), value, np.uint8))[1].tobytes())
    return folder


LAYOUTS = {
    "dense_flow": ("flow_x_{:05d}", "flow_y_{:05d}"),
    "short numbers": ("flow_x_{}", "flow_y_{}"),
    "u and v": ("u/frame{:06d}", "v/frame{:06d}"),
}
VALUES = np.array([[0, 255], [64, 191], [127, 128]] + [[20 * number, 200] for number in range(10)], np.uint8)


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("first", "ending"), [(0, "jpg"), (1, "png"), (1, "jpg")])
def test_pictures_are_minus_20_to_20_pixels(names: tuple[str, str], first: int, ending: str, tmp_path: Path) -> None:
    folder = _write_parts(tmp_path / "walk", names, VALUES, first, ending)
    flow = _flow(folder, len(VALUES), HEIGHT)
    assert flow.shape == (len(VALUES), HEIGHT, WIDTH, 2)
    expected = VALUES.astype(np.float32) * 40 / 255 - 20
    assert np.allclose(flow_from_bytes(flow).mean(axis=(1, 2)), expected, atol=0.25)


def test_a_scene_at_rest_is_at_rest(tmp_path: Path) -> None:
    folder = _write_parts(tmp_path / "walk", LAYOUTS["dense_flow"], np.full((2, 2), 128, np.uint8), 1, "png")
    assert set(_flow(folder, 3, 16).ravel()) == {128}


@pytest.mark.parametrize("num_frames", [3, 6])
def test_another_number_of_fields_is_refused_with_both_numbers(num_frames: int, tmp_path: Path) -> None:
    folder = _write_parts(tmp_path / "walk", LAYOUTS["u and v"], VALUES[:4], 1, "png")
    for path in (_save(tmp_path / "walk.npy", FIELDS), folder):
        assert f"has 4 fields, the video {num_frames} frames" in _refused(path, num_frames)


ARRAYS: dict[str, tuple[NDArray[Any], str]] = {
    "whole numbers": (FIELDS.astype(np.int16), "is int16 [4, 24, 32, 2], not floating point"),
    "complex": (FIELDS.astype(complex), "is complex128"),
    "three parts": (np.zeros((4, 24, 32, 3), np.float32), "[4, 24, 32, 3], not floating point [F, H, W, 2]"),
    "parts first": (np.zeros((4, 2, 24, 32), np.float32), "[4, 2, 24, 32]"),
    "one field": (FIELDS[0], "[24, 32, 2]"),
    "no height": (np.zeros((4, 0, 32, 2), np.float32), "[4, 0, 32, 2]"),
    "no fields": (FIELDS[:0], "has 0 fields, the video 4 frames"),
    "a pickle": (np.array([{"a": 1}], dtype=object), "is object [1]"),
    "Fortran order": (np.asfortranarray(FIELDS), "Fortran order"),
    "NaN": (np.where(FIELDS == 3, np.nan, FIELDS), "field 3 has values that are not finite"),
    "more than float32 holds": (np.full((4, 24, 32, 2), 1e300), "field 0 has values that are not finite"),
}


@pytest.mark.parametrize("name", ["walk.npy", "walk.npz"])
@pytest.mark.parametrize(("array", "named"), ARRAYS.values(), ids=ARRAYS)
def test_an_array_that_is_no_flow_is_refused(array: NDArray[Any], named: str, name: str, tmp_path: Path) -> None:
    assert named in _refused(_save(tmp_path / name, array))


@pytest.mark.parametrize("name", ["walk.npy", "packed.npz"])
def test_a_damaged_array_is_refused_wherever_it_was_cut(name: str, tmp_path: Path) -> None:
    path = _save(tmp_path / name, np.random.default_rng(0).normal(size=(4, 24, 32, 2)).astype(np.float32))
    good = path.read_bytes()
    for num_bytes in (0, 5, 9, 40, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:num_bytes])
        assert "flow '" in _refused(path)
    for position in range(120):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0xFF]) + good[position + 1 :])
        try:
            _flow(path, 4, 16)
        except MissingViewError as error:
            assert str(path) in str(error)  # some bytes, as those of a date, do not matter


def test_only_one_array_may_be_in_an_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "walk.npz", x=FIELDS, y=FIELDS)
    assert "it must hold one array, not 2" in _refused(tmp_path / "walk.npz")


def test_a_field_larger_than_any_picture_is_refused_before_it_is_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(  # type: ignore[no-untyped-call]  # NumPy has no types for it
        stream, {"descr": "<f4", "fortran_order": False, "shape": (4, 10**6, 10**6, 2)}
    )
    with zipfile.ZipFile(tmp_path / "walk.npz", "w") as archive:
        archive.writestr("flow.npy", stream.getvalue())
    with pytest.raises(TooLargeError, match="pixels per field"):
        _flow(tmp_path / "walk.npz", 4, 16)


def test_pictures_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    folder = _write_parts(tmp_path / "walk", LAYOUTS["dense_flow"], VALUES[:4], 1, "png")
    small = cv2.imencode(".png", np.zeros((6, 8), np.uint8))[1].tobytes()
    (folder / "flow_y_00001.png").write_bytes(small)
    assert "has another size than" in _refused(folder)
    (folder / "flow_x_00001.png").write_bytes(small)
    assert "field 1 has another size than the first" in _refused(folder)
    (folder / "flow_y_00003.png").unlink()
    assert "4 x and 3 y pictures do not pair by number" in _refused(folder)
    (folder / "flow_x_00003.png").unlink()
    assert "a picture is missing between number 2 and 4" in _refused(folder)


def test_a_folder_without_flow_is_refused(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "frame1.jpg").touch()
    assert "has neither flow_x_" in _refused(tmp_path / "walk")
    (tmp_path / "walk" / "flow_x_1.jpg").touch()
    (tmp_path / "walk" / "flow_y_1.jpg").touch()
    assert "flow_x_1.jpg' cannot be decoded" in _refused(tmp_path / "walk", 1)


def test_fields_of_another_shape_than_the_video_are_refused_and_rounded_ones_are_not(tmp_path: Path) -> None:
    path = _save(tmp_path / "walk.npy", FIELDS)
    with pytest.raises(MissingViewError, match=r"has fields that are 32 × 24, the video is 48 × 64: another shape"):
        _flow(path, 4, 16, 64, 48)
    assert len(_flow(path, 4, 16, 720, 990)) == 4


def test_the_users_limits_hold_for_fields_and_every_field_is_a_sign_of_life(tmp_path: Path) -> None:
    path = _save(tmp_path / "walk.npy", FIELDS)
    with pytest.raises(TooLargeError, match="--limit max_pixels="):
        user_flow(OwnSource(path), OwnVideo(4, HEIGHT, WIDTH, 16, MediaLimits(max_pixels=700)))
    signs: list[None] = []
    user_flow(OwnSource(path), OwnVideo(4, HEIGHT, WIDTH, 16, on_frame=lambda: signs.append(None)))
    assert len(signs) == 4
