"""The length of a video, by its header or its packets, is that of its frames."""

import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cocon.core.errors import UnreadableVideoError, UsageError
from cocon.video.decoding import duration
from cocon.video.decoding.duration import duration_seconds
from cocon.video.decoding.frames import read_frames
from cocon.video.decoding.packets import sound_packets

from ..seed_videos import SEEDS, write_seed
from .field_videos import NUM_FRAMES, write_fields

pytestmark = pytest.mark.videos

_KINDS = [
    *(("mp4", "libx264"), ("mkv", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mjpeg"), ("ts", "libx264")),
    *(("mpg", "mpeg2video"), ("flv", "flv1"), ("h264", "libx264"), ("wmv", "wmv2"), ("ogv", "libvpx")),
]


def _decoded_seconds(path: Path) -> float:
    frames = read_frames(path)
    for _ in frames:
        pass
    return frames.duration_seconds


@pytest.mark.parametrize(("ending", "codec"), _KINDS)
def test_the_length_is_that_of_the_frames(ending: str, codec: str, tmp_path: Path) -> None:
    path = write_fields(tmp_path / f"a.{ending}", codec, num_b_frames=2 * (ending != "avi"), rate=Fraction(5))
    assert duration_seconds(path) == pytest.approx(_decoded_seconds(path), abs=0.41)  # two frames, of seven seconds


def test_uneven_times_count(tmp_path: Path) -> None:
    path = write_seed(tmp_path / "a.mkv", SEEDS["variable"], num_frames=60)
    assert duration_seconds(path) == pytest.approx(_decoded_seconds(path), abs=0.1)


@pytest.mark.parametrize("most_packets", [100_000, 1])
def test_joined_streams_follow_each_other(most_packets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read to its end, or judged by its bytes."""
    monkeypatch.setattr(duration, "_MOST_PACKETS", most_packets)
    one = write_fields(tmp_path / "one.ts", "mpeg2video", rate=Fraction(5))
    joined = tmp_path / "joined.ts"
    with joined.open("wb") as whole:
        for _ in range(4):
            with one.open("rb") as part:
                shutil.copyfileobj(part, whole)
    seconds = duration_seconds(joined)
    if most_packets > 1:
        assert seconds == pytest.approx(4 * NUM_FRAMES / 5, rel=0.05)
    else:
        assert seconds > NUM_FRAMES / 5 / 2, "at least of the order of what is there"


def test_an_estimate_is_the_same_however_busy_the_machine_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_MOST_PACKETS", 9)
    one = write_fields(tmp_path / "one.mpg", "mpeg2video", rate=Fraction(5))
    path = tmp_path / "joined.mpg"
    path.write_bytes(one.read_bytes() * 4)
    told = duration_seconds(path)

    def slow(*arguments: Any) -> Iterator[Any]:
        for packet in sound_packets(*arguments):
            time.sleep(0.02)
            yield packet

    monkeypatch.setattr(duration, "sound_packets", slow)
    assert duration_seconds(path) == told


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableVideoError, match=r"a\.mp4"):
        duration_seconds(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="nowhere"):
        duration_seconds(tmp_path / "nowhere.mp4")
