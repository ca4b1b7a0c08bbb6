"""High dynamic range and wide colours come as a standard screen shows them, and that is said once."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cocon.video.decoding.colour import RgbConversion
from cocon.video.decoding.frames import read_frames

BT709, BT2020, PQ, HLG = 1, 9, 16, 18
REFERENCE_WHITE = 203.0
LUMINANCES = np.array([0.0, 5.0, 20.0, 50.0, 100.0, REFERENCE_WHITE, 1000.0, 4000.0])  # cd/m²
_SIDE = 32


def pq_code(luminance: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084: the code value 0-1 of a luminance in cd/m²."""
    power = (luminance / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_code(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """ITU-R BT.2100, hybrid log-gamma: the code value 0-1 of scene light 0-1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), a * np.log(np.maximum(12 * light - b, 1e-9)) + c)


def write_grays(path: Path, codes: NDArray[np.float64], transfer: int, primaries: int) -> Path:
    """A 10-bit video of patches of gray, 0-1 each, with tags."""
    rgb = np.repeat(np.repeat(codes, _SIDE)[None, :, None], 3, axis=2).repeat(_SIDE, axis=0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:pools=1", "crf": "4"})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = (
            transfer,
            primaries,
            primaries,
            1,
        )
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.rint(rgb * 65535).astype(np.uint16), format="rgb48le")
            coded = VideoReformatter().reformat(
                frame, format="yuv420p10le", dst_colorspace=primaries, dst_color_range=1
            )
            coded.pts, coded.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(coded))
        output.mux(stream.encode(None))
    return path


def patches(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The gray of each patch; they have no colour."""
    middles = pixels[_SIDE // 2, _SIDE // 2 :: _SIDE].astype(int)
    assert np.ptp(middles, axis=1).max() <= 3
    return middles.mean(axis=1).round().astype(int)


def test_pq_up_to_reference_white_looks_as_on_a_standard_screen(tmp_path: Path) -> None:
    stream = read_frames(write_grays(tmp_path / "video.mp4", pq_code(LUMINANCES), PQ, BT2020))
    frames = [patches(pixels) for _, pixels in stream]
    expected = np.rint(255 * np.minimum(1, LUMINANCES / REFERENCE_WHITE) ** (1 / 2.4))  # ITU-R BT.1886
    assert len(frames) == 3
    for shown in frames:
        assert np.abs(shown - expected).max() <= 6
    assert stream.notes == ["high dynamic range (PQ) was brought to BT.709; brighter than reference white is clipped"]


def test_hlg_becomes_brighter_where_the_scene_is_and_ends_in_white(tmp_path: Path) -> None:
    light = np.array([0.0, 0.01, 0.05, 0.1, 0.2, 0.265, 0.6, 1.0])
    stream = read_frames(write_grays(tmp_path / "video.mp4", hlg_code(light), HLG, BT2020))
    shown = patches(next(stream)[1])
    # 0.265 of scene light is 75 % of the signal: reference white (ITU-R BT.2408).
    assert np.all(np.diff(shown[:6]) > 0)
    assert shown[0] == 0
    assert shown[4] < 250 <= shown[5]
    assert stream.notes == ["high dynamic range (HLG) was brought to BT.709; brighter than reference white is clipped"]


def test_standard_colours_are_not_converted(tmp_path: Path) -> None:
    codes = np.linspace(0, 1, 8)
    stream = read_frames(write_grays(tmp_path / "video.mp4", codes, BT709, BT709))
    assert np.abs(patches(next(stream)[1]) - np.rint(255 * codes)).max() <= 2
    assert stream.notes == []


_ODD_MATRICES = (3, 8, 10, 11, 14, 15, 16, 17, 255)  # reserved, or not known to the scaler


def _tagged(transfer: int, primaries: int, matrix: int) -> "av.VideoFrame":
    codes = np.linspace(0, 65535, 8 * _SIDE).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(np.tile(codes[None, :, None], (_SIDE, 1, 3)), format="rgb48le")
    coded = frame.reformat(format="yuv420p10le")
    coded.color_trc, coded.color_primaries, coded.colorspace, coded.color_range = transfer, primaries, matrix, 1
    return coded


@pytest.mark.parametrize(("transfer", "primaries"), [(BT709, BT709), (255, 255), (3, 0)])
def test_tags_that_say_nothing_take_no_picture_away(transfer: int, primaries: int) -> None:
    conversion = RgbConversion()
    plain = conversion.pixels(_tagged(2, 2, 2))
    for matrix in _ODD_MATRICES:
        assert np.array_equal(conversion.pixels(_tagged(transfer, primaries, matrix)), plain)


def test_high_dynamic_range_with_odd_tags_is_converted_as_with_the_usual_ones() -> None:
    conversion = RgbConversion()
    usual = conversion.pixels(_tagged(PQ, BT2020, BT2020))
    for matrix in _ODD_MATRICES:
        assert np.array_equal(conversion.pixels(_tagged(PQ, BT2020, matrix)), usual)
        assert conversion.converted_from == "high dynamic range (PQ)"


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_every_frame_is_converted_alike(transfer: int, tmp_path: Path) -> None:
    path = write_grays(tmp_path / "video.mp4", np.linspace(0, 1, 8), transfer, BT2020)
    first, *later = [patches(pixels) for _, pixels in read_frames(path)]
    assert all(np.abs(shown - first).max() <= 1 for shown in later)
