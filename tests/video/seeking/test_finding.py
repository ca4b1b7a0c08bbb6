"""Pictures from a moment on are those of one pass, and are found without it where that is safe."""

import csv
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cocon.core.errors import CoconError, TooLargeError, UnreadableVideoError, UsageError
from cocon.video.decoding.frames import Frame, read_frames
from cocon.video.decoding.limits import MediaLimits
from cocon.video.seeking.finding import pictures_from

from ..decoding.field_videos import NUM_FRAMES, number_in, write_fields
from ..seed_videos import SEEDS, write_seed

pytestmark = pytest.mark.videos

_RATE = Fraction(5)
_SHARES = (0.0, 0.31, 0.5, 0.77, 0.95, 1.0, 1.5)
_BY_INDEX = (
    *(("mp4", "libx264"), ("mp4", "libx265"), ("mp4", "libsvtav1"), ("mov", "prores"), ("mkv", "libx264")),
    *(("mkv", "libx265"), ("webm", "libvpx-vp9"), ("mkv", "mpeg2video"), ("3gp", "mpeg4")),
)
_PAST_PACKETS = (
    *(("ts", "libx264"), ("ts", "libx265"), ("ts", "mpeg2video"), ("mpg", "mpeg2video"), ("avi", "mpeg4")),
    *(("avi", "mjpeg"), ("wmv", "wmv2"), ("flv", "flv1"), ("flv", "libx264"), ("ogv", "libvpx"), ("nut", "ffv1")),
)
_IN_ONE_PASS = (("avi", "libx264"), ("gif", "gif"), ("h264", "libx264"), ("wmv", "libx264"))


def _found(path: Path, seconds: float, *, most: int = 3) -> list[Frame]:
    return list(islice(pictures_from(path, MediaLimits(), seconds), most))


def _check_equal(path: Path) -> None:
    every = list(read_frames(path))
    times = np.array([seconds for seconds, _ in every])
    for share in _SHARES:
        moment = share * float(times[-1])
        first = max(0, int(np.searchsorted(times, moment, side="right")) - 1)
        found, wanted = _found(path, moment), every[first : first + 3]
        assert [seconds for seconds, _ in found] == [seconds for seconds, _ in wanted], moment
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, wanted, strict=True)), moment


def _num_beats(path: Path, seconds: float) -> tuple[int, int]:
    """The number that the picture at a moment shows, and how many frames and packets were seen for it."""
    beats: list[None] = []
    _, pixels = next(pictures_from(path, MediaLimits(), seconds, on_frame=lambda: beats.append(None)))
    return number_in(pixels), len(beats)


@pytest.mark.parametrize(("ending", "codec"), [*_BY_INDEX, *_PAST_PACKETS, *_IN_ONE_PASS])
def test_pictures_are_those_of_one_pass(ending: str, codec: str, tmp_path: Path) -> None:
    start_frames = 0 if ending == "avi" else 60
    path = tmp_path / f"a.{ending}"
    _check_equal(write_fields(path, codec, start_frames=start_frames, num_b_frames=2, group_size=7, rate=_RATE))


@pytest.mark.parametrize(("ending", "codec"), _BY_INDEX)
def test_an_index_leads_to_the_key_frame_before_the_moment(ending: str, codec: str, tmp_path: Path) -> None:
    path = write_fields(tmp_path / f"a.{ending}", codec, group_size=6, rate=_RATE)
    number, beats = _num_beats(path, 30 / _RATE)
    assert number == 30
    assert beats <= 12


