"""Small videos that say in each picture which frame it is."""

import runpy
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
WriteVideo = Callable[..., Path]
NumberOf = Callable[[Pixels], int]
SquareAt = Callable[[float, float], Pixels]

# Grey levels per frame number: wider than what a lossy codec does to a flat picture, so up to 60 frames are told apart.
_LEVELS = 4


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """`write_video(path, pictures, times)`: encode RGB pictures with presentation times in seconds."""
    return _write_video


@pytest.fixture
def cut_video(write_video: WriteVideo) -> Callable[[Path], Path]:
    """`cut_video(path)`: four seconds of noise in Matroska, of which the second half of the file is gone."""

    def cut(path: Path) -> Path:
        noise = list(np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8))
        content = write_video(path, noise, np.arange(40) / 10).read_bytes()
        path.write_bytes(content[: len(content) // 2])
        return path

    return cut


@pytest.fixture(scope="session")
def numbered() -> Callable[..., list[Pixels]]:
    """`numbered(count)`: flat pictures whose brightness is their number."""
    return lambda count, height=48, width=64: [
        np.full((height, width, 3), _LEVELS * index + 8, np.uint8) for index in range(count)
    ]


@pytest.fixture(scope="session")
def number_of() -> NumberOf:
    """The number that a (decoded, resized, cropped) picture of `numbered` carries."""
    return lambda pixels: round((float(pixels.mean()) - 8) / _LEVELS)


@pytest.fixture(scope="session")
def square_at() -> SquareAt:
    """`square_at(x, y)`: a 96 × 96 picture with a textured 32 × 32 square at a place, on a ground at rest."""
    rng = np.random.default_rng(0)
    texture = _blocks(rng.integers(60, 255, (8, 8, 3), dtype=np.uint8), 4)
    background = _blocks(rng.integers(0, 60, (12, 12, 3), dtype=np.uint8), 8)

    def picture(x: float, y: float) -> Pixels:
        pixels = background.copy()
        pixels[round(y) : round(y) + 32, round(x) : round(x) + 32] = texture
        return pixels

    return picture


@pytest.fixture(scope="session")
def walking_person() -> list[Pixels]:
    """30 pictures of a drawn person that moves to the right."""
    draw_person = runpy.run_path(str(Path(__file__).with_name("person.py")))["draw_person"]
    return [draw_person(shift)[0] for shift in range(30)]


def _blocks(colours: Pixels, side: int) -> Pixels:
    return np.kron(colours, np.ones((side, side, 1), np.uint8))


def _write_video(
    path: Path,
    pictures: Sequence[Pixels],
    times: Iterable[float],
    *,
    codec: str = "libx264",
    container: str | None = None,
    pixel_format: str = "yuv420p",
    clock: Fraction = Fraction(1, 1000),
    aspect: Fraction | None = None,
) -> Path:
    options = {"crf": "10"} if codec == "libx264" else {}
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=round(1 / clock) if clock > Fraction(1, 100) else 30, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pixel_format
        stream.codec_context.time_base = clock
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for pixels, seconds in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(seconds / clock), clock
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
