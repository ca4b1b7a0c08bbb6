"""Cutting clips out of decoded views: at random for training, in the centre for judging.

Crops and gains are drawn anew for each block by default: with one draw per clip the crop's place and scale identify the
clip, and predictive coding learns that instead of motion.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.data.frames import DecodedView
from cocon.video.geometry import centre_crop, resize
from cocon.video.pose import LEFT_RIGHT_SWAP, draw_heatmaps

__all__ = ["Augmentation", "centred_clip", "random_clip"]

# Byte that means nothing: gains act on the distance from it.
_NEUTRAL = {"flow": 128.0, "pose": 0.0, "mask": 0.0}


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What may vary.

    Attributes:
        is_per_block: draw anew for each block rather than once per clip.
        crop_scale: range of the square crop's side as a share of the short side.
        gain: contrast is multiplied by a factor within 1 ± gain.
        rgb_colour: gain and offset of each colour channel vary within ± this share.
        rgb_gray: probability that one random colour channel replaces all three.
        flips: mirror whole clips, half of them.
    """

    is_per_block: bool
    crop_scale: tuple[float, float]
    gain: float
    rgb_colour: float
    rgb_gray: float
    flips: bool


@dataclass(frozen=True, slots=True)
class _Draw:
    """One square crop, in pixels of the decoded view, a gain, and what becomes of colours."""

    top: int
    left: int
    side: int
    gain: float
    channels: tuple[int, int, int]
    channel_gains: NDArray[np.float32]
    channel_offsets: NDArray[np.float32]


def random_clip(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, how: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """An augmented clip.

    Args:
        video: the decoded view.
        view: its name.
        indices: frames of the clip, `int64 [N, T]`.
        size_px: H = W of the result.
        how: what may vary.
        rng: source of all randomness.

    Returns:
        `uint8 [N, T, H, W, C]`.
    """
    draw = _draw(video, how, rng)
    is_flipped = how.flips and rng.random() < 0.5
    blocks = []
    for block in indices:
        blocks.append(_augmented(video, view, block, size_px, draw))
        if how.is_per_block:
            draw = _draw(video, how, rng)
    clip = np.stack(blocks)  # [N, T, H, W, C]
    return _mirrored(clip, view) if is_flipped else clip


def centred_clip(video: DecodedView, indices: NDArray[np.int64], size_px: int) -> NDArray[np.uint8]:
    """The clip that a served model sees: the centre crop, nothing random; arguments as in `random_clip`."""
    flat = indices.reshape(-1)
    if video.pose is not None:
        frames = video.pose.frames(flat, height=video.height, width=video.width)
    else:
        assert video.pixels is not None
        frames = video.pixels[flat]
    cropped = centre_crop(frames, size_px)
    return np.ascontiguousarray(cropped).reshape(*indices.shape, *cropped.shape[1:])  # [N, T, H, W, C]


def _draw(video: DecodedView, how: Augmentation, rng: np.random.Generator) -> _Draw:
    short_side = min(video.height, video.width)
    side = max(1, round(short_side * rng.uniform(*how.crop_scale)))
    top, left = rng.integers(0, video.height - side + 1), rng.integers(0, video.width - side + 1)
    gain = float(rng.uniform(1 - how.gain, 1 + how.gain))
    one = int(rng.integers(3))
    channels = (one, one, one) if rng.random() < how.rgb_gray else (0, 1, 2)
    gains = rng.uniform(1 - how.rgb_colour, 1 + how.rgb_colour, 3).astype(np.float32)
    offsets = rng.uniform(-128 * how.rgb_colour, 128 * how.rgb_colour, 3).astype(np.float32)
    return _Draw(int(top), int(left), side, gain, channels, gains, offsets)


def _augmented(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, draw: _Draw
) -> NDArray[np.uint8]:
    if video.pose is not None:
        frames = _drawn_pose(video, indices, size_px, draw)
    else:
        assert video.pixels is not None
        window = (slice(draw.top, draw.top + draw.side), slice(draw.left, draw.left + draw.side))
        frames = np.stack([resize(video.pixels[index][window], size_px, size_px) for index in indices])
    if view == "rgb":
        return _recoloured(frames, draw)
    # Flow vectors grow with the picture, and the gain acts on them likewise.
    scale = draw.gain * (size_px / draw.side if view == "flow" else 1.0)
    return _table(scale, _NEUTRAL[view])[frames]


def _drawn_pose(video: DecodedView, indices: NDArray[np.int64], size_px: int, draw: _Draw) -> NDArray[np.uint8]:
    """Key points are moved and scaled like the crop, then drawn: nothing is drawn only to be thrown away."""
    assert video.pose is not None and video.pose.keypoints is not None
    keypoints = video.pose.keypoints[indices].astype(np.float32)  # [T, P, 17, 3]
    zoom = size_px / draw.side
    offset = np.array([draw.left, draw.top], np.float32)
    to_decoded = np.array([video.width / video.pose.width, video.height / video.pose.height], np.float32)
    keypoints[..., :2] = (keypoints[..., :2] * to_decoded - offset) * zoom
    return draw_heatmaps(keypoints, height=size_px, width=size_px)


def _recoloured(frames: NDArray[np.uint8], draw: _Draw) -> NDArray[np.uint8]:
    """RGB frames `uint8 [T, H, W, 3]` with every channel stretched and shifted on its own."""
    tables = [
        _table(draw.gain * float(g), 128.0, float(o))
        for g, o in zip(draw.channel_gains, draw.channel_offsets, strict=True)
    ]
    if draw.channels == (0, 1, 2):
        return np.stack([table[frames[..., channel]] for channel, table in enumerate(tables)], axis=-1)
    one = tables[0][frames[..., draw.channels[0]]]
    return np.stack([one, one, one], axis=-1)


def _table(scale: float, neutral: float, offset: float = 0.0) -> NDArray[np.uint8]:
    """What each byte becomes when its distance from the neutral one is scaled and the offset added, `uint8 [256]`."""
    values = (np.arange(256, dtype=np.float32) - neutral) * scale + neutral + offset
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _mirrored(clip: NDArray[np.uint8], view: str) -> NDArray[np.uint8]:
    mirrored = np.ascontiguousarray(clip[..., ::-1, :])
    if view == "pose":
        mirrored = np.ascontiguousarray(mirrored[..., LEFT_RIGHT_SWAP])
    if view == "flow":  # what moved right now moves left
        mirrored[..., 0] = np.clip(256 - mirrored[..., 0].astype(np.int16), 0, 255).astype(np.uint8)
    return mirrored
