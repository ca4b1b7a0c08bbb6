"""Frames of one size."""

import numpy as np

from cocon.video.decoding.one_size import of_one_size


def test_frames_get_the_size_of_the_first_and_keep_their_times_and_what_they_show() -> None:
    shapes = [(48, 64), (48, 64), (64, 48), (96, 128)]
    frames = [(index / 10, np.full((*shape, 3), 60 * index, np.uint8)) for index, shape in enumerate(shapes)]
    given = list(of_one_size(iter(frames)))
    assert [seconds for seconds, _ in given] == [0.0, 0.1, 0.2, 0.3]
    assert [pixels.shape for _, pixels in given] == [(48, 64, 3)] * 4
    assert [int(pixels.mean()) for _, pixels in given] == [0, 60, 120, 180]
    assert given[1][1] is frames[1][1]


def test_no_frames_are_none() -> None:
    assert list(of_one_size(iter(()))) == []
