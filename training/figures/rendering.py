"""From a planned scene to pixels: RGB, exact flow and the person mask of every frame.

Each frame is painted once, without smoothing, on a canvas twice as wide as the picture: as colours, and as numbers that
tell which part covers a pixel. Averaging 2×2 pixels smooths the edges; the part numbers give the mask, and, with the
part's place two frames later, the flow.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.appearance import TILE_TEXELS
from cocon.training.figures.limbs import Limbs
from cocon.training.figures.scene import BACKGROUND_SIDES, Background, Camera, paint_background, thing_outlines

__all__ = ["Shot", "Skin", "Views", "box_of", "fixed_point", "render"]

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SUPERSAMPLING = 2
# OpenCV takes polygon corners in 1/16 pixel.
_SHIFT = 4
_TEXELS_PER_STATURE = 2 * TILE_TEXELS
# Part numbers on the canvas: 0 background, 1.. the figure's parts, then things from here on.
_FIRST_THING = 64
_EDGE_SHADE = 0.34
_SIDE_LIGHT = 0.16


@dataclass(frozen=True, slots=True)
class Shot:
    """Everything that is filmed; F includes the frames after the last, which only the flow looks at.

    Attributes:
        limbs: The figure.
        materials: `uint8 [M, TILE_TEXELS, TILE_TEXELS, 3]`, its textures.
        background: Behind it.
        camera: In front of it.
        seconds: `[F]`, presentation times.
    """

    limbs: Limbs
    materials: Bytes
    background: Background
    camera: Camera
    seconds: Array


@dataclass(frozen=True, slots=True)
class Views:
    """`rgb uint8 [F, S, S, 3]`, `flow float64 [F, V, V, 2]` in view pixels, `mask uint8 [F, V, V, 1]`."""

    rgb: Bytes
    flow: Array
    mask: Bytes


def render(shot: Shot, *, num_frames: int, flow_frames: int, size_px: int, view_size_px: int) -> Views:
    """Film the shot.

    Args:
        shot: With at least `num_frames + flow_frames` moments.
        num_frames: Frames to make.
        flow_frames: How many frames ahead the flow looks.
        size_px: Side S of the RGB frames.
        view_size_px: Side V of flow and mask.
    """
    canvas_px = size_px * _SUPERSAMPLING
    centers = (np.arange(view_size_px) + 0.5) / view_size_px
    sampled = (centers * canvas_px).astype(np.intp)
    rgb = np.empty((num_frames, size_px, size_px, 3), np.uint8)
    mask = np.empty((num_frames, view_size_px, view_size_px, 1), np.uint8)
    parts = np.empty((num_frames, view_size_px, view_size_px), np.uint8)
    for frame, (colors, numbers) in enumerate(_paint(shot, num_frames, canvas_px)):
        cv2.resize(colors, (size_px, size_px), dst=rgb[frame], interpolation=cv2.INTER_AREA)
        person = cv2.inRange(numbers, 1, _FIRST_THING - 1)
        mask[frame, ..., 0] = cv2.resize(person, (view_size_px, view_size_px), interpolation=cv2.INTER_AREA)
        parts[frame] = numbers[np.ix_(sampled, sampled)]
    return Views(rgb, _exact_flow(shot, parts, flow_frames) * view_size_px, mask)


def _paint(shot: Shot, num_frames: int, canvas_px: int) -> Iterator[tuple[Bytes, Bytes]]:
    """Colours `[H, H, 3]` and part numbers `[H, H]` of each frame; the arrays are reused."""
    backdrop = paint_background(shot.background, canvas_px)
    placements = _backdrop_placements(shot, canvas_px)
    things = [
        fixed_point(thing_outlines(thing, shot.camera, shot.seconds), canvas_px) for thing in shot.background.things
    ]
    outlines = fixed_point(shot.limbs.outline, canvas_px)  # [F, P, 18, 2]
    boxes = np.clip(box_of(outlines), 0, canvas_px).tolist()
    order = shot.limbs.order.tolist()
    skin = Skin(shot.limbs, shot.materials, shot.camera.light, canvas_px)
    colors = np.empty((canvas_px, canvas_px, 3), np.uint8)
    numbers = np.empty((canvas_px, canvas_px), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for frame in range(num_frames):
        cv2.warpAffine(backdrop, placements[frame], (canvas_px, canvas_px), dst=colors, flags=flags)
        numbers.fill(0)
        for index, (thing, corners) in enumerate(zip(shot.background.things, things, strict=True)):
            cv2.fillConvexPoly(colors, corners[frame], thing.color, cv2.LINE_8, _SHIFT)
            cv2.fillConvexPoly(numbers, corners[frame], _FIRST_THING + index, cv2.LINE_8, _SHIFT)
        for part in order[frame]:
            cv2.fillConvexPoly(numbers, outlines[frame, part], part + 1, cv2.LINE_8, _SHIFT)
        left, top, right, bottom = boxes[frame]
        skin.paint(colors, numbers[top:bottom, left:right], frame, left, top)
        yield colors, numbers


def fixed_point(outline: Array, canvas_px: int) -> NDArray[np.int32]:
    """Outline corners in picture sides as OpenCV wants them: pixel centres are whole numbers, then fixed point."""
    return np.rint((outline * canvas_px - 0.5) * 2**_SHIFT).astype(np.int32)


def box_of(outlines: NDArray[np.int32]) -> NDArray[np.int32]:
    """Left, top, right, bottom of the figure in canvas pixels, `[F, 4]`, one pixel wider than the outlines."""
    low = (outlines.min(axis=(1, 2)) >> _SHIFT) - 1
    high = (outlines.max(axis=(1, 2)) >> _SHIFT) + 3
    return np.concatenate([low, high], axis=-1)


def _backdrop_placements(shot: Shot, canvas_px: int) -> Array:
    """For each frame the map `[2, 3]` from canvas pixels to backdrop pixels."""
    drift = shot.background.drift.at(shot.seconds)
    margin = (BACKGROUND_SIDES - 1) / 2
    # Corners of the canvas tell the map: it only scales and shifts.
    origin, unit = (
        (shot.camera.unproject(np.full((len(drift), 2), at), shot.seconds) - drift + margin) for at in (0.0, 1.0)
    )
    matrices = np.zeros((len(drift), 2, 3))
    for axis in (0, 1):
        step = unit[:, axis] - origin[:, axis]
        matrices[:, axis, axis] = step
        matrices[:, axis, 2] = origin[:, axis] * canvas_px + 0.5 * step - 0.5
    return matrices


class Skin:
    """Paints a figure's pixels with its textures, frame by frame.

    Args:
        limbs: The figure.
        materials: `uint8 [M, TILE_TEXELS, TILE_TEXELS, 3]`, its textures.
        light: Direction that light comes from, in the picture.
        canvas_px: Pixels of a picture side.
        first_number: Of its parts on the canvas.
    """

    def __init__(
        self, limbs: Limbs, materials: Bytes, light: tuple[float, float], canvas_px: int, first_number: int = 1
    ) -> None:
        self._numbers = first_number, first_number + limbs.order.shape[1]
        self._texels = materials.reshape(-1, 3)
        self._tile_starts = np.broadcast_to(limbs.material * TILE_TEXELS**2, limbs.order.shape)
        to_texels = _TEXELS_PER_STATURE / (limbs.scale * canvas_px)
        length = limbs.length * canvas_px
        axis = limbs.axis
        shaded = -axis[..., 1] * light[0] + axis[..., 0] * light[1]
        columns = (
            limbs.start[..., 0] * canvas_px - 0.5,
            limbs.start[..., 1] * canvas_px - 0.5,
            axis[..., 0],
            axis[..., 1],
            length,
            limbs.nominal_length * _TEXELS_PER_STATURE / np.maximum(length, 1e-3),
            np.broadcast_to(to_texels, length.shape),
            limbs.nominal_width * _TEXELS_PER_STATURE / (limbs.width * canvas_px),
            1 / (limbs.width * canvas_px),
            shaded * _SIDE_LIGHT,
        )
        self._table = np.stack(columns, axis=1).astype(np.float32)  # [F, 10, P]

    def paint(self, colors: Bytes, numbers: Bytes, frame: int, left: int, top: int) -> None:
        """Paint where `numbers`, a window of the canvas at (left, top), names a part of the figure."""
        first, end = self._numbers
        rows, columns = np.nonzero((numbers >= first) & (numbers < end))
        part = numbers[rows, columns] - np.uint8(first)
        rows += top
        columns += left
        x, y, axis_x, axis_y, length, stretch, to_texels, across_scale, per_width, light = self._table[frame][:, part]
        dx, dy = columns.astype(np.float32) - x, rows.astype(np.float32) - y
        along, across = dx * axis_x + dy * axis_y, dy * axis_x - dx * axis_y
        inside = np.minimum(np.maximum(along, 0), length)
        # Offsets keep the coordinates positive, so that truncation rounds down; tiles repeat.
        row = (inside * stretch + (along - inside) * to_texels + 8 * TILE_TEXELS).astype(np.int32) % TILE_TEXELS
        column = (across * across_scale + 8.5 * TILE_TEXELS).astype(np.int32) % TILE_TEXELS
        texel = self._texels[self._tile_starts[frame][part] + row * TILE_TEXELS + column]
        side = across * per_width
        shade = (1 - _EDGE_SHADE * side * side + light * side)[:, None]
        colors[rows, columns] = np.clip(texel * shade, 0, 255).astype(np.uint8)


def _exact_flow(shot: Shot, parts: Bytes, ahead: int) -> Array:
    """Displacement of every pixel centre `[F, V, V, 2]`, in picture sides, by the part that covers it."""
    num_frames, side, _ = parts.shape
    now, later = slice(0, num_frames), slice(ahead, num_frames + ahead)
    centers = (np.arange(side) + 0.5) / side
    diagonal = np.broadcast_to(centers[:, None], (num_frames, side, 2))
    flow = np.empty((*parts.shape, 2))

    def carried(movement: Array) -> Array:
        """Displacement of everything that moves so and is filmed: x depends on the column alone, y on the row."""
        still = shot.camera.unproject(diagonal, shot.seconds[now])
        moved = still + (movement[later] - movement[now])[:, None]
        step = shot.camera.project(moved, shot.seconds[later]) - diagonal  # [F, V, 2]
        across, down = np.broadcast_arrays(step[:, None, :, 0], step[:, :, None, 1])
        return np.stack([across, down], axis=-1)  # [F, V, V, 2]

    flow[:] = carried(shot.background.drift.at(shot.seconds))
    for index, thing in enumerate(shot.background.things):
        covered = parts == _FIRST_THING + index
        flow[covered] = carried(thing.sway.at(shot.seconds))[covered]
    frame, row, column = np.nonzero((parts > 0) & (parts < _FIRST_THING))
    part = parts[frame, row, column].astype(np.intp) - 1
    flow[frame, row, column] = _limb_flow(shot.limbs, frame, part, centers[np.stack([column, row], axis=-1)], ahead)
    return flow


def _limb_flow(limbs: Limbs, frame: NDArray[np.intp], part: NDArray[np.intp], pixels: Array, ahead: int) -> Array:
    """Displacement `[n, 2]` of pixels `[n, 2]` that lie on the given parts in the given frames."""
    later = frame + ahead
    axis, length = limbs.axis[frame, part], limbs.length[frame, part]
    offset = pixels - limbs.start[frame, part]
    along = (offset * axis).sum(axis=-1)
    across = offset[:, 1] * axis[:, 0] - offset[:, 0] * axis[:, 1]
    inside = np.clip(along, 0, length)
    # Between the joints the part stretches as it foreshortens; its round ends only grow with the zoom.
    stretch = limbs.length[later, part] / np.maximum(length, 1e-6)
    new_along = inside * stretch + (along - inside) * (limbs.scale[later, 0] / limbs.scale[frame, 0])
    new_across = across * limbs.width[later, part] / limbs.width[frame, part]
    new_axis = limbs.axis[later, part]
    new_normal = np.stack([-new_axis[:, 1], new_axis[:, 0]], axis=-1)
    landed = limbs.start[later, part] + new_along[:, None] * new_axis + new_across[:, None] * new_normal
    return np.asarray(landed - pixels)
