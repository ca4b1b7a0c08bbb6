"""Frame n of a video comes n-th and at n / rate, whatever container and codec it lies in."""

from fractions import Fraction
from pathlib import Path

import av
import decord
import numpy as np
import pytest

from cocon.core.errors import VideoError
from cocon.video.decoding.frames import read_frames

from .field_videos import CODECS, CONTAINERS, NUM_FRAMES, RATE, number_in, write_fields

# Of each container the codecs that it is used with; every codec once.
PAIRS = (
    *[("mp4", codec) for codec in ("libx264", "libx265", "libsvtav1", "libvpx-vp9")],
    *[("mov", codec) for codec in ("libx264", "prores", "mjpeg", "dvvideo")],
    *[("mkv", codec) for codec in ("libx264", "libx265", "libvpx", "ffv1")],
    *[("avi", codec) for codec in ("libx264", "mpeg4", "mjpeg")],
    *[("ts", codec) for codec in ("libx264", "libx265", "mpeg2video")],
    *[("mpg", codec) for codec in ("mpeg2video", "libx264")],
    *[("wmv", codec) for codec in ("wmv2", "libx264", "mpeg2video")],
    *[("mxf", codec) for codec in ("mpeg2video", "libx264")],
    *[("flv", codec) for codec in ("flv1", "libx264")],
    ("3gp", "mpeg4"),
    ("webm", "libvpx-vp9"),
    ("vob", "mpeg2video"),
    ("ogv", "libvpx"),
    ("gif", "gif"),
    ("nut", "ffv1"),
    ("dv", "dvvideo"),
    ("ivf", "libvpx"),
    ("obu", "libsvtav1"),
    ("h264", "libx264"),
    ("hevc", "libx265"),
    ("m2v", "mpeg2video"),
    ("m4v", "mpeg4"),
)
# AVI has no times: the muxer repeats the first picture until the video begins.
_WITHOUT_A_START = ("avi",)
_NUM_PAIRS_WRITTEN = 90


def _fault(path: Path) -> str:
    """What is wrong with the frames that are read; empty if nothing is."""
    stream = read_frames(path)
    numbers, seconds = [], []
    for moment, pixels in stream:
        numbers.append(number_in(pixels))
        seconds.append(moment)
    if numbers != list(range(NUM_FRAMES)):
        return f"{path.name}: frames {numbers}"
    if not np.allclose(seconds, np.arange(NUM_FRAMES) / RATE, atol=2e-3):
        return f"{path.name}: times {np.multiply(seconds, RATE).round(2).tolist()}"
    return f"{path.name}: {stream.lost}" if stream.lost else ""


@pytest.mark.parametrize(("ending", "codec"), PAIRS)
def test_every_frame_is_the_right_one_at_its_time(ending: str, codec: str, tmp_path: Path) -> None:
    start_frames = 0 if ending in _WITHOUT_A_START else 60
    path = write_fields(tmp_path / f"video.{ending}", codec, start_frames=start_frames, num_b_frames=2)
    assert _fault(path) == ""


