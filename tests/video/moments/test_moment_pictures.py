"""Stills and films of moments: the right pictures, reduced, and what browsers play."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cocon.core.errors import UnreadableVideoError, UsageError
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.moments.browsers import plays_in_browsers
from cocon.video.moments.moment_pictures import moment_still, spread_stills, write_moment
from cocon.video.workers.pool import WorkerPool

from ..decoding.field_videos import number_in, write_fields
from ..seed_videos import SEEDS, write_seed

WriteVideo = Callable[..., Path]
NumberOf = Callable[[np.ndarray], int]

pytestmark = pytest.mark.videos
LIMITS = MediaLimits()
_RATE = Fraction(5)


def test_a_still_is_the_nearest_whole_picture(tmp_path: Path) -> None:
    path = write_fields(tmp_path / "a.mkv", "libx264", rate=_RATE, group_size=5, num_b_frames=2)
    with WorkerPool() as pool:
        for seconds, number in ((0.0, 0), (0.09, 0), (0.11, 1), (4.09, 20), (4.11, 21), (7.0, 35), (99.0, 35)):
            still = moment_still(pool, path, LIMITS, seconds, long_side_px=32)
            assert still.shape == (24, 32, 3)
            assert number_in(still) == number
        assert moment_still(pool, path, LIMITS, 1.0, long_side_px=500).shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", ["mp4", "h264"])  # the second does not say how long it is
def test_a_row_is_spread_over_the_video_or_over_a_part_of_it(
    suffix: str, tmp_path: Path, write_video: WriteVideo, numbered: Callable[..., list[np.ndarray]], number_of: NumberOf
) -> None:
    path = write_video(tmp_path / f"a.{suffix}", numbered(40), np.arange(40) / 25)
    with WorkerPool() as pool:
        whole = spread_stills(pool, path, LIMITS, 4, side_px=20)
        part = spread_stills(pool, path, LIMITS, 2, side_px=20, begin_seconds=0.8, end_seconds=1.2)
        end = spread_stills(pool, path, LIMITS, 2, side_px=20, begin_seconds=1.4, end_seconds=99.0)
        behind = spread_stills(pool, path, LIMITS, 2, side_px=20, begin_seconds=7.0)
    assert whole.shape == (4, 20, 20, 3)
    assert [number_of(still) for still in whole] == pytest.approx([5, 15, 25, 35], abs=1)
    assert [number_of(still) for still in part] == pytest.approx([22, 27], abs=1)
    assert [number_of(still) for still in end] == pytest.approx([36, 39], abs=1)
    assert [number_of(still) for still in behind] == [39, 39]


def test_the_only_picture_of_a_video_fills_its_row(
    tmp_path: Path, write_video: WriteVideo, numbered: Callable[..., list[np.ndarray]], number_of: NumberOf
) -> None:
    path = write_video(tmp_path / "a.mp4", numbered(1), np.zeros(1))
    with WorkerPool() as pool:
        assert [number_of(still) for still in spread_stills(pool, path, LIMITS, 3, side_px=20)] == [0, 0, 0]


def test_a_film_has_the_pictures_of_its_time_from_zero_on(tmp_path: Path) -> None:
    path = write_fields(tmp_path / "a.ts", "mpeg2video", rate=_RATE, start_frames=60)
    with WorkerPool() as pool:
        write_moment(pool, path, LIMITS, 2.0, 4.0, tmp_path / "film.mp4", long_side_px=64)
        write_moment(pool, path, LIMITS, 50.0, 52.0, tmp_path / "end.mp4", long_side_px=64)
    frames = list(read_frames(tmp_path / "film.mp4"))
    assert [number_in(pixels) for _, pixels in frames] == list(range(10, 20))
    assert np.allclose([seconds for seconds, _ in frames], np.arange(10) / 5, atol=1e-3)
    assert [number_in(pixels) for _, pixels in read_frames(tmp_path / "end.mp4")] == [35]


def test_a_film_has_even_sides_and_no_more_pictures_than_are_seen(
    tmp_path: Path, write_video: WriteVideo, numbered: Callable[..., list[np.ndarray]]
) -> None:
    path = write_video(
        tmp_path / "a.mp4", numbered(40, height=51, width=91), np.arange(40) / 120, codec="ffv1", pixel_format="bgr0"
    )
    with WorkerPool() as pool:
        write_moment(pool, path, LIMITS, 0.0, 0.2, tmp_path / "film.mp4", long_side_px=45)
    frames = list(read_frames(tmp_path / "film.mp4"))
    assert frames[0][1].shape == (24, 44, 3)
    assert len(frames) == 6


@pytest.mark.parametrize("name", ["rotated", "h265", "10bit", "444", "mpeg4", "transport", "prores", "gif", "vp9"])
def test_a_film_of_any_file_plays_in_browsers(name: str, tmp_path: Path) -> None:
    path = write_seed(tmp_path / f"a.{SEEDS[name].ending}", SEEDS[name])
    with WorkerPool() as pool:
        write_moment(pool, path, LIMITS, 0.2, 0.6, tmp_path / "film.mp4", long_side_px=48)
        assert plays_in_browsers(pool, tmp_path / "film.mp4", LIMITS)
    with av.open(str(tmp_path / "film.mp4")) as film:
        (stream,) = film.streams
        assert isinstance(stream, av.VideoStream)
        shape = (stream.height, stream.width)
    assert shape == ((48, 36) if name == "rotated" else (36, 48))


def test_what_cannot_be_decoded_leaves_no_file(tmp_path: Path) -> None:
    broken, film = tmp_path / "broken.mp4", tmp_path / "film.mp4"
    broken.write_bytes(b"no video")
    with WorkerPool() as pool:
        with pytest.raises(UnreadableVideoError, match=r"broken\.mp4"):
            write_moment(pool, broken, LIMITS, 0.0, 1.0, film, long_side_px=64)
        with pytest.raises(UsageError, match="nowhere"):
            moment_still(pool, tmp_path / "nowhere.mp4", LIMITS, 0.0, long_side_px=64)
    assert not film.exists()


@pytest.mark.parametrize(
    ("name", "plays"),
    [
        *(("h264", True), ("faststart", True), ("fragmented", True), ("rotated", True), ("av1", True), ("vp9", True)),
        *(("10bit", False), ("444", False), ("h265", False), ("mjpeg", False), ("prores", False), ("variable", False)),
        *(("ffv1", False), ("mpeg4", False), ("transport", False), ("gif", False), ("flv", False), ("wmv", False)),
    ],
)
def test_what_plays_in_browsers(name: str, plays: bool, tmp_path: Path) -> None:
    path = write_seed(tmp_path / f"a.{SEEDS[name].ending}", SEEDS[name], num_frames=4)
    with WorkerPool() as pool:
        assert plays_in_browsers(pool, path, LIMITS) is plays


def test_what_is_no_video_does_not_play(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"text")
    with WorkerPool() as pool:
        assert not plays_in_browsers(pool, tmp_path / "a.mp4", LIMITS)
        assert not plays_in_browsers(pool, tmp_path / "nowhere.mp4", LIMITS)
