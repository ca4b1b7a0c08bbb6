"""Frames of real files: order, times, sizes."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.decoding.frames import of_one_size, read_frames

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[Pixels]]
NumberOf = Callable[[Pixels], int]

_TICK = Fraction(1, 25)
CONTAINERS = {
    "mp4": {},
    "mkv": {"container": "matroska"},
    "webm": {"codec": "libvpx-vp9", "container": "webm", "clock": _TICK},
    "gif": {"codec": "gif", "container": "gif", "pixel_format": "rgb8", "clock": _TICK},
    "mpg": {"codec": "mpeg2video", "container": "vob", "clock": _TICK},
    "ts": {"container": "mpegts", "clock": _TICK},
}


@pytest.mark.parametrize("ending", CONTAINERS)
def test_every_container_gives_its_frames_in_order_with_their_times(
    ending: str, tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    times = np.arange(50) / 25
    path = write_video(tmp_path / f"video.{ending}", numbered(50), times, **CONTAINERS[ending])
    frames = list(read_frames(path))
    assert [number_of(pixels) for _, pixels in frames] == list(range(50))
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=1e-5)
    assert {(pixels.shape, pixels.dtype) for _, pixels in frames} == {((48, 64, 3), np.dtype(np.uint8))}


@pytest.mark.parametrize("start", [0.0, 2.5])
def test_times_of_a_variable_rate_count_from_the_first_frame(
    start: float, tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(10, 90, 40)) / 1000
    path = write_video(tmp_path / "video.mkv", numbered(40), start + times, container="matroska")
    frames = list(read_frames(path))
    assert [number_of(pixels) for _, pixels in frames] == list(range(40))
    assert [seconds for seconds, _ in frames] == pytest.approx(times - times[0], abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(128, 96), (48, 64), (66, 88), (90, 160)])
def test_narrow_videos_keep_their_three_colours(
    height: int, width: int, tmp_path: Path, write_video: WriteVideo
) -> None:
    left_red = np.zeros((height, width, 3), np.uint8)
    left_red[:, : width // 2, 0] = 255
    path = write_video(tmp_path / "video.mp4", [left_red] * 3, [0.0, 0.04, 0.08])
    frames = [pixels for _, pixels in read_frames(path)]
    assert len(frames) == 3
    for pixels in frames:
        assert pixels.shape == (height, width, 3)
        assert np.abs(pixels[:, : width // 2 - 4].mean(axis=(0, 1)) - [255, 0, 0]).max() < 12
        assert pixels[:, width // 2 + 4 :].max() < 20


def test_a_whole_video_lost_nothing(tmp_path: Path, write_video: WriteVideo, numbered: Numbered) -> None:
    stream = read_frames(write_video(tmp_path / "video.mp4", numbered(50), np.arange(50) / 25))
    assert (len(list(stream)), stream.num_frames) == (50, 50)
    assert stream.duration_seconds == pytest.approx(2.0)
    assert stream.lost == ""


def test_containers_without_presentation_times_give_all_frames_in_order(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    # H.264 with reordered frames in AVI: the demuxer makes presentation times up, and they go back and forth.
    path = write_video(tmp_path / "video.avi", numbered(50), np.arange(50) / 25, clock=_TICK)
    frames = list(read_frames(path))
    assert [number_of(pixels) for _, pixels in frames] == list(range(50))
    assert [seconds for seconds, _ in frames] == pytest.approx(np.arange(50) / 25)


def test_frames_are_decoded_only_as_they_are_taken(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    frames: Iterator[tuple[float, Pixels]] = read_frames(
        write_video(tmp_path / "video.mp4", numbered(50), np.arange(50) / 25)
    )
    assert number_of(next(frames)[1]) == 0
    assert number_of(next(frames)[1]) == 1


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
