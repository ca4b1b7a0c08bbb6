"""Small sound videos of many containers and codecs: what the mutations start from, and what memory is measured with."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["SEEDS", "Seed", "repeat_video", "write_seed", "write_seeds"]

NUM_FRAMES = 24
HEIGHT, WIDTH = 48, 64
_RATE = 25
# A quarter turn of the display, as a phone held sideways writes it (ISO 14496-12, 8.3.2).
_QUARTER_TURN = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)


@dataclass(frozen=True, slots=True)
class Seed:
    """How one video is written.

    Attributes:
        ending: of the file name.
        codec: FFmpeg's encoder.
        container: FFmpeg's muxer, where the ending does not name it.
        pixel_format: that the encoder is fed.
        muxing: options of the muxer.
        has_sound: whether an audio stream goes with it.
        is_rotated: whether the display matrix turns the pictures.
        has_variable_rate: whether the frames come at uneven times.
    """

    ending: str
    codec: str = "libx264"
    container: str | None = None
    pixel_format: str = "yuv420p"
    muxing: Mapping[str, str] = field(default_factory=dict)
    has_sound: bool = False
    is_rotated: bool = False
    has_variable_rate: bool = False


SEEDS = {
    "h264": Seed("mp4"),
    "faststart": Seed("mp4", muxing={"movflags": "faststart"}),
    "fragmented": Seed("mp4", muxing={"movflags": "frag_keyframe+empty_moov"}),
    "rotated": Seed("mp4", is_rotated=True),
    "sound": Seed("mp4", has_sound=True),
    "10bit": Seed("mp4", pixel_format="yuv420p10le"),
    "444": Seed("mp4", pixel_format="yuv444p"),
    "h265": Seed("mp4", "libx265"),
    "av1": Seed("mp4", "libsvtav1"),
    "mjpeg": Seed("mov", "mjpeg", pixel_format="yuvj420p"),
    "prores": Seed("mov", "prores", pixel_format="yuv422p10le"),
    "variable": Seed("mkv", container="matroska", has_variable_rate=True),
    "ffv1": Seed("mkv", "ffv1", "matroska"),
    "vp9": Seed("webm", "libvpx-vp9"),
    "mpeg4": Seed("avi", "mpeg4"),
    "transport": Seed("ts", container="mpegts"),
    "gif": Seed("gif", "gif", pixel_format="rgb8"),
    "flv": Seed("flv", "flv1"),
    "mpeg2": Seed("mpg", "mpeg2video", "vob"),
    "wmv": Seed("wmv", "wmv2", "asf"),
}
_SPEED = {
    "libx264": {"preset": "ultrafast", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12", "svtav1-params": "lp=1"},
}


def write_seeds(folder: Path) -> dict[str, Path]:
    """Write every kind of `SEEDS` into a folder: name → file."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: write_seed(folder / f"{name}.{seed.ending}", seed) for name, seed in SEEDS.items()}


def write_seed(
    path: Path, seed: Seed, *, num_frames: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH, grain: int = 40
) -> Path:
    """Encode a textured picture that drifts, with `grain` grey levels of noise, so that the file has a body."""
    # Muxers draw identifiers at random otherwise.
    options = {**seed.muxing, "fflags": "+bitexact"}
    with av.open(str(path), "w", format=seed.container, options=options) as output:
        stream = output.add_stream(seed.codec, rate=_RATE, options=_SPEED.get(seed.codec, {}))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, width, seed.pixel_format
        stream.codec_context.thread_count = 1
        if seed.has_variable_rate:
            stream.codec_context.time_base = Fraction(1, 1000)
        sound = output.add_stream("aac", rate=16000) if seed.has_sound else None
        for number, pixels in enumerate(_drifting(num_frames, height, width, grain)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if seed.has_variable_rate:
                frame.pts, frame.time_base = 40 * number + 13 * (number % 3), Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, Fraction(1, _RATE)
            output.mux(stream.encode(frame))
            if isinstance(sound, av.AudioStream):
                output.mux(sound.encode(_hum(number)))
        output.mux(stream.encode(None))
        if isinstance(sound, av.AudioStream):
            output.mux(sound.encode(None))
    if seed.is_rotated:
        _rotate(path)
    return path


def repeat_video(path: Path, output: Path, times: int) -> Path:
    """Write the packets of a video's pictures several times, one after the other, without encoding them anew."""
    with av.open(str(output), "w") as copy, av.open(str(path)) as original:
        stream = copy.add_stream_from_template(original.streams.video[0])
        length = original.streams.video[0].duration
        assert length
        for number in range(times):
            original.seek(0)
            for packet in original.demux(original.streams.video[0]):
                if packet.dts is not None and packet.pts is not None:
                    packet.pts, packet.dts = packet.pts + number * length, packet.dts + number * length
                    packet.stream = stream
                    copy.mux(packet)
    return output


def _drifting(num_frames: int, height: int, width: int, levels: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 200, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    ground = np.kron(texture, np.ones((8, 8, 1), np.uint8))[:height, :width]
    grain = rng.integers(0, levels, (8, height, width, 3), dtype=np.uint8)
    return (np.roll(ground, 2 * number, axis=1) + grain[number % 8] for number in range(num_frames))


def _hum(number: int) -> av.AudioFrame:
    times = np.arange(640) / 16000 + number / _RATE
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
    frame.sample_rate, frame.pts = 16000, 640 * number
    return frame


def _rotate(path: Path) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    content[start : start + len(_QUARTER_TURN)] = _QUARTER_TURN
    path.write_bytes(content)