@pytest.mark.parametrize(
    "params", ["open-gop=1:bframes=3:keyint=8", "intra-refresh=1:keyint=8", "bframes=3:b-pyramid=normal:keyint=11"]
)
@pytest.mark.parametrize("ending", ["mp4", "ts", "mkv"])
def test_groups_that_lean_on_those_before_give_the_same_pictures(params: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    _check_equal(write_fields(path, "libx264", num_b_frames=3, rate=_RATE, **{"x264-params": params}))


def test_joined_transport_streams_give_the_pictures_of_one_pass(tmp_path: Path) -> None:
    first = write_fields(tmp_path / "a.ts", "libx264", start_frames=60, rate=_RATE)
    second = write_fields(tmp_path / "b.ts", "mpeg2video", rate=_RATE)
    for number, parts in enumerate([(first, first), (second, second), (first, second)]):
        joined = tmp_path / f"joined{number}.ts"
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        _check_equal(joined)


def test_damaged_files_give_the_pictures_of_one_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for ending, codec in (("mp4", "libx264"), ("mkv", "mpeg4"), ("ts", "libx264"), ("avi", "mpeg4")):
        content = bytearray(write_fields(tmp_path / f"a.{ending}", codec, num_b_frames=2, rate=_RATE).read_bytes())
        for number in range(3):
            damaged = bytearray(content)
            for place in rng.integers(len(content) // 5, len(content) * 4 // 5, 4):
                damaged[place] ^= 0x55
            path = tmp_path / f"{number}.{ending}"
            path.write_bytes(damaged)
            try:
                _check_equal(path)
            except UnreadableVideoError:  # of either
                with pytest.raises(UnreadableVideoError):
                    _found(path, 3.0)


def test_every_kind_of_file_gives_the_pictures_of_one_pass(tmp_path: Path) -> None:
    for name, seed in SEEDS.items():
        _check_equal(write_seed(tmp_path / f"{name}.{seed.ending}", seed, num_frames=60))


@pytest.mark.parametrize(("ending", "step"), [("ts", 188), ("flv", 40), ("mkv", 40)])
def test_files_of_which_bytes_are_gone_give_the_pictures_of_one_pass(ending: str, step: int, tmp_path: Path) -> None:
    content = write_fields(tmp_path / f"a.{ending}", "libx264", num_b_frames=2, group_size=7, rate=_RATE).read_bytes()
    for number in range(24):
        begin = len(content) * 9 // 20 + step // 4 * number
        path = tmp_path / f"{number}.{ending}"
        path.write_bytes(content[:begin] + content[begin + step * (2 + number % 12) :])
        _check_equal(path)


def test_limits_hold_and_errors_are_those_of_one_pass(tmp_path: Path) -> None:
    path = write_fields(tmp_path / "a.mp4", "libx264", rate=_RATE)
    for limits in (MediaLimits(max_seconds=2), MediaLimits(max_bytes=10), MediaLimits(max_pixels=10)):
        with pytest.raises(TooLargeError, match=r"a\.mp4"):
            next(pictures_from(path, limits, 5.0))
    with pytest.raises(UsageError, match="nowhere"):
        next(pictures_from(tmp_path / "nowhere.mp4", MediaLimits(), 5.0))
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UnreadableVideoError, match=r"broken\.mp4"):
        next(pictures_from(broken, MediaLimits(), 5.0))


def _listed(folder: Path) -> Iterator[Path]:
    with (folder / "expected.csv").open(encoding="utf-8") as stream:
        yield from (folder / row["path"] for row in csv.DictReader(stream))
    yield from sorted(path for path in (folder / "found").rglob("*") if path.suffix in (".ts", ".mp4", ".mkv", ".m4a"))


@pytest.mark.real_videos
def test_real_files_give_the_pictures_of_one_pass(real_videos: Path) -> None:
    for path in _listed(real_videos):
        try:
            list(read_frames(path))
        except CoconError as error:
            with pytest.raises(type(error)):
                _found(path, 3.0)
        else:
            _check_equal(path)


def test_a_last_picture_is_found_from_behind_the_end(tmp_path: Path) -> None:
    path = write_fields(tmp_path / "a.mp4", "libx264", rate=_RATE, group_size=5)
    assert _num_beats(path, 9999.0)[0] == NUM_FRAMES - 1
