"""Encoding: what is written reads back, picture by picture, at its own time."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from cocon.video.decoding.frames import read_frames
from cocon.video.pictures.encode import write_mp4

TIMES = [0.0, 0.04, 0.08, 0.5, 0.54, 1.0]


def _pictures(number: int) -> list[np.ndarray]:
    return [np.full((64, 96, 3), 20 + 30 * index, np.uint8) for index in range(number)]


def test_variable_times_and_the_last_duration_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.partial"
    write_mp4(path, zip(TIMES, _pictures(6), strict=True))
    frames = read_frames(path)
    read = list(frames)
    assert [seconds for seconds, _ in read] == pytest.approx(TIMES, abs=1e-4)
    assert frames.lost == ""
    assert [round((pixels.mean() - 20) / 30) for _, pixels in read] == [0, 1, 2, 3, 4, 5]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0 + 0.46, abs=1e-4)


def test_any_player_can_show_it(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write_mp4(path, zip(TIMES, _pictures(6), strict=True))
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.start_time) == (96, 64, 0)
        decoding_times = [packet.dts for packet in container.demux(stream) if packet.dts is not None]
    assert all(first < second for first, second in pairwise(decoding_times))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_colours_come_back_in_small_and_in_large_pictures(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (86, 180, 233), (255, 255, 255)]
    for height, width in ((64, 128), (720, 1280)):
        picture = np.repeat(np.array(colours, np.uint8), width // 4, axis=0)[None].repeat(height, axis=0)
        path = tmp_path / f"{height}.mp4"
        write_mp4(path, [(0.0, picture)])
        with av.open(str(path)) as container:
            (frame,) = container.decode(video=0)
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
        read = frame.to_ndarray(format="rgb24")[height // 2, width // 8 :: width // 4]
        assert np.abs(read.astype(int) - colours).max() <= 4


def test_one_picture_and_times_nearer_than_the_clock_ticks(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write_mp4(path, [(0.0, _pictures(1)[0])])
    frames = read_frames(path)
    assert len(list(frames)) == 1
    assert frames.duration_seconds == pytest.approx(0.04)
    write_mp4(path, zip([0.0, 1e-7, 2e-7], _pictures(3), strict=True))
    assert len(list(read_frames(path))) == 3


def test_a_place_that_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_mp4(tmp_path / "nowhere" / "out.mp4", [(0.0, _pictures(1)[0])])
