"""Pictures have the right colours whatever form they are stored in."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.decoding.frames import read_frames

Pixels = NDArray[np.uint8]
# Of the four quarters: strong colours, where a wrong matrix, range or order of planes shows.
QUARTERS = np.array([[[230, 30, 40], [20, 190, 60]], [[40, 60, 220], [200, 190, 30]]], np.uint8)
LOSSLESS, LOSSY = 6, 16


@dataclass(frozen=True, slots=True)
class Form:
    """A way to store pictures.

    Attributes:
        ending: of the file.
        codec: FFmpeg's encoder.
        pixel_format: of the pictures given to it.
        height: of them.
        width: likewise.
        tolerance: mean difference that a colour may have.
    """

    ending: str
    codec: str
    pixel_format: str
    height: int = 48
    width: int = 64
    tolerance: float = LOSSY


FORMS = {
    "odd sizes, MJPEG": Form("mov", "mjpeg", "yuvj420p", 37, 53),
    "odd sizes, FFV1": Form("mkv", "ffv1", "yuv420p", 37, 53),
    "odd sizes, PNG": Form("mov", "png", "rgb24", 37, 53, LOSSLESS),
    "odd sizes, VP9 4:4:4": Form("webm", "libvpx-vp9", "yuv444p", 37, 53),
    "odd sizes, GIF": Form("gif", "gif", "rgb8", 37, 53, 32),  # three bits of red and green, two of blue
    "odd sizes, H.264 4:4:4": Form("mp4", "libx264", "yuv444p", 37, 53),
    "tall and narrow": Form("mkv", "ffv1", "yuv444p", 97, 33),
    "10 bits, FFV1": Form("mkv", "ffv1", "yuv420p10le"),
    "12 bits, FFV1": Form("mkv", "ffv1", "yuv444p12le"),
    "16 bits, FFV1": Form("mkv", "ffv1", "yuv420p16le"),
    "10 bits, H.264": Form("mp4", "libx264", "yuv420p10le"),
    "10 bits 4:4:4, H.264": Form("mp4", "libx264", "yuv444p10le"),
    "10 bits, H.265": Form("mp4", "libx265", "yuv420p10le"),
    "12 bits, H.265": Form("mp4", "libx265", "yuv420p12le"),
    "10 bits 4:2:2, ProRes": Form("mov", "prores", "yuv422p10le"),
    "4:4:4, H.264": Form("mp4", "libx264", "yuv444p"),
    "4:2:2, H.264": Form("mp4", "libx264", "yuv422p"),
    "RGB, H.264": Form("mp4", "libx264rgb", "rgb24", tolerance=LOSSLESS),
    "full range, MJPEG": Form("mov", "mjpeg", "yuvj444p"),
    "16 bits per colour, PNG": Form("mov", "png", "rgb48be", tolerance=LOSSLESS),
}
ALPHA = {
    "PNG": Form("mov", "png", "rgba", tolerance=LOSSLESS),
    "FFV1": Form("mkv", "ffv1", "yuva420p"),
    "ProRes": Form("mov", "prores_ks", "yuva444p10le"),
    "QuickTime animation": Form("mov", "qtrle", "argb", tolerance=LOSSLESS),
    "VP9": Form("webm", "libvpx-vp9", "yuva420p"),
}


def _picture(height: int, width: int) -> Pixels:
    rows, columns = (np.arange(size) * 2 // size for size in (height, width))
    return QUARTERS[rows[:, None], columns[None, :]]  # [H, W, 3]


def _write(path: Path, form: Form, pictures: list[Pixels], *, first_tick: int = 0) -> Path:
    """Encode RGB or RGBA pictures, 25 per second."""
    options = {"crf": "10"} if form.codec in ("libx264", "libx264rgb") else {}
    if form.codec == "libx265":
        options = {"crf": "10", "x265-params": "log-level=none:pools=1"}
    if form.codec == "libvpx-vp9":
        options = {"crf": "10", "b": "0", "cpu-used": "8"}
    with av.open(str(path), "w") as output:
        stream = output.add_stream(form.codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = form.height, form.width, form.pixel_format
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[2] == 4 else "rgb24")
            frame.pts = first_tick + number
            output.mux(stream.encode(frame.reformat(format=form.pixel_format)))
        output.mux(stream.encode(None))
    return path


def _quarters(pixels: Pixels) -> NDArray[np.float64]:
    """Mean colour of each quarter away from its edges, which subsampled colours cross: `[2, 2, 3]`."""
    height, width = pixels.shape[:2]
    edge = 4
    parts = [(edge, size // 2 - edge, -(-size // 2) + edge, size - edge) for size in (height, width)]
    (top, above, below, bottom), (left, before, behind, right) = parts
    rows, columns = (slice(top, above), slice(below, bottom)), (slice(left, before), slice(behind, right))
    return np.array([[pixels[row, column].mean(axis=(0, 1)) for column in columns] for row in rows])


@pytest.mark.parametrize("name", FORMS)
def test_pictures_have_their_size_and_colours(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    picture = _picture(form.height, form.width)
    frames = list(read_frames(_write(tmp_path / f"video.{form.ending}", form, [picture] * 5)))
    assert len(frames) == 5
    for _, pixels in frames:
        assert (pixels.shape, pixels.dtype) == (picture.shape, np.dtype(np.uint8))
        assert np.abs(_quarters(pixels) - QUARTERS).max() < form.tolerance


@pytest.mark.parametrize("name", ALPHA)
def test_opaque_pictures_with_alpha_lose_it_and_keep_their_colours(name: str, tmp_path: Path) -> None:
    form = ALPHA[name]
    picture = np.dstack([_picture(form.height, form.width), np.full((form.height, form.width), 255, np.uint8)])
    frames = list(read_frames(_write(tmp_path / f"video.{form.ending}", form, [picture] * 5)))
    assert len(frames) == 5
    for _, pixels in frames:
        assert pixels.shape == (form.height, form.width, 3)
        assert np.abs(_quarters(pixels) - QUARTERS).max() < form.tolerance


def test_a_gif_that_draws_only_what_changes_is_read_whole(tmp_path: Path) -> None:
    # FFmpeg's encoder leaves out, or makes transparent, what is as it was.
    form = FORMS["odd sizes, GIF"]
    pictures = [_picture(form.height, form.width) for _ in range(5)]
    for number, pixels in enumerate(pictures):
        pixels[:8, 5 * number : 5 * number + 8] = 255
    frames = [pixels for _, pixels in read_frames(_write(tmp_path / "video.gif", form, pictures))]
    assert len(frames) == 5
    for pixels, picture in zip(frames, pictures, strict=True):
        assert np.abs(pixels.astype(int) - picture).mean() < 24


@pytest.mark.parametrize(
    "name", ["odd sizes, MJPEG", "odd sizes, PNG", "odd sizes, GIF", "10 bits, H.264", "12 bits, FFV1"]
)
def test_one_picture_is_a_video(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    path = _write(tmp_path / f"video.{form.ending}", form, [_picture(form.height, form.width)])
    stream = read_frames(path)
    ((seconds, pixels),) = stream
    assert seconds == 0
    assert stream.duration_seconds > 0
    assert stream.lost == ""
    assert np.abs(_quarters(pixels) - QUARTERS).max() < form.tolerance


@pytest.mark.parametrize("name", ["odd sizes, FFV1", "odd sizes, MJPEG", "10 bits, H.264", "odd sizes, VP9 4:4:4"])
def test_a_video_that_starts_late_counts_from_its_first_picture(name: str, tmp_path: Path) -> None:
    form = FORMS[name]
    pictures = [_picture(form.height, form.width)] * 5
    path = _write(tmp_path / f"video.{form.ending}", form, pictures, first_tick=60)
    stream = read_frames(path)
    assert [seconds for seconds, _ in stream] == pytest.approx(np.arange(5) / 25, abs=2e-3)
    assert stream.lost == ""
