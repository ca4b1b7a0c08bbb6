"""Random colours of RGB clips, on bytes: channel gains, one channel as gray, jitter of the usual four kinds, and blur.

Brightness, contrast, saturation and hue are jittered as torchvision's ColorJitter does, in random order, and like
everything here by one draw for all the frames given, so that nothing flickers unless asked to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.config.input_sections import AugmentSection

__all__ = ["Colour", "byte_table", "draw_colour", "looked_up", "recoloured"]

Frames = NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_BLUR_SIGMAS = (0.1 / 224, 2.0 / 224)  # of a frame's side: SimCLR's and MoCo v2's, of 224 pixels


@dataclass(frozen=True, slots=True)
class Colour:
    """What becomes of the colours of some frames.

    Attributes:
        channels: which channel takes the place of red, green and blue.
        gains: of the three channels, `float32 [3]`.
        offsets: added to them, `float32 [3]`.
        jitter: (kind, amount) in the order of application; amounts are factors, for `hue` a share of the circle.
        blur_sigma: of a Gaussian, as a share of the frame's height; 0 for none.
    """

    channels: tuple[int, int, int]
    gains: NDArray[np.float32]
    offsets: NDArray[np.float32]
    jitter: tuple[tuple[str, float], ...]
    blur_sigma: float = 0.0


def draw_colour(how: AugmentSection, rng: np.random.Generator) -> Colour:
    """Draw colours; no number is drawn for jitter or blur that is switched off."""
    one = int(rng.integers(3))
    channels = (one, one, one) if rng.random() < how.rgb_gray else (0, 1, 2)
    gains = rng.uniform(1 - how.rgb_colour, 1 + how.rgb_colour, 3).astype(np.float32)
    offsets = rng.uniform(-128 * how.rgb_colour, 128 * how.rgb_colour, 3).astype(np.float32)
    jitter = _draw_jitter(how, rng)
    is_blurred = bool(how.rgb_blur) and rng.random() < how.rgb_blur
    return Colour(channels, gains, offsets, jitter, float(rng.uniform(*_BLUR_SIGMAS)) if is_blurred else 0.0)


def recoloured(frames: Frames, gain: float, colour: Colour) -> Frames:
    """RGB frames `uint8 [F, H, W, 3]` in other colours, all in the same way; `gain` is the clip's own contrast."""
    pairs = zip(colour.gains, colour.offsets, strict=True)
    tables = [byte_table(gain * float(g), 128.0, float(o)) for g, o in pairs]
    if colour.channels == (0, 1, 2):
        frames = looked_up(np.stack(tables, axis=-1), frames)
    else:
        one = looked_up(tables[0], np.ascontiguousarray(frames[..., colour.channels[0]]))
        frames = np.stack([one, one, one], axis=-1)
    for kind, amount in colour.jitter:
        frames = _JITTERS[kind](frames, amount)
    return _blurred(frames, colour.blur_sigma) if colour.blur_sigma else frames


def byte_table(scale: float, neutral: float, offset: float = 0.0) -> NDArray[np.uint8]:
    """What each byte becomes when its distance from the neutral one is scaled and the offset added, `uint8 [256]`."""
    values = (np.arange(256, dtype=np.float32) - neutral) * scale + neutral + offset
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def looked_up(table: NDArray[np.uint8], frames: Frames) -> Frames:
    """Bytes through one table `[256]`, or contiguous ones through one for each channel `[256, C]`, C ≤ 4."""
    import cv2

    if not frames.flags.c_contiguous:  # drawn poses, which OpenCV would copy first
        return table[frames]
    if table.ndim == 1:
        return np.asarray(cv2.LUT(frames.reshape(len(frames), -1), table), np.uint8).reshape(frames.shape)
    return np.asarray(cv2.LUT(_picture(frames), table[:, None]), np.uint8).reshape(frames.shape)


def _draw_jitter(how: AugmentSection, rng: np.random.Generator) -> tuple[tuple[str, float], ...]:
    limits = {
        "brightness": how.rgb_brightness,
        "contrast": how.rgb_contrast,
        "saturation": how.rgb_saturation,
        "hue": how.rgb_hue,
    }
    kinds = [kind for kind, limit in limits.items() if limit > 0]
    if not kinds or (how.rgb_jitter < 1 and rng.random() >= how.rgb_jitter):
        return ()
    amounts = {
        kind: float(rng.uniform(-limits[kind], limits[kind])) + (0.0 if kind == "hue" else 1.0) for kind in kinds
    }
    return tuple((kinds[position], amounts[kinds[position]]) for position in rng.permutation(len(kinds)))


def _brightened(frames: Frames, factor: float) -> Frames:
    return looked_up(byte_table(factor, 0.0), frames)


def _contrasted(frames: Frames, factor: float) -> Frames:
    """Distances from the mean luminance of all the frames are scaled."""
    import cv2

    mean = float(np.dot(cv2.mean(_picture(frames))[:3], _LUMA))
    return looked_up(byte_table(factor, mean), frames)


def _saturated(frames: Frames, factor: float) -> Frames:
    """Distances from each pixel's own luminance are scaled."""
    import cv2

    matrix = factor * np.eye(3) + (1 - factor) * _LUMA[None, :]
    return np.asarray(cv2.transform(_picture(frames), matrix), np.uint8).reshape(frames.shape)


def _hue_turned(frames: Frames, share: float) -> Frames:
    """Hues are turned by a share of the circle, in steps of 1/256 of it."""
    import cv2

    steps = round(256 * share) % 256
    if steps == 0:
        return frames  # there and back changes bytes a little
    hsv = cv2.cvtColor(_picture(frames), cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(steps)  # the circle closes like bytes do
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8).reshape(frames.shape)


def _blurred(frames: Frames, sigma: float) -> Frames:
    import cv2

    sigma_px = sigma * frames.shape[1]
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma_px) for frame in frames]).astype(np.uint8, copy=False)


_JITTERS = {"brightness": _brightened, "contrast": _contrasted, "saturation": _saturated, "hue": _hue_turned}


def _picture(frames: Frames) -> Frames:
    """All frames `[F, H, W, 3]` as one picture `[F·H, W, 3]`: OpenCV takes pictures."""
    return frames.reshape(-1, *frames.shape[2:])
