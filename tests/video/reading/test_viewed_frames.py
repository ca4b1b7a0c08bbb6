"""Views of a stream of frames: what each is made from, and that nothing is held that no view needs."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from cocon.video.decoding.frames import Frame
from cocon.video.decoding.picture import Picture
from cocon.video.estimation.flow import FlowSpec, estimate_flow
from cocon.video.geometry import resize_short_side
from cocon.video.reading.viewed_frames import viewed_frames

FLOW = FlowSpec(0.2, size_px=24)


def _frames(count: int = 8) -> list[Frame]:
    rng = np.random.default_rng(0)
    pattern = rng.integers(0, 256, (48, 96, 3)).astype(np.uint8)
    return [(index / 10, np.ascontiguousarray(pattern[:, index : index + 64])) for index in range(count)]


def test_flow_is_measured_to_the_frame_one_interval_later_and_to_the_last_one_near_the_end() -> None:
    frames = _frames()
    viewed = list(viewed_frames(iter(frames), ("rgb", "flow"), FLOW))
    assert [frame.seconds for frame in viewed] == [seconds for seconds, _ in frames]
    small = [resize_short_side(pixels, 24) for _, pixels in frames]
    for index, frame in enumerate(viewed):
        flow = frame.view("flow")
        assert np.array_equal(flow.pixels, estimate_flow(small[index], small[min(index + 2, 7)], FLOW)[None])
        assert (flow.height, flow.width) == (24, 32)
        assert np.array_equal(frame.view("rgb").pixels, frames[index][1][None])


def test_key_points_and_mask_are_of_one_estimate(walking_person: list[np.ndarray]) -> None:
    frames = [(index / 30, pixels) for index, pixels in enumerate(walking_person[:3])]
    for frame in viewed_frames(iter(frames), ("pose", "mask"), FLOW):
        pose, mask = frame.view("pose"), frame.view("mask")
        assert frame.people is not None
        assert frame.people.is_found
        assert np.array_equal(pose.keypoints, frame.people.keypoints[None])
        assert np.array_equal(mask.pixels, frame.people.mask[None])
        assert frame.picture is frame.reduced is None


@pytest.mark.parametrize(("views", "num_held"), [(("flow",), 2), (("rgb", "flow"), 6)])
def test_full_pictures_are_held_only_where_they_are_asked_for(views: tuple[str, ...], num_held: int) -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def pictures() -> Iterator[Frame]:
        for index in range(40):
            pixels = np.full((48, 64, 3), index, np.uint8)
            made.append(weakref.ref(pixels))
            yield index / 10, pixels
            del pixels

    for _ in viewed_frames(pictures(), views, FLOW):
        assert sum(picture() is not None for picture in made) <= num_held
    assert len(made) == 40


def test_a_view_of_the_users_own_cannot_be_made() -> None:
    (frame, *_) = viewed_frames(iter(_frames()), ("rgb",), FLOW)
    with pytest.raises(ValueError, match="view 'depth' cannot be made"):
        frame.view("depth")


def test_of_frames_close_together_few_are_held_in_full_until_their_flow_is_known() -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def pictures() -> Iterator[tuple[float, Picture]]:
        for index in range(100):
            pixels = np.full((48, 64, 3), index, np.uint8)
            held.append(weakref.ref(pixels))
            yield index / 1000, Picture(lambda pixels=pixels: pixels)
            del pixels
            assert sum(picture() is not None for picture in held) <= 20

    frames = list(viewed_frames(pictures(), ("flow",), FLOW))  # all of it within one interval
    assert [int(frame.reduced.pixels[0, 0, 0]) for frame in frames if frame.reduced] == list(range(100))
