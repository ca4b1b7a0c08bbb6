"""Cutting clips out of decoded views: at random for training, in the centre for judging.

Crops and gains are drawn anew for each block by default: with one draw per clip the crop's place and scale identify the
clip, and predictive coding learns that instead of motion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cocon.training.config.input_sections import AugmentSection
from cocon.training.data.colour import Colour, byte_table, draw_colour, looked_up, recoloured
from cocon.training.data.crops import Crop, draw_crop, fullest_crop, pose_points
from cocon.training.data.reading.decoded_video import DecodedView
from cocon.video.estimation.pose import LEFT_RIGHT_SWAP, draw_heatmaps
from cocon.video.geometry import centre_crop, resize
from cocon.video.views import VIEWS

__all__ = ["centred_clip", "mirrored", "random_clip", "random_clips", "whole_frames"]


@dataclass(frozen=True, slots=True)
class _Draw:
    """Proposed crops, of which the fullest is taken, a gain, and colours: one for all frames, or one for each."""

    crops: tuple[Crop, ...]
    gain: float
    colours: tuple[Colour, ...]


@dataclass(frozen=True, slots=True)
class _ClipDraws:
    """What was drawn for the frames that vary together, and whether each block `bool [N]` is mirrored."""

    draws: tuple[_Draw, ...]
    is_flipped: NDArray[np.bool_]


def random_clips(
    views: Mapping[str, DecodedView],
    indices: Mapping[str, NDArray[np.int64]],
    sizes_px: Mapping[str, int],
    how: AugmentSection,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.uint8]]:
    """An augmented clip in every view; each view has its own draws unless `how.shared_by_views`.

    Args:
        views: view → decoded.
        indices: view → frames of the clip, `int64 [N, T]`.
        sizes_px: view → H = W of the result.
        how: what may vary.
        rng: source of all randomness.

    Returns:
        view → `uint8 [N, T, H, W, C]`.
    """
    if not how.shared_by_views:
        return {name: random_clip(view, name, indices[name], sizes_px[name], how, rng) for name, view in views.items()}
    first, origin = next(iter(views.items()))
    drawn = _clip_draws(origin, first, indices[first].shape, how, rng)
    clips = {}
    for name, view in views.items():
        moved = tuple(replace(d, crops=tuple(crop.moved(origin, view) for crop in d.crops)) for d in drawn.draws)
        clips[name] = _cut(view, name, indices[name], sizes_px[name], replace(drawn, draws=moved))
    return clips


def random_clip(
    video: DecodedView,
    view: str,
    indices: NDArray[np.int64],
    size_px: int,
    how: AugmentSection,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """An augmented clip of one view.

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
    return _cut(video, view, indices, size_px, _clip_draws(video, view, indices.shape, how, rng))


def centred_clip(video: DecodedView, indices: NDArray[np.int64], size_px: int) -> NDArray[np.uint8]:
    """The clip that a served model sees: the centre crop, nothing random; arguments as in `random_clip`."""
    return np.ascontiguousarray(centre_crop(whole_frames(video, indices), size_px))  # [N, T, H, W, C]


