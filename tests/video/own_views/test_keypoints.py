"""Key points as estimators and annotation tools write them, and what is said about wrong ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.own_views.keypoints import user_keypoints
from cocon.video.own_views.source import OwnSource, OwnVideo

HEIGHT, WIDTH = 48, 64


def _flat(x: float = 10.0, y: float = 20.0, score: float = 0.75) -> list[float]:
    return [value for _ in range(17) for value in (x, y, score)]


def _result(image_id: object, x: float = 10.0, **more: object) -> dict[str, object]:
    return {"image_id": image_id, "category_id": 1, "keypoints": _flat(x), "score": 0.125} | more


def _write(folder: Path, content: object) -> Path:
    path = folder / "walk.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _read(path: Path, num_frames: int = 4) -> tuple[NDArray[np.float16], int, int]:
    own = user_keypoints(OwnSource(path), OwnVideo(num_frames, HEIGHT, WIDTH))
    return own.rows, own.height, own.width


def _problem(path: Path, num_frames: int = 4) -> str:
    with pytest.raises(MissingViewError) as caught:
        _read(path, num_frames)
    message = str(caught.value)
    assert message.startswith(f"key points '{path}': ")
    assert "\n" not in message
    return message


def _annotation_file(names: list[str], **size: object) -> dict[str, Any]:
    images = [{"id": 70 + index, "file_name": name} | size for index, name in enumerate(names)]
    return {"images": images, "annotations": []}


def test_results_are_placed_by_frame_and_person(tmp_path: Path) -> None:
    path = _write(tmp_path, [_result(2, 5.0), _result(0, 1.0), _result(2, 6.0), _result(2, 7.0)])
    keypoints, height, width = _read(path)
    assert (keypoints.shape, keypoints.dtype, height, width) == ((4, 3, 17, 3), np.float16, HEIGHT, WIDTH)
    assert keypoints[2, :, :, 0].mean(axis=1).tolist() == [5.0, 6.0, 7.0]
    assert keypoints[0, :, 0].tolist() == [[1.0, 20.0, 0.75], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert not keypoints[[1, 3]].any()


def test_a_detectors_score_does_not_change_the_points(tmp_path: Path) -> None:
    for score in (0.0, 0.125, None):
        assert set(_read(_write(tmp_path, [_result(0, score=score)]))[0][0, 0, :, 2]) == {0.75}


def test_a_frame_may_be_named_by_its_file(tmp_path: Path) -> None:
    names = ["000000.jpg", "video_9_frame-00003.png", "2"]
    keypoints, _, _ = _read(_write(tmp_path, [_result(name, index + 1.0) for index, name in enumerate(names)]))
    assert keypoints[:, 0, 0, 0].tolist() == [1.0, 0.0, 3.0, 2.0]


def test_an_empty_list_is_a_video_without_people(tmp_path: Path) -> None:
    keypoints, _, _ = _read(_write(tmp_path, []))
    assert keypoints.shape == (4, 1, 17, 3)
    assert not keypoints.any()


def test_annotated_images_are_frames_in_the_order_of_their_names(tmp_path: Path) -> None:
    content = _annotation_file(["f10.jpg", "f9.jpg", "f1.jpg", "f2.jpg"], height=480, width=640)
    content["annotations"] = [{"image_id": 70, "keypoints": _flat(3.0)}, {"image_id": 72, "keypoints": _flat(1.0)}]
    keypoints, height, width = _read(_write(tmp_path, content))
    assert keypoints[:, 0, 0, 0].tolist() == [1.0, 0.0, 0.0, 3.0]
    assert (height, width) == (480, 640)


def test_annotated_images_without_names_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    content = {
        "images": [{"id": number} for number in (10, 9, 101, 1)],
        "annotations": [{"image_id": number, "keypoints": _flat(number)} for number in (1, 9, 10, 101)],
    }
    keypoints, height, width = _read(_write(tmp_path, content))
    assert keypoints[:, 0, 0, 0].tolist() == [1.0, 9.0, 10.0, 101.0]
    assert (height, width) == (HEIGHT, WIDTH)


def test_visibility_flags_become_scores(tmp_path: Path) -> None:
    points = _flat(score=2)
    points[2::3] = [0, 1, 2] + [2] * 14
    hidden = _flat(score=1)
    keypoints, _, _ = _read(_write(tmp_path, [_result(0, keypoints=points), _result(1, keypoints=hidden)]))
    assert keypoints[0, 0, :4, 2].tolist() == [0.0, 0.5, 1.0, 1.0]
    assert set(keypoints[1, 0, :, 2]) == {0.5}


@pytest.mark.parametrize(("score", "expected"), [(1, 1.0), (0.25, 0.25), (1.0625, 1.0), (-1, 0.0)])
def test_probabilities_stay_and_are_held_to_their_range(score: float, expected: float, tmp_path: Path) -> None:
    points = _flat(score=0.5)
    points[2] = score
    assert _read(_write(tmp_path, [_result(0, keypoints=points)]))[0][0, 0, 0, 2] == expected


def test_a_file_of_ones_says_that_all_points_are_sure(tmp_path: Path) -> None:
    assert set(_read(_write(tmp_path, [_result(0, keypoints=_flat(score=1))]))[0][0, 0, :, 2]) == {1.0}


def test_people_without_a_point_take_no_row(tmp_path: Path) -> None:
    entries = [_result(1, keypoints=[0] * 51), _result(1, 9.0), _result(0, keypoints=_flat(score=0))]
    keypoints, _, _ = _read(_write(tmp_path, entries))
    assert keypoints.shape[1] == 1
    assert keypoints[1, 0, 0, 0] == 9.0


def test_a_place_far_outside_stays_a_number(tmp_path: Path) -> None:
    keypoints, _, _ = _read(_write(tmp_path, [_result(0, 1e300), _result(1, -(10**40))]))
    assert np.isfinite(keypoints).all()


TWO_SIZES = _annotation_file(["1", "2", "3", "4"], height=48, width=64)
TWO_SIZES["images"][2]["height"] = 50
SAME_IDS = {"images": [{"id": 5}] * 4, "annotations": []}
WRONG = {
    "no json": ("{", "it is no JSON"),
    "not text": ("\ud800".encode("utf-16", "surrogatepass").decode("latin-1"), "the text line 1 has a zero byte"),
    "deep": ("[" * 100_000, "it is no JSON"),
    "a number": (5, "a list of results, or an object with 'images' and 'annotations', is needed"),
    "an empty object": ({}, "'images' must be a list"),
    "no annotations": ({"images": [{"id": index} for index in range(4)]}, "'annotations' must be a list"),
    "a text among results": (["walk"], '[0]: "walk" must be an object'),
    "no frame": ([_result(0), _result(None)], "[1]: image_id null must be a frame number"),
    "half a frame": ([_result(0.5)], "[0]: image_id 0.5 must be a frame number"),
    "true": ([_result(True)], "[0]: image_id true must be a frame number"),
    "a name without a number": ([_result("walk.jpg")], '[0]: image_id "walk.jpg" must be a frame number'),
    "a frame too late": ([_result(4)], "[0]: image_id 4 is no frame of the video; they are 0 to 3"),
    "a frame too early": ([_result(-1)], "[0]: image_id -1 is no frame"),
    "50 values": ([_result(0, keypoints=[1.0] * 50)], "[0]: keypoints (50 values) must be 51 numbers"),
    "no values": ([_result(0, keypoints=None)], "[0]: keypoints (null) must be 51 numbers"),
    "text values": ([_result(0, keypoints=["1"] * 51)], "[0]: keypoints must be finite numbers"),
    "nested values": ([_result(0, keypoints=[[1]] * 51)], "[0]: keypoints must be finite numbers"),
    "NaN": ([_result(0), _result(1, float("nan"))], "[1]: keypoints must be finite numbers"),
    "infinity": ([_result(0, float("inf"))], "[0]: keypoints must be finite numbers"),
    "a number without end": ([_result(0, 10**400)], "[0]: keypoints must be finite numbers"),
    "percent": ([_result(0, keypoints=_flat(score=87))], "[0]: score 87 must be from 0 to 1"),
    "too many people": ([_result(1)] * 101, "[100]: frame 1 has more than 100 people"),
    "an image too many": (_annotation_file(["1", "2", "3", "4", "5"]), "5 images, the video 4 frames"),
    "an image too few": (_annotation_file(["1", "2", "3"]), "3 images, the video 4 frames"),
    "two sizes": (TWO_SIZES, "2 different sizes"),
    "another shape": (_annotation_file(["1", "2", "3", "4"], height=64, width=48), "48 × 64, the video is 64 × 48"),
    "one id twice": (SAME_IDS, "two images have the same id"),
    "no id": ({"images": [{}] * 4, "annotations": []}, "images[0]: id null must be"),
    "a list as id": ({"images": [{"id": []}] * 4, "annotations": []}, "images[0]: id [] must be"),
    "an unknown image": (
        _annotation_file(["1", "2", "3", "4"]) | {"annotations": [{"image_id": 7, "keypoints": _flat()}]},
        "annotations[0]: image_id 7 must be the id of an image",
    ),
    "a list as annotation": (
        _annotation_file(["1", "2", "3", "4"]) | {"annotations": [[]]},
        "annotations[0]: image_id",
    ),
}


@pytest.mark.parametrize(("content", "named"), WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_fit_is_refused_and_the_place_named(content: object, named: str, tmp_path: Path) -> None:
    assert named in _problem(_write(tmp_path, content))


def test_a_file_that_is_missing_or_too_large_is_not_read(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in _problem(tmp_path / "none.json")
    huge = tmp_path / "huge.json"
    with huge.open("wb") as stream:
        stream.truncate((256 << 20) + 1)
    assert "268,435,457 bytes are more than" in _problem(huge)
