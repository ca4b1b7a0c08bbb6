"""From a plan of the street set to pictures: RGB as it was in front of the lens, masks and key points as they are.

The canvas is larger than the picture by `_SUPERSAMPLING`; as in `rendering`, numbers tell which part covers a pixel.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.appearance import MATERIALS, TILE_TEXELS, Body, paint_materials
from cocon.training.figures.limbs import Limbs, place_limbs, project_skeleton
from cocon.training.figures.rendering import Skin, box_of, fixed_point
from cocon.training.figures.scene import Thing
from cocon.training.figures.skeleton import KEYPOINTS
from cocon.training.figures.street.lens import Motion, PersonLens, camera_motion, place_body, seat_corners, seen_body
from cocon.training.figures.street.places import LAMP, PLACE_SIDES, paint_place
from cocon.training.figures.street.scenes import StreetPlan

__all__ = ["Exact", "Filmed", "film_street"]

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_SUPERSAMPLING = 1.5
_SHIFT = 4
_FIRST_THING = 64
_NUM_HEADS = 24
# How far behind the feet the ground begins at least, in short sides.
_GROUND = 0.05
_OUTLINE_POINTS = 20
_HEAD = MATERIALS.index("head")


@dataclass(frozen=True, slots=True)
class Exact:
    """What is known of the first person.

    Attributes:
        keypoints: `[F, 17, 2]`, pixels of the picture.
        height: `[F]`, share of the picture's height that they would have standing.
        turned_away: `[F]`, 0 face to the camera, 1 seen from behind.
    """

    keypoints: Array
    height: Array
    turned_away: Array


@dataclass(frozen=True, slots=True)
class Filmed:
    """One frame: `rgb uint8 [H, W, 3]` and the part numbers of the first person, 1.. on `uint8 [h, w]`, 0 elsewhere."""

    rgb: Bytes
    parts: Bytes


def film_street(plan: StreetPlan) -> tuple[Exact, Iterator[Filmed]]:
    """What happens in front of the lens; pictures are painted as they are taken, into the same memory."""
    seconds = np.arange(plan.num_frames) / plan.frames_per_second
    bodies = [place_body(p, p.label or plan.label, plan, seconds) for p in plan.people]
    still = Motion(_centre(plan), np.zeros((len(seconds), 2)), np.ones(len(seconds)), np.zeros(len(seconds)))
    lenses = [seen_body(p, plan, *b[:2], still) for p, b in zip(plan.people, bodies, strict=True)]
    flat = project_skeleton({"pelvis": bodies[0][0].points["pelvis"]}, lenses[0], seconds)
    motion = camera_motion(plan, seconds, flat["pelvis"][:, 0])
    lenses = [replace(lens, motion=motion) for lens in lenses]
    limbs = [
        replace(limbs, material=_head_material(limbs, looks))
        for (skeleton, _, looks), lens, person in zip(bodies, lenses, plan.people, strict=True)
        for limbs in [place_limbs(skeleton, person.body.proportions, person.clothes, lens, seconds)]
    ]
    flat = project_skeleton(bodies[0][0].points, lenses[0], seconds)
    short_px = min(plan.width_px, plan.height_px)
    keypoints = np.stack([flat[name] for name in KEYPOINTS], axis=1) * short_px
    height = lenses[0].stature * lenses[0].zoom(seconds) * short_px / plan.height_px
    turned_away = 0.5 - 0.5 * np.cos(np.deg2rad(bodies[0][2]))
    resting = replace(lenses[0], nearness=np.ones(len(seconds)))
    return Exact(keypoints, height, turned_away), _paint(plan, limbs, resting, seconds)


def _centre(plan: StreetPlan) -> Array:
    return np.array([plan.width_px, plan.height_px]) / (2 * min(plan.width_px, plan.height_px))


def _paint(plan: StreetPlan, limbs: list[Limbs], lens: PersonLens, seconds: Array) -> Iterator[Filmed]:
    short_px = round(min(plan.width_px, plan.height_px) * _SUPERSAMPLING)
    width, height = (round(side * _SUPERSAMPLING) for side in (plan.width_px, plan.height_px))
    motion = lens.motion
    backdrop = _Backdrop(plan, lens, seconds, short_px)
    seat = _Seat(plan, lens, seconds, short_px)
    figures = [
        _Figure(each, _materials(person.body, paint_materials(person.body, person.clothes, 0.0)), plan.lit_from,
                short_px, 1 + k * each.order.shape[1], (width, height))
        for k, (each, person) in enumerate(zip(limbs, plan.people, strict=True))
    ]  # fmt: skip
    in_front = [_Silhouette(thing, motion, seconds, short_px) for thing in plan.in_front]
    colors, numbers = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.uint8)
    num_parts = limbs[0].order.shape[1]
    for frame in range(len(seconds)):
        numbers.fill(0)
        backdrop.paint(colors, frame)
        seat.paint(colors, frame)
        # From the farthest to the nearest; the first person is nearer than the other.
        for figure in reversed(figures):
            figure.outline(numbers, frame)
        if seat.is_in_front:
            seat.paint(numbers, frame)
        for thing in in_front:
            thing.fill(colors, frame, thing.color)
            thing.fill(numbers, frame, _FIRST_THING)
        for figure in figures:
            figure.skin(colors, numbers, frame)
        rgb = cv2.resize(colors, (plan.width_px, plan.height_px), interpolation=cv2.INTER_AREA)
        yield Filmed(rgb, np.where(numbers <= num_parts, numbers, np.uint8(0)))


class _Figure:
    """One person on the canvas; numbers of its parts begin at `first`."""

    def __init__(
        self, limbs: Limbs, materials: Bytes, light: tuple[float, float], short_px: int, first: int,
        size: tuple[int, int],
    ) -> None:  # fmt: skip
        self._outlines, self._first = fixed_point(limbs.outline, short_px), first
        self._boxes = np.clip(box_of(self._outlines), 0, np.array([*size, *size])).tolist()
        self._order = limbs.order.tolist()
        self._skin = Skin(limbs, materials, light, short_px, first)

    def outline(self, numbers: Bytes, frame: int) -> None:
        for part in self._order[frame]:
            cv2.fillConvexPoly(numbers, self._outlines[frame, part], part + self._first, cv2.LINE_8, _SHIFT)

    def skin(self, colors: Bytes, numbers: Bytes, frame: int) -> None:
        left, top, right, bottom = self._boxes[frame]
        if left < right and top < bottom:
            self._skin.paint(colors, numbers[top:bottom, left:right], frame, left, top)


class _Silhouette:
    """A thing on the canvas."""

    def __init__(self, thing: Thing, motion: Motion, seconds: Array, short_px: int) -> None:
        self.color = thing.color
        angles = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        shape = np.sign(circle) * np.abs(circle) ** thing.squareness * np.array(thing.radii)
        # Things are drawn for a square picture; here they are spread over the width.
        centre = np.array(thing.center) * motion.centre * 2
        outline = centre + thing.sway.at(seconds)[:, None] + shape
        self._corners = fixed_point(motion.project(outline, np.ones(len(seconds))), short_px)

    def fill(self, canvas: Bytes, frame: int, color: tuple[int, int, int] | int) -> None:
        cv2.fillConvexPoly(canvas, self._corners[frame], color, cv2.LINE_8, _SHIFT)


class _Seat:
    """The seat behind the first person, if there is one, with its back."""

    def __init__(self, plan: StreetPlan, lens: PersonLens, seconds: Array, short_px: int) -> None:
        self.is_in_front = plan.seat is not None and np.cos(np.deg2rad(plan.people[0].yaw_degrees)) < -0.2
        corners = np.array(lens.foot) + lens.stature * seat_corners(plan.people[0], plan)  # [2, 8, 2]
        moving = np.broadcast_to(corners, (len(seconds), *corners.shape))
        self._corners, self._color = fixed_point(lens.project(moving, seconds), short_px), plan.seat

    def paint(self, canvas: Bytes, frame: int) -> None:
        """Colours where the canvas has them, else numbers."""
        if self._color is None:
            return
        for corners in self._corners[frame]:
            whole = _FIRST_THING if canvas.ndim == 2 else tuple(0.75 * channel for channel in self._color)
            cv2.fillConvexPoly(canvas, cv2.convexHull(corners), whole, cv2.LINE_8, _SHIFT)
            if canvas.ndim == 3:
                cv2.fillConvexPoly(canvas, corners[:4], self._color, cv2.LINE_8, _SHIFT)


class _Backdrop:
    """Wall, floor, and the things in front of them."""

    def __init__(self, plan: StreetPlan, lens: PersonLens, seconds: Array, short_px: int) -> None:
        motion = lens.motion
        self._picture = paint_place(plan.place, short_px)
        self._things = [_Silhouette(thing, motion, seconds, short_px) for thing in plan.place.things]
        still = np.linalg.inv(motion.turn())  # [F, 2, 2]
        # Nobody stands on a wall.
        too_low = max(0.0, plan.place.horizon + _GROUND - (lens.foot[1] - motion.centre[1]))
        shift = np.array(PLACE_SIDES) / 2 - plan.place.drift.at(seconds) + (0.0, too_low)
        offset = shift - np.einsum("fij,fj->fi", still, motion.centre + motion.pan - 0.5 / short_px)
        self._maps = np.concatenate([still, (offset * short_px - 0.5)[..., None]], axis=-1)

    def paint(self, colors: Bytes, frame: int) -> None:
        size, flags = colors.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(self._picture, self._maps[frame], size, colors, flags, cv2.BORDER_REFLECT_101)
        for thing in self._things:
            thing.fill(colors, frame, thing.color)


def _head_material(limbs: Limbs, looks_degrees: Array) -> NDArray[np.int64]:
    """Of each frame the head that looks there, `[F, P]`."""
    heads = len(MATERIALS) + np.rint(looks_degrees * _NUM_HEADS / 360).astype(np.int64) % _NUM_HEADS
    is_head = limbs.material == _HEAD
    return np.where(is_head, heads[:, None], limbs.material)


def _materials(body: Body, worn: Bytes) -> Bytes:
    """The textures with `_NUM_HEADS` heads behind them, each turned a little farther."""
    heads = [_paint_head(body, 2 * np.pi * k / _NUM_HEADS) for k in range(_NUM_HEADS)]
    # Nobody shines like a lamp.
    return np.minimum(np.concatenate([worn, np.stack(heads)]), np.uint8(LAMP - 10))


def _paint_head(body: Body, looks: float) -> Bytes:
    """Face, eyes and hair of a head that looks to the right by an angle."""
    tile = np.broadcast_to(np.array(body.skin, np.uint8), (TILE_TEXELS, TILE_TEXELS, 3)).copy()
    texels = body.proportions.head * 2 * TILE_TEXELS
    rows = np.arange(TILE_TEXELS) + 0.5
    rows[rows > TILE_TEXELS / 2] -= TILE_TEXELS
    along = (0.3 + rows / texels)[:, None]
    across = np.clip((np.arange(TILE_TEXELS) + 0.5 - TILE_TEXELS / 2)[None, :] / (0.36 * texels), -1, 1)
    from_face = np.abs((np.arcsin(across) - looks + np.pi) % (2 * np.pi) - np.pi)
    is_hair = (along > body.hairline - 0.1 * from_face**2) | ((from_face > 1.25) & (along > 0.15))
    eyes = ((from_face - 0.42) * 0.36) ** 2 + ((along - 0.52) * 0.8) ** 2 < 0.0042
    tile[is_hair] = body.hair
    tile[np.broadcast_to(eyes, is_hair.shape)] = (30, 24, 24)
    return tile
