"""Stored views are used only if they are whole, of this video, and measure what the model wants."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError
from cocon.video.estimation.flow import FlowSpec
from cocon.video.store.files import (
    find_view,
    is_sound,
    read_view,
    stored_attributes,
    view_path,
    write_frames,
    write_keypoints,
)

TIMES = np.arange(4) / 30
FLOW = np.full((4, 20, 32, 2), 128, np.uint8)
POINTS = np.zeros((4, 2, 17, 3), np.float16)
MADE = {"content_sha256": "a" * 64}
WANTED = FlowSpec(1 / 15, size_px=20)


def _write_flow(root: Path, **attributes: float | str) -> Path:
    write_frames(root, "flow", "walk", FLOW, TIMES, attributes=attributes)
    return view_path(root, "flow", "walk")


def _problem(root: Path, view: str, flow: FlowSpec | None = None, content_sha256: str | None = None) -> str:
    with pytest.raises(MissingViewError) as caught:
        find_view(root, view, "walk", flow, content_sha256=content_sha256)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_nothing_stored_and_rgb_are_no_view_and_no_error(tmp_path: Path) -> None:
    write_frames(tmp_path, "rgb", "walk", np.zeros((4, 2, 2, 3), np.uint8), TIMES, attributes={})
    for view in ("rgb", "flow", "pose", "mask"):
        assert find_view(tmp_path, view, "walk", WANTED, content_sha256="a" * 64) is None


def test_a_flow_that_measures_what_is_wanted_is_found(tmp_path: Path) -> None:
    _write_flow(tmp_path, flow_interval_seconds=1 / 15)
    for flow in (WANTED, FlowSpec(0.0666667, "tvl1", 20), None):
        stored = find_view(tmp_path, "flow", "walk", flow)
        assert stored is not None
        assert stored.pixels is not None and np.array_equal(stored.pixels, FLOW)


@pytest.mark.parametrize(
    ("flow", "named"),
    [
        (FlowSpec(0.1, size_px=20), ["interval 0.0666666667 s, not 0.1 s", "--flow-interval-s 0.1 --flow-size-px 20"]),
        (FlowSpec(1 / 15), ["size 20 px, not 128 px", "--flow-interval-s 0.0666666667 --flow-size-px 128"]),
        (FlowSpec(0.1), ["interval 0.0666666667 s, not 0.1 s, size 20 px, not 128 px", "--overwrite"]),
    ],
)
def test_another_flow_is_refused_with_both_values_and_the_remedy(
    flow: FlowSpec, named: list[str], tmp_path: Path
) -> None:
    path = _write_flow(tmp_path, flow_interval_seconds=1 / 15)
    message = _problem(tmp_path, "flow", flow)
    for part in (str(path), f"cocon views make {tmp_path} --view flow", *named):
        assert part in message


@pytest.mark.parametrize("attributes", [{}, {"flow_interval_seconds": "1/15"}, {"flow_interval_seconds": np.nan}])
def test_a_flow_over_an_unknown_interval_is_refused(attributes: dict[str, float | str], tmp_path: Path) -> None:
    _write_flow(tmp_path, **attributes)
    assert "not 0.0666666667 s" in _problem(tmp_path, "flow", WANTED)
    assert find_view(tmp_path, "flow", "walk", None) is not None


def test_the_interval_matters_to_flow_alone(tmp_path: Path) -> None:
    write_keypoints(tmp_path, "walk", POINTS, TIMES, height=48, width=64)
    assert find_view(tmp_path, "pose", "walk", WANTED) is not None


def test_a_view_of_another_video_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "my data"
    write_keypoints(root, "walk", POINTS, TIMES, height=48, width=64, attributes=MADE)
    message = _problem(root, "pose", content_sha256="b" * 64)
    for part in ("another video", "'aaaaaaaaaaaa', not 'bbbbbbbbbbbb'", f"cocon views make '{root}'"):
        assert part in message
    for content in ("a" * 64, None):
        stored = find_view(root, "pose", "walk", None, content_sha256=content)
        assert stored is not None and stored.attributes == MADE


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (480, 642), None])
def test_a_view_of_the_shape_that_the_video_is_shown_in_is_found(shape: tuple[int, int] | None, tmp_path: Path) -> None:
    write_keypoints(tmp_path, "walk", POINTS, TIMES, height=48, width=64)
    assert find_view(tmp_path, "pose", "walk", None, shape=shape) is not None


def test_a_view_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_keypoints(tmp_path, "walk", POINTS, TIMES, height=48, width=64)  # before its pixels were made square
    with pytest.raises(
        MissingViewError, match=r"64 × 48, the video is shown as 85 × 48\); make it again: .*--overwrite"
    ):
        find_view(tmp_path, "pose", "walk", None, shape=(48, 85))


def test_a_view_that_does_not_say_what_it_was_made_from_is_accepted(tmp_path: Path) -> None:
    write_keypoints(tmp_path, "walk", POINTS, TIMES, height=48, width=64)
    assert find_view(tmp_path, "pose", "walk", None, content_sha256="b" * 64) is not None


def _save(root: Path, view: str, meta: dict[str, Any] | None = None, **arrays: NDArray[Any]) -> None:
    path = view_path(root, view, "walk")
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"view": view, "height": 20, "width": 32, "attributes": {"flow_interval_seconds": 1 / 15}} | (meta or {})
    np.savez(path, meta=np.array(json.dumps(facts)), **{"timestamps": TIMES} | arrays)


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "no frames": ("flow", {"frames": FLOW[:0], "timestamps": TIMES[:0]}),
    "grey frames": ("flow", {"frames": FLOW[..., 0]}),
    "three channels": ("flow", {"frames": np.zeros((4, 20, 32, 3), np.uint8)}),
    "two channels": ("mask", {"frames": FLOW}),
    "floats": ("flow", {"frames": FLOW.astype(np.float32)}),
    "empty pictures": ("flow", {"frames": FLOW[:, :0], "meta": {"height": 0}}),
    "another height": ("flow", {"frames": FLOW, "meta": {"height": 21}}),
    "a scalar": ("flow", {"frames": np.uint8(3)}),
    "nothing": ("flow", {}),
    "both": ("pose", {"frames": np.zeros((4, 20, 32, 17), np.uint8), "keypoints": POINTS}),
    "key points of a mask": ("mask", {"keypoints": POINTS}),
    "16 key points": ("pose", {"keypoints": POINTS[:, :, :16]}),
    "key points without scores": ("pose", {"keypoints": POINTS[..., :2]}),
    "key points of nobody": ("pose", {"keypoints": POINTS[:, 0]}),
    "whole key points": ("pose", {"keypoints": POINTS.astype(np.int64)}),
    "text": ("pose", {"keypoints": np.array(["walk"])}),
    "no height": ("pose", {"keypoints": POINTS, "meta": {"height": None}}),
    "height that is true": ("pose", {"keypoints": POINTS, "meta": {"height": True}}),
    "negative width": ("pose", {"keypoints": POINTS, "meta": {"width": -5}}),
    "attributes of a list": ("flow", {"frames": FLOW, "meta": {"attributes": [1]}}),
    "a time too few": ("flow", {"frames": FLOW, "timestamps": TIMES[:3]}),
    "times of a table": ("flow", {"frames": FLOW, "timestamps": TIMES[:, None]}),
    "equal times": ("flow", {"frames": FLOW, "timestamps": TIMES * 0}),
    "falling times": ("flow", {"frames": FLOW, "timestamps": -TIMES}),
    "no time": ("flow", {"frames": FLOW, "timestamps": TIMES + np.nan}),
    "endless": ("flow", {"frames": FLOW, "timestamps": np.array([0.0, 1.0, 2.0, np.inf])}),
    "complex times": ("flow", {"frames": FLOW, "timestamps": TIMES.astype(complex)}),
}


@pytest.mark.parametrize("view, arrays", WRONG.values(), ids=WRONG)
def test_a_file_that_is_no_such_view_is_damaged(view: str, arrays: dict[str, Any], tmp_path: Path) -> None:
    _save(tmp_path, view, **arrays)
    assert not is_sound(tmp_path, view, "walk")
    message = _problem(tmp_path, view, WANTED)
    assert "is damaged (" in message
    assert message.endswith(f"); delete it and make the view again: cocon views make {tmp_path}")


def test_the_right_arrays_are_found(tmp_path: Path) -> None:
    _save(tmp_path, "flow", frames=FLOW)
    _save(tmp_path, "pose", keypoints=POINTS[:, :0])
    for view in ("flow", "pose"):
        assert is_sound(tmp_path, view, "walk")
        stored = find_view(tmp_path, view, "walk", WANTED)
        assert stored is not None
        assert stored.frames([3], height=10, width=16).shape[:3] == (1, 10, 16)


def test_arrays_larger_than_any_memory_are_damaged(tmp_path: Path) -> None:
    _save(tmp_path, "flow", frames=FLOW)
    path = view_path(tmp_path, "flow", "walk")
    path.write_bytes(path.read_bytes().replace(b"(4, 20, 32, 2)", b"(4, 9**9, 9,2)"))
    assert "is damaged" in _problem(tmp_path, "flow")
    path.write_bytes(path.read_bytes().replace(b"(4, 9**9, 9,2)", b"(9999999999,4)"))
    assert "is damaged" in _problem(tmp_path, "flow")


def test_what_is_known_of_a_view_is_read_without_its_frames(tmp_path: Path) -> None:
    assert stored_attributes(tmp_path, "flow", "walk") is None
    attributes = {"flow_interval_seconds": 0.5, "content_sha256": "a" * 64}
    path = _write_flow(tmp_path, **attributes)
    assert stored_attributes(tmp_path, "flow", "walk") == attributes
    assert read_view(tmp_path, "flow", "walk").attributes == attributes
    good = path.read_bytes()
    for num_bytes in (0, 10, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:num_bytes])
        assert stored_attributes(tmp_path, "flow", "walk") is None
        assert not is_sound(tmp_path, "flow", "walk")
    middle = good.index(b"frames.npy") + 30
    path.write_bytes(good[:middle] + bytes(20) + good[middle + 20 :])
    assert stored_attributes(tmp_path, "flow", "walk") == attributes
    assert not is_sound(tmp_path, "flow", "walk")


@pytest.mark.parametrize("meta", ["[]", "5", "not json", "{}", '{"attributes": 3}'])
def test_a_view_without_facts_has_no_attributes(meta: str, tmp_path: Path) -> None:
    path = _write_flow(tmp_path)
    np.savez(path, meta=np.array(meta), frames=FLOW, timestamps=TIMES)
    assert stored_attributes(tmp_path, "flow", "walk") is None


def test_what_would_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    for frames in (FLOW[..., :1], FLOW.astype(np.float32)):
        with pytest.raises(ValueError, match=r"the view has uint8 \[F, 20, 32, 2\]"):
            write_frames(tmp_path, "flow", "walk", frames, TIMES, attributes={})
    with pytest.raises(ValueError, match="finite and increase"):
        write_frames(tmp_path, "flow", "walk", FLOW, TIMES[::-1], attributes={})
    assert not view_path(tmp_path, "flow", "walk").exists()


def test_flow_by_another_algorithm_is_refused_and_the_remedy_names_it(tmp_path: Path) -> None:
    attributes = {"flow_interval_seconds": 1 / 15, "flow_algorithm": "tvl1"}
    write_frames(tmp_path, "flow", "walk", FLOW, TIMES, attributes=attributes)
    message = _problem(tmp_path, "flow", FlowSpec(1 / 15, "farneback", size_px=20))
    assert "by tvl1, not farneback" in message
    assert "--flow-algorithm farneback" in message
    assert find_view(tmp_path, "flow", "walk", FlowSpec(1 / 15, "tvl1", size_px=20)) is not None
    write_frames(tmp_path, "flow", "walk", FLOW, TIMES, attributes=attributes | {"flow_algorithm": "user"})
    assert find_view(tmp_path, "flow", "walk", FlowSpec(1 / 15, "farneback", size_px=20)) is not None
