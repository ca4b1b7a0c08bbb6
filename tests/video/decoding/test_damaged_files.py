"""Files that are damaged, cut, no videos at all, or beyond a limit: what is there is given, the rest is said."""

import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.core.errors import (
    NoVideoStreamError,
    TooLargeError,
    UnreadableVideoError,
    UsageError,
)
from cocon.video.decoding.frames import FrameStream, read_frames
from cocon.video.decoding.limits import MediaLimits

from ..seed_videos import SEEDS, write_seed
from .field_videos import CONTAINERS, NUM_FRAMES, number_in, write_fields

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]
Numbered = Callable[..., list[Pixels]]
NumberOf = Callable[[Pixels], int]

_TICK = Fraction(1, 25)
CUT = {
    "mkv": {"container": "matroska"},
    "ts": {"container": "mpegts", "clock": _TICK},
    "avi": {"codec": "mpeg4", "clock": _TICK},
}


@pytest.fixture(scope="module")
def noisy() -> list[Pixels]:
    """100 pictures that no codec makes small: a file of them, cut in two, has lost half of the pictures."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(100)]


@pytest.mark.parametrize("content", [b"", b"no video at all\n", bytes(range(256)) * 40], ids=["empty", "text", "bytes"])
def test_a_file_that_is_no_video_says_so_and_nothing_else(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match=r"video '.*video\.mp4' cannot be decoded"):
        list(read_frames(path))
    assert capfd.readouterr() == ("", "")  # decord would write a line of its own


def test_a_video_cut_before_its_index_is_unreadable(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(20), np.arange(20) / 25)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(UnreadableVideoError):
        list(read_frames(path))


def test_a_sound_file_has_no_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000)
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    with pytest.raises(NoVideoStreamError, match=r"sound\.mp4' has no video stream"):
        list(read_frames(path))


@pytest.mark.parametrize("name", ["absent.mp4", "."])
def test_a_path_that_is_no_file_is_a_usage_error_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not exist or is no file|is a folder and no file"):
        read_frames(tmp_path / name)


def test_a_damaged_end_gives_the_frames_before_it_and_is_said(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(50), np.arange(50) / 25)
    content = bytearray(path.read_bytes())
    media, index = content.index(b"mdat"), content.index(b"moov")
    tail = (index - media) // 4
    content[index - tail - 8 : index - 8] = b"\xa5" * tail
    path.write_bytes(content)
    stream = read_frames(path)
    frames = list(stream)
    assert 5 <= len(frames) < 50
    assert [number_of(pixels) for _, pixels in frames[:5]] == list(range(5))
    assert all(later > earlier for (earlier, _), (later, _) in pairwise(frames))
    assert "packets are damaged" in stream.lost or "ends after" in stream.lost


@pytest.mark.parametrize("ending", CUT)
def test_a_file_cut_in_the_middle_gives_what_is_there_and_says_so(
    ending: str, tmp_path: Path, write_video: WriteVideo, number_of: NumberOf, noisy: list[Pixels]
) -> None:
    path = write_video(tmp_path / f"video.{ending}", noisy, np.arange(len(noisy)) / 25, **CUT[ending])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stream = read_frames(path)
    frames = list(stream)
    assert 20 < len(frames) < 90
    if ending != "ts":  # a transport stream has no header that says how long it is
        assert "ends after" in stream.lost


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ("max_bytes=100", "bytes"),
        ("max_seconds=1.5", "seconds"),
        ("max_frames=49", "frames"),
        ("max_pixels=3071", "pixels per picture"),
        ("max_aspect=1.25", "in length"),
    ],
)
def test_a_file_beyond_a_limit_is_refused_with_both_numbers(
    limit: str, what: str, tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(50), np.arange(50) / 25)
    name, number = limit.split("=")
    with pytest.raises(TooLargeError, match=rf"{what}.*the limit {name} is {float(number):,.6g}"):
        list(read_frames(path, MediaLimits.parse([limit])))


def test_a_video_whose_media_are_all_damaged_is_unreadable(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(20), np.arange(20) / 25)
    content = bytearray(path.read_bytes())
    media, index = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[media:index] = b"\xa5" * (index - media)
    path.write_bytes(content)
    with pytest.raises(UnreadableVideoError, match=r"video\.mp4' cannot be decoded"):
        list(read_frames(path))


def test_a_stream_without_frames_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "video.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.start_encoding()
    with pytest.raises(UnreadableVideoError, match="no frame of it decodes"):
        list(read_frames(path))


def _picture_headers(content: bytes) -> list[int]:
    """Where the packets of a transport stream that begin a picture have their headers (ISO 13818-1, 2.4.3.6)."""
    return [match.start() for match in re.finditer(rb"\x00\x00\x01\xe0", content)]


def test_a_damaged_time_does_not_become_hours_of_stills(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    path = write_video(tmp_path / "video.ts", numbered(50), np.arange(50) / 25, **CUT["ts"], codec="mpeg2video")
    content = bytearray(path.read_bytes())
    content[_picture_headers(content)[30] + 9] ^= 2  # bit 30 of the time: more than three hours
    path.write_bytes(content)
    stream = read_frames(path)
    frames = list(stream)
    assert [number_of(pixels) for _, pixels in frames] == list(range(50))
    assert [seconds for seconds, _ in frames] == pytest.approx(np.arange(50) / 25, abs=1e-5)
    assert "claims to come 11930" in stream.lost


def test_a_first_frame_without_a_time_comes_at_zero(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered, number_of: NumberOf
) -> None:
    path = write_video(tmp_path / "video.ts", numbered(50), np.arange(50) / 25, **CUT["ts"], codec="mpeg2video")
    content = bytearray(path.read_bytes())
    content[_picture_headers(content)[0] + 7] &= 0x3F  # "no times here"
    path.write_bytes(content)
    stream = read_frames(path)
    frames = list(stream)
    assert frames[0][0] == 0
    assert number_of(frames[-1][1]) == 49
    assert stream.duration_seconds == pytest.approx(2.0, abs=0.1)


def test_a_video_whose_codec_is_not_named_is_unreadable(
    tmp_path: Path, write_video: WriteVideo, numbered: Numbered
) -> None:
    path = write_video(tmp_path / "video.mp4", numbered(5), np.arange(5) / 25)
    path.write_bytes(path.read_bytes().replace(b"stsd", b"free"))
    with pytest.raises(UnreadableVideoError, match=r"video\.mp4' cannot be decoded"):
        list(read_frames(path))


@pytest.mark.parametrize("ending", ["ogv", "mkv", "avi", "nut"])
def test_a_packet_without_bytes_shows_the_picture_before_it_on(ending: str, tmp_path: Path) -> None:
    plain, path = write_fields(tmp_path / "plain.mkv", "libvpx"), tmp_path / f"video.{ending}"
    with av.open(str(plain)) as source, av.open(str(path), "w", format=CONTAINERS[ending]) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.dts is not None:
                kept = packet if number != 30 else _without_bytes(packet)
                kept.stream = stream
                output.mux(kept)
    video = read_frames(path)
    assert [number_in(pixels) for _, pixels in video] == [number for number in range(NUM_FRAMES) if number != 30]
    assert video.lost == ""


def _without_bytes(packet: "av.Packet[av.VideoStream]") -> "av.Packet[av.VideoStream]":
    empty = av.Packet(b"")
    empty.pts, empty.dts, empty.time_base, empty.duration = packet.pts, packet.dts, packet.time_base, packet.duration
    return empty


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_what_is_encrypted_is_no_picture(codec: str, tmp_path: Path) -> None:
    scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    plain, path = write_fields(tmp_path / "plain.mp4", codec), tmp_path / "video.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w", options=scheme) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(UnreadableVideoError, match="its pictures are encrypted"):
        list(read_frames(path))


# VP8 and VP9 decode anything, AV1 much; of the last two, zeros may by chance be a picture.
TELLING = (
    *("h264", "faststart", "fragmented", "rotated", "sound", "10bit", "444", "mjpeg", "prores", "variable", "ffv1"),
    *("mpeg4", "transport", "flv", "mpeg2"),
)
OFTEN_TELLING = ("h265", "gif")


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sound videos of many containers and codecs, with pictures that fill their packets."""
    folder = tmp_path_factory.mktemp("textured")
    return {
        name: write_seed(folder / f"{name}.{SEEDS[name].ending}", SEEDS[name], height=144, width=192)
        for name in (*TELLING, *OFTEN_TELLING)
    }


@pytest.mark.parametrize("name", (*TELLING, *OFTEN_TELLING))
def test_errors_that_the_decoder_conceals_are_said(name: str, textured: dict[str, Path], tmp_path: Path) -> None:
    sound = textured[name]
    assert [read.lost for read in _read([sound])] == [""]
    with av.open(str(sound)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size and packet.pos]
    damaged = []
    for quarter in (1, 2, 3):
        position, size = packets[quarter * len(packets) // 4]
        assert position
        content = bytearray(sound.read_bytes())
        content[position + size // 2 : position + size // 2 + 64] = bytes(64)
        damaged.append(tmp_path / f"{quarter}{sound.suffix}")
        damaged[-1].write_bytes(content)
    found = [read.lost for read in _read(damaged)]
    assert (any if name in OFTEN_TELLING else all)("packets are damaged" in lost for lost in found), found


def _read(paths: list[Path]) -> list[FrameStream]:
    streams = [read_frames(path) for path in paths]
    for stream in streams:
        for _ in stream:
            pass
    return streams