@pytest.mark.slow  # the test above has each container and each codec once
@pytest.mark.timeout(1200)
def test_every_container_gives_the_right_frames_of_every_codec(tmp_path: Path) -> None:
    written, faults = set(), []
    for ending in CONTAINERS:
        for codec, coding in CODECS.items():
            for num_b_frames, group_size, start_frames in [(0, 12, 0), (2, 12, 60), (2, 250, 0), (3, 7, 5)]:
                if (num_b_frames and not coding.reorders) or (start_frames and ending in _WITHOUT_A_START):
                    continue
                path = tmp_path / f"{codec}-{num_b_frames}-{group_size}-{start_frames}.{ending}"
                options = {"start_frames": start_frames, "num_b_frames": num_b_frames, "group_size": group_size}
                try:
                    write_fields(path, codec, **options)  # type: ignore[arg-type]
                except (av.FFmpegError, ValueError):
                    continue
                try:
                    faults.append(_fault(path))
                    written.add((ending, codec))
                except VideoError:
                    pass  # FFmpeg writes what nobody knows again; it is refused, and not read wrongly
                path.unlink()
    assert [fault for fault in faults if fault] == []
    assert len(written) >= _NUM_PAIRS_WRITTEN


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("first_packet", [12, 15])
def test_a_video_cut_without_encoding_begins_with_its_first_whole_picture(
    first_packet: int, ending: str, tmp_path: Path
) -> None:
    whole, path = write_fields(tmp_path / "whole.mp4", "libx264", num_b_frames=2), tmp_path / f"cut.{ending}"
    with av.open(str(path), "w", format=CONTAINERS[ending]) as output, av.open(str(whole)) as source:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if number >= first_packet and packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    frames = [(seconds, number_in(pixels)) for seconds, pixels in read_frames(path)]
    first = -(-first_packet // 12) * 12  # the next key frame
    assert [number for _, number in frames] == list(range(first, NUM_FRAMES))
    assert [seconds for seconds, _ in frames] == pytest.approx(np.arange(NUM_FRAMES - first) / RATE, abs=2e-3)


@pytest.mark.parametrize("rate", [Fraction(15), Fraction(30_000, 1001), Fraction(60)])
@pytest.mark.parametrize(("ending", "codec"), [("h264", "libx264"), ("hevc", "libx265"), ("m4v", "mpeg4")])
def test_a_stream_without_a_container_runs_at_the_rate_that_its_codec_says(
    ending: str, codec: str, rate: Fraction, tmp_path: Path
) -> None:
    path = write_fields(tmp_path / f"video.{ending}", codec, num_b_frames=2, rate=rate)
    frames = [(seconds, number_in(pixels)) for seconds, pixels in read_frames(path)]
    assert [number for _, number in frames] == list(range(NUM_FRAMES))
    assert [seconds for seconds, _ in frames] == pytest.approx(np.arange(NUM_FRAMES) / float(rate), abs=2e-3)


@pytest.mark.parametrize("starts", [(0, 0), (0, 25_000), (25_000, 0), (0, 25_000, 0)])
@pytest.mark.parametrize("ending", ["ts", "mpg"])
def test_joined_streams_go_on_whatever_time_the_next_begins_at(
    ending: str, starts: tuple[int, ...], tmp_path: Path
) -> None:
    joined = b""
    for start in starts:
        part = write_fields(tmp_path / f"part.{ending}", "mpeg2video", start_frames=start, num_b_frames=2)
        joined += part.read_bytes()
    path = tmp_path / f"joined.{ending}"
    path.write_bytes(joined)
    frames = [(seconds, number_in(pixels)) for seconds, pixels in read_frames(path)]
    assert [number for _, number in frames] == [*range(NUM_FRAMES)] * len(starts)
    assert [seconds for seconds, _ in frames] == pytest.approx(np.arange(len(frames)) / RATE, abs=2e-3)


def test_a_stream_that_begins_later_takes_no_frames_of_the_video_away(tmp_path: Path) -> None:
    parts = [
        write_fields(tmp_path / f"{number}.ts", "libx264", start_frames=number * NUM_FRAMES, options_of_file=options)
        for number, options in enumerate(
            ({}, {"mpegts_start_pid": "0x200", "mpegts_service_id": "2", "mpegts_pmt_start_pid": "0x300"})
        )
    ]
    path = tmp_path / "video.ts"
    nothing = (b"\x47\x1f\xff\x10" + bytes(184)) * 32_000  # 6 MB, more than FFmpeg looks at when it opens a file
    path.write_bytes(parts[0].read_bytes() + nothing + parts[1].read_bytes() + parts[0].read_bytes())
    assert [number_in(pixels) for _, pixels in read_frames(path)] == [*range(NUM_FRAMES)] * 2


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mkv", "libx265"), ("webm", "libvpx-vp9")])
def test_pictures_are_those_of_another_reader_byte_by_byte(ending: str, codec: str, tmp_path: Path) -> None:
    path = write_fields(tmp_path / f"video.{ending}", codec, num_b_frames=2)
    other = decord.VideoReader(str(path), num_threads=1)
    assert len(other) == NUM_FRAMES
    for _, pixels in read_frames(path):
        assert np.array_equal(pixels, other.next().asnumpy())
