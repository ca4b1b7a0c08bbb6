"""What lens, light, sensor and file make of a picture: unsharp, dark, noisy, flickering, compressed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from cocon.core.atomic import replacing
from cocon.training.figures.street.places import LAMP
from cocon.training.figures.street.scenes import Recorder, StreetPlan

__all__ = ["sensed", "write_street_mp4"]

Bytes = NDArray[np.uint8]

# x264's macroblock tree reads memory that it has not written, and then the same frames give other bytes.
_ENCODER_OPTIONS = {"preset": "veryfast", "threads": "1", "g": "60", "x264-params": "mbtree=0"}
_LINES = 128
_NOISE_MARGIN = 31
# Of the light of a lamp that does not reach there.
_DARKEST = 0.4
# Between bytes as they are shown and light.
_DISPLAY_GAMMA = 2.2


def sensed(frames: Iterable[Bytes], recorder: Recorder, frames_per_second: int) -> Iterator[Bytes]:
    """Frames `uint8 [H, W, 3]` as they leave the sensor."""
    rng = np.random.default_rng([recorder.seed, 1])
    phase = rng.random()
    noise: NDArray[np.int16] | None = None
    before: Bytes | None = None
    spot: Bytes | None = None
    for index, rgb in enumerate(frames):
        if noise is None:
            noise = _grain(rng, rgb.shape, recorder.noise)
            spot = _spot(recorder, *rgb.shape[:2]) if recorder.spot[2] else None
        if spot is not None:
            rgb = cv2.multiply(rgb, spot, scale=1 / 255)
        light = 1 + recorder.flicker[0] * np.sin(2 * np.pi * (phase + recorder.flicker[1] * index / frames_per_second))
        picture = cv2.LUT(_unsharp(rgb, recorder), _tone(recorder, light))
        if before is not None and recorder.trail:
            picture = cv2.addWeighted(picture, 1 - recorder.trail, before, recorder.trail, 0)
        before = picture
        if recorder.noise:
            top, left = rng.integers(_NOISE_MARGIN + 1, size=2)
            picture = cv2.add(picture, noise[top : top + rgb.shape[0], left : left + rgb.shape[1]], dtype=cv2.CV_8U)
        yield picture


def _unsharp(rgb: Bytes, recorder: Recorder) -> Bytes:
    height, width = rgb.shape[:2]
    if recorder.sharpness < 1:
        few = round(width * recorder.sharpness), round(height * recorder.sharpness)
        rgb = cv2.resize(cv2.resize(rgb, few, interpolation=cv2.INTER_AREA), (width, height))
    if recorder.defocus:
        rgb = cv2.GaussianBlur(rgb, (0, 0), recorder.defocus * min(height, width) / _LINES)
    return rgb


def _tone(recorder: Recorder, light: float) -> Bytes:
    """The byte that each byte of each colour becomes, `[1, 256, 3]`."""
    linear = (np.arange(256)[:, None] / 255) ** _DISPLAY_GAMMA * recorder.exposure * light * np.array(recorder.cast)
    linear[LAMP:] = 1.0
    shown = np.clip(linear, 0, 1) ** (recorder.gamma / _DISPLAY_GAMMA)
    return np.rint(recorder.black + (255 - recorder.black) * shown).astype(np.uint8)[None]


def _spot(recorder: Recorder, height: int, width: int) -> Bytes:
    """Where light falls, `[height, width, 3]`, 255 being all of it."""
    x, y, reach = recorder.spot
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot(rows - y * height, columns - x * width) / (reach * min(height, width))
    light = np.rint(255 * (_DARKEST + (1 - _DARKEST) * np.exp(-(distance**2))))
    return np.repeat(light.astype(np.uint8)[..., None], 3, axis=2)


def _grain(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> NDArray[np.int16]:
    """Noise of the sensor, of which a part is common to the colours; frames take windows of it."""
    size = (shape[0] + _NOISE_MARGIN, shape[1] + _NOISE_MARGIN)
    gray, colours = rng.standard_normal((*size, 1)), rng.standard_normal((*size, 3))
    return np.rint(deviation * (0.8 * gray + 0.6 * colours)).astype(np.int16)


def write_street_mp4(path: Path, frames: Iterable[Bytes], plan: StreetPlan) -> None:
    """H.264 of frames `uint8 [H, W, 3]`; the same frames give the same bytes."""
    options = _ENCODER_OPTIONS | {"crf": str(plan.recorder.crf)}
    with replacing(path) as partial, av.open(str(partial), "w", format="mp4", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libx264", rate=plan.frames_per_second, options=options)
        stream.width, stream.height, stream.pix_fmt = plan.width_px, plan.height_px, "yuv420p"
        stream.codec_context.flags |= Flags.bitexact
        for rgb in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        file.mux(stream.encode())