def whole_frames(video: DecodedView, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Frames `int64 [N, T]` of a view before anything is cut off, `uint8 [N, T, H, W, C]`."""
    flat, where = np.unique(indices, return_inverse=True)  # overlapping blocks share frames
    if video.pose is not None:
        frames = video.pose.frames(flat, height=video.height, width=video.width)
    else:
        assert video.pixels is not None
        frames = video.pixels[flat]
    return frames[where.reshape(indices.shape)]  # [N, T, H, W, C]


def mirrored(clip: NDArray[np.uint8], view: str) -> NDArray[np.uint8]:
    """A clip `uint8 [..., H, W, C]` left to right: displacements in x change their sign, key points their sides."""
    flipped = np.ascontiguousarray(clip[..., ::-1, :])
    if VIEWS[view].content == "key points":
        flipped = np.ascontiguousarray(flipped[..., LEFT_RIGHT_SWAP])
    if VIEWS[view].content == "displacements":  # what moved right now moves left
        flipped[..., 0] = np.clip(256 - flipped[..., 0].astype(np.int16), 0, 255).astype(np.uint8)
    return flipped


def _clip_draws(
    video: DecodedView, view: str, shape: Sequence[int], how: AugmentSection, rng: np.random.Generator
) -> _ClipDraws:
    """Draw for a clip of `shape` (N, T)."""
    num_blocks, frames_per_block = shape
    is_per_block = how.drawn_per == "block"
    num_frames = frames_per_block if is_per_block else num_blocks * frames_per_block
    draws = [_draw(video, view, num_frames, how, rng)]
    is_flipped = np.zeros(num_blocks, np.bool_)
    if _may_flip(how, view):
        is_flipped |= rng.random(num_blocks if how.horizontal_flip_per == "block" else 1) < 0.5
    if is_per_block:  # one more than needed: what is drawn for the next view depends on how many were drawn here
        draws += [_draw(video, view, num_frames, how, rng) for _ in range(num_blocks)]
    return _ClipDraws(tuple(draws[: num_blocks if is_per_block else 1]), is_flipped)


def _draw(video: DecodedView, view: str, num_frames: int, how: AugmentSection, rng: np.random.Generator) -> _Draw:
    """Draw for `num_frames` frames; what is switched off draws no numbers."""
    crops = [draw_crop(video, view, how, rng)]
    gain = float(rng.uniform(1 - how.gain, 1 + how.gain))
    colours, has_colours = [draw_colour(how, rng)], VIEWS[view].content == "colours"
    if how.colour_per == "frame" and (has_colours or how.shared_by_views):
        colours += [draw_colour(how, rng) for _ in range(num_frames - 1)]
    if not has_colours:
        crops += [draw_crop(video, view, how, rng) for _ in range(how.crop_proposals - 1)]
    return _Draw(tuple(crops), gain, tuple(colours))


def _may_flip(how: AugmentSection, view: str) -> bool:
    """Whether a view is mirrored at times; views that share their draws share the coin."""
    if isinstance(how.horizontal_flip, bool):
        return how.horizontal_flip
    return view in how.horizontal_flip or (how.shared_by_views and bool(how.horizontal_flip))


def _cut(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, drawn: _ClipDraws
) -> NDArray[np.uint8]:
    groups = indices.reshape(len(drawn.draws), -1)  # of frames that vary together
    parts = [_augmented(video, view, group, size_px, d) for group, d in zip(groups, drawn.draws, strict=True)]
    clip = np.stack(parts).reshape(*indices.shape, *parts[0].shape[1:])  # [N, T, H, W, C]
    if drawn.is_flipped.any():
        clip[drawn.is_flipped] = mirrored(clip[drawn.is_flipped], view)
    return clip


def _augmented(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, draw: _Draw
) -> NDArray[np.uint8]:
    """Frames that vary together, `uint8 [F, H, W, C]`."""
    crop = fullest_crop(draw.crops, video, view, indices)
    if video.pose is not None:
        frames = _drawn_pose(video, indices, size_px, crop)
    else:
        assert video.pixels is not None
        pixels = np.asarray(video.pixels)  # a mapped file, too, is cut as a plain array: that is faster
        frames = np.stack([resize(pixels[index][crop.window], size_px, size_px) for index in indices])
    if VIEWS[view].content == "colours":
        if len(draw.colours) == 1:
            return recoloured(frames, draw.gain, draw.colours[0])
        pairs = zip(frames, draw.colours, strict=True)
        return np.concatenate([recoloured(frame[None], draw.gain, colour) for frame, colour in pairs])
    # Displacements grow with the picture, and the gain acts on them likewise.
    is_scaled = VIEWS[view].content == "displacements"
    zooms = (size_px / crop.width, size_px / crop.height) if is_scaled else (1.0, 1.0)
    tables = [byte_table(draw.gain * zoom, VIEWS[view].neutral) for zoom in zooms]
    return looked_up(tables[0] if zooms[0] == zooms[1] else np.stack(tables, axis=-1), frames)


def _drawn_pose(video: DecodedView, indices: NDArray[np.int64], size_px: int, crop: Crop) -> NDArray[np.uint8]:
    """Key points are moved and scaled like the crop, then drawn: nothing is drawn only to be thrown away."""
    points = pose_points(video, indices)  # [F, P, 17, 3]
    offset = np.array([crop.left, crop.top], np.float32)
    zoom = np.array([size_px / crop.width, size_px / crop.height], np.float32)
    points[..., :2] = (points[..., :2] - offset) * zoom
    return draw_heatmaps(points, height=size_px, width=size_px)
