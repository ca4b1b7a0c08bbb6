"""Frames of real files: order, times, orientation, and what happens where a decoder gives up."""

import struct
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import decord
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
    # decord reports times that do not increase for program streams, and cannot find the end of the transport stream.
    "mpg": {"codec": "mpeg2video", "container": "vob", "clock": _TICK},
    "ts": {"container": "mpegts", "clock": _TICK},
}


@pytest.fixture
def decord_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """decord opens nothing."""

    def refuse(path: str, **_: object) -> None:
        raise decord.DECORDError(f"cannot open {path}")

    monkeypatch.setitem(sys.modules, "decord", _decord_with(refuse))


def _reader_that_breaks_after(num_frames: int) -> type:
    """A decord reader that opens a file and fails at a later frame."""

    class BreakingReader:
        def __init__(self, path: str, **options: int) -> None:
            self._reader, self._left = decord.VideoReader(path, **options), num_frames

        def __len__(self) -> int:
            return len(self._reader)

        def get_frame_timestamp(self, indices: range) -> NDArray[np.float32]:
            return self._reader.get_frame_timestamp(indices)

        def next(self) -> object:
            self._left -= 1
            if self._left < 0:
                raise decord.DECORDError("lost the stream")
            return self._reader.next()

    return BreakingReader


def _decord_with(reader: object) -> SimpleNamespace:
    return SimpleNamespace(logging=decord.logging, DECORDError=decord.DECORDError, VideoReader=reader)


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
@pytest.mark.parametrize("decoder", ["decord", "PyAV"])
def test_times_of_a_variable_rate_count_from_the_first_frame(
    start: float,
    decoder: str,
    tmp_path: Path,
    write_video: WriteVideo,
    numbered: Numbered,
    number_of: NumberOf,
    request: pytest.FixtureRequest,
) -> None:
    times = np.cumsum(np.random.default_rng(0).integers(10, 90, 40)) / 1000
    path = write_video(tmp_path / "video.mkv", numbered(40), start + times, container="matroska")
    if decoder == "PyAV":
        request.getfixturevalue("decord_refuses")
    frames = list(read_frames(path))
    assert [number_of(pixels) for _, pixels in frames] == list(range(40))
    assert [seconds for seconds, _ in frames] == pytest.approx(times - times[0], abs=1e-5)


@pytest.mark.parametrize("start", [0.0, 2.5])
@pytest.mark.parametrize("num_read", [0, 1, *range(8, 20), 30])
def test_pyav_goes_on_where_decord_broke_off_without_a_gap_or_a_repeat(
    start: float,
    num_read: int,
    tmp_path: Path,
    write_video: WriteVideo,
    numbered: Numbered,
    number_of: NumberOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = np.arange(30) / 25  # as float32 some come out earlier, some later
    path = write_video(tmp_path / "video.mkv", numbered(30), start + times, container="matroska")
    monkeypatch.setitem(sys.modules, "decord", _decord_with(_reader_that_breaks_after(num_read)))
    frames = list(read_frames(path))
    assert [number_of(pixels) for _, pixels in frames] == list(range(30))
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(128, 96), (48, 64), (66, 88), (90, 160)])
def test_narrow_videos_keep_their_three_colours(
    height: int, width: int, tmp_path: Path, write_video: WriteVideo
) -> None:
    # decord2 3.4 gives 96 pixels wide pictures as garbled [H, W, 4].
    left_red = np.zeros((height, width, 3), np.uint8)
    left_red[:, : width // 2, 0] = 255
    path = write_video(tmp_path / "video.mp4", [left_red] * 3, [0.0, 0.04, 0.08])
    frames = [pixels for _, pixels in read_frames(path)]
    assert len(frames) == 3
    for pixels in frames:
        assert pixels.shape == (height, width, 3)
        assert np.abs(pixels[:, : width // 2 - 4].mean(axis=(0, 1)) - [255, 0, 0]).max() < 12
        assert pixels[:, width // 2 + 4 :].max() < 20


_ONE = 1 << 16
_MATRICES = {
    90: (0, _ONE, 0, -_ONE, 0, 0, 0, 0, 1 << 30),
    180: (-_ONE, 0, 0, 0, -_ONE, 0, 0, 0, 1 << 30),
    270: (0, -_ONE, 0, _ONE, 0, 0, 0, 0, 1 << 30),
}


@pytest.mark.parametrize("clockwise_degrees", _MATRICES)
@pytest.mark.parametrize("decoder", ["decord", "PyAV"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (48, 64)])
def test_a_rotated_video_comes_upright(
    clockwise_degrees: int,
    decoder: str,
    height: int,
    width: int,
    tmp_path: Path,
    write_video: WriteVideo,
    request: pytest.FixtureRequest,
) -> None:
    stored = np.zeros((height, width, 3), np.uint8)
    stored[:16, :32] = (250, 120, 10)
    path = _rotated(write_video(tmp_path / "video.mp4", [stored] * 4, np.arange(4) / 25), clockwise_degrees)
    if decoder == "PyAV":
        request.getfixturevalue("decord_refuses")
    upright = np.rot90(stored, -clockwise_degrees // 90).astype(int)
    frames = list(read_frames(path))
    assert len(frames) == 4
    for _, pixels in frames:
        assert pixels.shape == upright.shape
        assert np.abs(pixels - upright).mean() < 6


def _rotated(path: Path, clockwise_degrees: int) -> Path:
    """Write a display matrix into the track header, as a phone held sideways does (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    matrix_start = content.index(b"tkhd") + 4 + 40
    content[matrix_start : matrix_start + 36] = struct.pack(">9i", *_MATRICES[clockwise_degrees])
    path.write_bytes(content)
    return path


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
    assert np.all(np.diff([seconds for seconds, _ in frames]) > 0)
    assert frames[-1][0] == pytest.approx(49 / 25, abs=0.1)


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
