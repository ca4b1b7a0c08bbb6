"""Pictures come as a viewer sees them: the right way up, and their pixels square."""

import io
import resource
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cocon.core.errors import TooLargeError
from cocon.video.decoding.display import display_shape, upright
from cocon.video.decoding.frames import read_frames

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]

_ONE = 1 << 16
# a b c d of the display matrix: what is shown of a picture `[H, W, C]`.
ORIENTATIONS: dict[tuple[int, int, int, int], Callable[[Pixels], Pixels]] = {
    (1, 0, 0, 1): lambda pixels: pixels,
    (-1, 0, 0, 1): lambda pixels: pixels[:, ::-1],
    (1, 0, 0, -1): lambda pixels: pixels[::-1],
    (-1, 0, 0, -1): lambda pixels: np.rot90(pixels, 2),
    (0, 1, -1, 0): lambda pixels: np.rot90(pixels, -1),
    (0, -1, 1, 0): lambda pixels: np.rot90(pixels, 1),
    (0, 1, 1, 0): lambda pixels: pixels.swapaxes(0, 1),
    (0, -1, -1, 0): lambda pixels: np.rot90(pixels.swapaxes(0, 1), 2),
}


def _matrix(a: float, b: float, c: float, d: float) -> tuple[int, ...]:
    return (*(round(value * _ONE) for value in (a, b)), 0, *(round(value * _ONE) for value in (c, d)), 0, 0, 0, 1 << 30)


def _four_colours(height: int, width: int) -> Pixels:
    """A picture that no turn and no mirror leaves as it is."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 30, 30)
    pixels[: height // 2, width // 2 :] = (30, 250, 30)
    pixels[height // 2 :, : width // 2] = (30, 30, 250)
    return pixels


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_picture_is_shown_in_each_of_eight_orientations(orientation: tuple[int, int, int, int]) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    shown = upright(pixels, struct.pack("=9i", *_matrix(*orientation)))
    assert np.array_equal(shown, ORIENTATIONS[orientation](pixels))
    assert shown.flags["C_CONTIGUOUS"]


def test_a_picture_without_a_matrix_stays_as_it_is() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    assert upright(pixels, None) is pixels


@pytest.mark.parametrize(("degrees", "turns"), [(2, 0), (88, 1), (181, 2), (275, 3)])
def test_between_two_orientations_the_nearer_counts(degrees: float, turns: int) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    shown = upright(pixels, struct.pack("=9i", *_matrix(cosine, sine, -sine, cosine)))
    assert np.array_equal(shown, np.rot90(pixels, -turns))


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_file_that_says_how_it_is_to_be_shown_is_shown_so(
    orientation: tuple[int, int, int, int], ending: str, tmp_path: Path, write_video: WriteVideo
) -> None:
    stored = _four_colours(48, 96)
    path = write_video(tmp_path / f"video.{ending}", [stored] * 3, np.arange(3) / 25)
    _write_matrix(path, _matrix(*orientation))
    shown = ORIENTATIONS[orientation](stored)
    frames = list(read_frames(path))
    assert len(frames) == 3
    for _, pixels in frames:
        assert pixels.shape == shown.shape
        assert np.abs(pixels.astype(int) - shown).mean() < 8


def _write_matrix(path: Path, matrix: tuple[int, ...]) -> None:
    """Into the track header, as a phone does (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    content[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(4, 3), (270, 480)),
        (Fraction(3, 4), (270, 270)),
        (Fraction(1), (270, 360)),
        (Fraction(0), (270, 360)),
        (Fraction(-1, 2), (270, 360)),
        (Fraction(1, 5000), (270, 1)),
        (None, (270, 360)),
    ],
)
def test_pixels_become_square_by_the_width(aspect: Fraction | None, shape: tuple[int, int]) -> None:
    assert display_shape(270, 360, aspect) == shape


ANAMORPHIC = {
    "mp4": ("libx264", None),
    "mkv": ("libx264", "matroska"),
    "ts": ("libx264", "mpegts"),
    "mpg": ("mpeg2video", "vob"),
    "avi": ("mpeg4", None),
    "mov": ("prores", None),
}


# MPEG-2 says only which of 4:3 and 16:9 the whole picture has.
@pytest.mark.parametrize("aspect", [Fraction(32, 27), Fraction(8, 9)])
@pytest.mark.parametrize("ending", ANAMORPHIC)
def test_every_container_gives_square_pixels(
    ending: str, aspect: Fraction, tmp_path: Path, write_video: WriteVideo
) -> None:
    codec, container = ANAMORPHIC[ending]
    stored, path = _four_colours(96, 144), tmp_path / f"video.{ending}"
    pixel_format = "yuv422p10le" if codec == "prores" else "yuv420p"
    form = {"codec": codec, "container": container, "pixel_format": pixel_format, "clock": Fraction(1, 25)}
    write_video(path, [stored] * 12, np.arange(12) / 25, aspect=aspect, **form)
    frames = list(read_frames(path))
    assert len(frames) == 12
    shown = _four_colours(96, round(144 * aspect))
    for _, pixels in frames:
        assert pixels.shape == shown.shape
        assert np.abs(pixels.astype(int) - shown).mean() < 12


def test_pixels_are_made_square_before_the_picture_is_turned(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "video.mp4", [_four_colours(48, 64)], [0.0], aspect=Fraction(3, 2))
    _write_matrix(path, _matrix(0, 1, -1, 0))
    ((_, pixels),) = read_frames(path)
    assert pixels.shape == (96, 48, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_of_a_camera_that_notes_how_it_was_held_are_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = orientation, "a camera"  # orientation, make
    jpeg = io.BytesIO()
    Image.fromarray(_four_colours(48, 64)).save(jpeg, "JPEG", exif=exif, quality=95, subsampling=0)
    path = tmp_path / "video.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj444p"
        for number in range(3):
            packet = av.Packet(jpeg.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), stream
            output.mux(packet)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(jpeg)))
    frames = list(read_frames(path))
    assert len(frames) == 3
    for _, pixels in frames:
        assert pixels.shape == shown.shape
        assert np.abs(pixels.astype(int) - shown).mean() < 3


def test_an_orientation_said_with_key_frames_holds_for_those_behind_them(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    plain = write_video(tmp_path / "plain.mp4", [_four_colours(48, 64)] * 6, np.arange(6) / 25)
    path = tmp_path / "video.h264"
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        turned = BitStreamFilterContext(
            "h264_mp4toannexb,h264_metadata=display_orientation=insert:rotate=90", source.streams.video[0]
        )
        for packet in source.demux(source.streams.video[0]):
            for filtered in turned.filter(packet if packet.dts is not None else None):
                filtered.stream = stream
                output.mux(filtered)
    frames = [pixels for _, pixels in read_frames(path)]
    assert [pixels.shape for pixels in frames] == [(64, 48, 3)] * 6
    assert np.abs(frames[5].astype(int) - frames[0]).mean() < 3


def test_a_picture_that_grows_beyond_the_limit_is_refused_before_it_is_made(tmp_path: Path) -> None:
    parts = []
    for number, side in enumerate((64, 2048)):
        parts.append(tmp_path / f"{number}.h264")
        with av.open(str(parts[-1]), "w") as output:
            stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, stream.pix_fmt = side, side, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(60, 1)
            output.mux(stream.encode(av.VideoFrame(side, side, "yuv420p")))
            output.mux(stream.encode(None))
    path = tmp_path / "video.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLargeError, match="has 251,658,240 pixels per picture"):
        list(read_frames(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB; it would have 720 MiB
