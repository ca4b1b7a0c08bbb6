"""Where people of the street set are: rooms, corridors, streets and greens, as flat pictures behind them.

    place = draw_place("place_00007", 0.5, rng)
    picture = paint_place(place, short_px=192)      # uint8 [1.6 · 192, 2.6 · 192, 3]

Bytes from `LAMP` on are lamps, which stay bright in the dark.
"""

import colorsys
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.appearance import Color
from cocon.training.figures.scene import Sway, Thing, draw_thing

__all__ = ["LAMP", "PLACE_SIDES", "Scenery", "draw_place", "paint_place"]

Bytes = NDArray[np.uint8]
Kind = Literal["room", "corridor", "street", "green"]

LAMP = 250
# Width and height in short sides of the picture, so that a wide one can be panned.
PLACE_SIDES = (2.6, 1.6)
_KINDS: tuple[Kind, ...] = get_args(Kind)
_MAX_THINGS = 5


@dataclass(frozen=True, slots=True)
class Scenery:
    """A place, and what moves in it.

    Attributes:
        identity: its name.
        kind: what is painted.
        seed: of the painting.
        clutter: 0 bare, 1 full of things.
        horizon: where floor or ground begins, in short sides below the middle.
        drift: of everything, as where trees move in the wind or the film is of a train.
        things: that move by themselves.
    """

    identity: str
    kind: Kind
    seed: int
    clutter: float
    horizon: float
    drift: Sway
    things: tuple[Thing, ...]


def draw_place(identity: str, clutter: float, rng: np.random.Generator) -> Scenery:
    """Draw a place.

    Args:
        identity: its name.
        clutter: 0 bare, 1 full of things that move.
        rng: source of randomness.
    """
    is_drifting = rng.random() < 0.15 * clutter
    size, hertz, phase = rng.uniform(0.02, 0.12, 2) * is_drifting, rng.uniform(0.05, 0.4, 2), rng.random(2)
    pairs = [(float(pair[0]), float(pair[1])) for pair in (size, hertz, phase)]
    wall = _muted(rng, 0.3, 0.9)
    num_things = int(rng.integers(0, 1 + round(_MAX_THINGS * clutter)))
    return Scenery(
        identity=identity,
        kind=_KINDS[rng.integers(len(_KINDS))],
        seed=int(rng.integers(2**31)),
        clutter=clutter,
        horizon=float(rng.uniform(-0.02, 0.3)),
        drift=Sway(*pairs),
        things=tuple(draw_thing(rng, wall, 0.1 + 0.5 * clutter * rng.random()) for _ in range(num_things)),
    )


def paint_place(place: Scenery, short_px: int) -> Bytes:
    """The picture of a place, RGB `uint8 [H, W, 3]`, H and W = `PLACE_SIDES` · short_px, its middle in the middle."""
    rng = np.random.default_rng(place.seed)
    easel = _Easel(rng, short_px, place)
    paint = {"room": _paint_room, "corridor": _paint_corridor, "street": _paint_street, "green": _paint_green}
    paint[place.kind](easel)
    easel.weather()
    for _ in range(int(rng.integers(0, 4))):
        easel.lamp()
    return easel.picture


class _Easel:
    """The picture while it is painted; positions and sizes in short sides from its top left corner."""

    def __init__(self, rng: np.random.Generator, short_px: int, place: Scenery) -> None:
        self.rng, self.short_px, self.clutter = rng, short_px, place.clutter
        self.width, self.height = PLACE_SIDES
        self.horizon = self.height / 2 + place.horizon
        shape = round(self.height * short_px), round(self.width * short_px), 3
        self.picture: Bytes = np.empty(shape, np.uint8)

    def box(self, left: float, top: float, width: float, height: float, color: Color) -> None:
        corners = [round(at * self.short_px) for at in (left, top, left + width, top + height)]
        cv2.rectangle(self.picture, (corners[0], corners[1]), (corners[2], corners[3]), color, cv2.FILLED)

    def area(self, points: list[tuple[float, float]], color: Color) -> None:
        cv2.fillConvexPoly(self.picture, np.rint(np.array(points) * self.short_px).astype(np.int32), color, cv2.LINE_AA)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, color: Color) -> None:
        ends = [(round(x * self.short_px), round(y * self.short_px)) for x, y in (start, end)]
        cv2.line(self.picture, ends[0], ends[1], color, max(1, round(width * self.short_px)), cv2.LINE_AA)

    def blob(self, x: float, y: float, radius: float, color: Color) -> None:
        centre = round(x * self.short_px), round(y * self.short_px)
        axes = max(1, round(radius * self.short_px)), max(1, round(radius * self.rng.uniform(0.6, 1.2) * self.short_px))
        cv2.ellipse(self.picture, centre, axes, 0, 0, 360, color, cv2.FILLED)

    def fade(self, top: float, bottom: float, first: Color, last: Color) -> None:
        """Rows from one colour to another."""
        rows = slice(round(top * self.short_px), round(bottom * self.short_px))
        share = np.linspace(0, 1, rows.stop - rows.start)[:, None]
        self.picture[rows] = (np.array(first) * (1 - share) + np.array(last) * share).astype(np.uint8)[:, None]

    def lamp(self) -> None:
        """A lamp, or a lit window, above the horizon."""
        x, y = self.rng.uniform(0, self.width), self.rng.uniform(0.2, self.horizon - 0.05)
        if self.rng.random() < 0.6:
            self.blob(x, y, float(self.rng.uniform(0.008, 0.03)), (255, 255, 252))
        else:
            self.box(x, y, float(self.rng.uniform(0.05, 0.25)), float(self.rng.uniform(0.02, 0.12)), (255, 253, 251))

    def weather(self) -> None:
        """Stains, and light that is nowhere the same; keeps below the bytes of lamps."""
        rows, columns, _ = self.picture.shape
        total = np.zeros((rows, columns), np.float32)
        for cells, levels in ((4, 14.0), (24, 5.0), (110, 5.0)):
            grid = self.rng.normal(0, levels * (0.5 + self.clutter), (cells, 2 * cells)).astype(np.float32)
            total += cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_LINEAR)
        light = np.repeat(np.clip(total, -99, 99).astype(np.int16)[..., None], 3, axis=2)
        lit = cv2.add(self.picture, light, dtype=cv2.CV_8U)
        self.picture = np.minimum(lit, np.uint8(LAMP - 6))


def _paint_room(easel: _Easel) -> None:
    rng = easel.rng
    wall, floor = _muted(rng, 0.25, 0.9), _muted(rng, 0.2, 0.7)
    _paint_wall(easel, wall)
    _paint_floor(easel, floor)
    easel.box(0, easel.horizon - 0.03, easel.width, 0.03, _shaded(wall, rng.uniform(0.5, 1.3)))
    for _ in range(int(rng.integers(1, 3 + round(8 * easel.clutter)))):
        x, color = float(rng.uniform(-0.1, easel.width)), _muted(rng, 0.1, 0.9)
        match int(rng.integers(5)):
            case 0:  # a window
                y, high = easel.horizon - float(rng.uniform(0.5, 0.7)), float(rng.uniform(0.25, 0.4))
                easel.box(x, y, 0.34, high, (225, 228, 232))
                easel.box(x + 0.02, y + 0.02, 0.3, high - 0.04, _muted(rng, 0.7, 0.95))
                easel.line((x + 0.17, y), (x + 0.17, y + high), 0.015, (225, 228, 232))
            case 1:  # a door
                easel.box(x, easel.horizon - 0.72, 0.32, 0.72, color)
                easel.blob(x + 0.28, easel.horizon - 0.34, 0.01, (200, 190, 140))
            case 2:  # a picture
                easel.box(x, easel.horizon - float(rng.uniform(0.5, 0.75)), 0.2, 0.14, color)
            case 3:  # a shelf
                _paint_shelf(easel, x, color)
            case _:  # a cupboard, a table, a sofa
                high = float(rng.uniform(0.15, 0.45))
                easel.box(x, easel.horizon - 0.7 * high, float(rng.uniform(0.2, 0.6)), high, color)
                easel.box(x, easel.horizon - 0.7 * high, float(rng.uniform(0.2, 0.6)), 0.03, _shaded(color, 1.25))


def _paint_shelf(easel: _Easel, x: float, color: Color) -> None:
    easel.box(x, easel.horizon - 0.62, 0.42, 0.62, _shaded(color, 0.6))
    for row in range(4):
        at = x + 0.02
        while at < x + 0.36:
            wide = float(easel.rng.uniform(0.015, 0.05))
            high = float(easel.rng.uniform(0.07, 0.12))
            easel.box(at, easel.horizon - 0.04 - 0.15 * row - high, wide, high, _muted(easel.rng, 0.15, 0.9))
            at += wide + 0.005


def _paint_wall(easel: _Easel, wall: Color) -> None:
    rng = easel.rng
    easel.fade(0, easel.height, wall, _shaded(wall, rng.uniform(0.7, 1.1)))
    joint, pitch = _shaded(wall, rng.uniform(0.6, 0.9)), float(rng.uniform(0.04, 0.2))
    match int(rng.integers(5)):
        case 0:  # sheet metal or panels
            for x in np.arange(0, easel.width, pitch):
                easel.line((float(x), 0), (float(x), easel.horizon), 0.008, joint)
        case 1:  # bricks or tiles
            for k, y in enumerate(np.arange(0, easel.horizon, pitch / 2)):
                easel.line((0, float(y)), (easel.width, float(y)), 0.005, joint)
                for x in np.arange(pitch / 2 * (k % 2), easel.width, pitch):
                    easel.line((float(x), float(y)), (float(x), float(y) + pitch / 2), 0.005, joint)
        case 2:  # two colours
            easel.box(0, easel.horizon - 0.32, easel.width, 0.32, joint)
        case _:
            pass


def _paint_floor(easel: _Easel, floor: Color) -> None:
    rng = easel.rng
    easel.fade(easel.horizon, easel.height, _shaded(floor, rng.uniform(0.6, 0.9)), floor)
    if rng.random() < 0.6:
        joint, far = _shaded(floor, rng.uniform(0.65, 0.85)), easel.width / 2
        for x in np.arange(-2, easel.width + 2, float(rng.uniform(0.15, 0.5))):
            easel.line(
                (far + (float(x) - far) * 0.4, easel.horizon), (far + (float(x) - far) * 2, easel.height), 0.006, joint
            )
        step = float(rng.uniform(0.03, 0.08))
        while rng.random() < 0.97 and easel.horizon + step < easel.height:
            easel.line((0, easel.horizon + step), (easel.width, easel.horizon + step), 0.006, joint)
            step *= 1.6


def _paint_corridor(easel: _Easel) -> None:
    """Walls that run to a point far away, with openings and a railing."""
    rng = easel.rng
    x, y = easel.width * float(rng.uniform(0.3, 0.7)), easel.height * float(rng.uniform(0.35, 0.55))
    left, right, floor = (_muted(rng, 0.2, 0.85) for _ in range(3))
    easel.fade(0, easel.height, _muted(rng, 0.4, 0.95), floor)
    wide, high = float(rng.uniform(0.08, 0.3)), float(rng.uniform(0.1, 0.25))
    easel.area([(0, 0), (x - wide, y - high), (x - wide, y + high), (0, easel.height)], left)
    easel.area([(easel.width, 0), (x + wide, y - high), (x + wide, y + high), (easel.width, easel.height)], right)
    easel.area([(0, easel.height), (x - wide, y + high), (x + wide, y + high), (easel.width, easel.height)], floor)
    easel.box(x - wide, y - high, 2 * wide, 2 * high, _muted(rng, 0.1, 0.95))
    for share in np.geomspace(0.15, 1, int(rng.integers(3, 9))):
        for side, edge, color in ((-1, 0.0, left), (1, easel.width, right)):
            at = x + side * wide + (edge - x - side * wide) * float(share)
            tall = high + (easel.height / 2 - high) * float(share)
            easel.line((at, y - 0.8 * tall), (at, y + tall), 0.03 * float(share), _shaded(color, rng.uniform(0.5, 1.3)))


def _paint_street(easel: _Easel) -> None:
    rng = easel.rng
    easel.fade(0, easel.height, _sky(rng), _sky(rng))
    at = -0.1
    while at < easel.width:
        wide, tall, color = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.3, 0.9)), _muted(rng, 0.2, 0.85)
        easel.box(at, easel.horizon - tall, wide, tall, color)
        pane, pitch = _shaded(color, rng.uniform(0.4, 1.5)), float(rng.uniform(0.07, 0.14))
        for y in np.arange(easel.horizon - tall + 0.04, easel.horizon - 0.1, pitch):
            for x in np.arange(at + 0.03, at + wide - 0.04, pitch):
                easel.box(float(x), float(y), 0.5 * pitch, 0.6 * pitch, pane)
        at += wide * float(rng.uniform(0.9, 1.3))
    _paint_floor(easel, _muted(rng, 0.25, 0.6))
    for _ in range(int(rng.integers(0, 2 + round(5 * easel.clutter)))):
        x, color = float(rng.uniform(-0.2, easel.width)), _muted(rng, 0.1, 0.9)
        if rng.random() < 0.5:  # a car
            easel.box(x, easel.horizon - 0.1, 0.5, 0.14, color)
            easel.box(x + 0.1, easel.horizon - 0.18, 0.28, 0.1, _shaded(color, 0.7))
            for wheel in (0.1, 0.4):
                easel.blob(x + wheel, easel.horizon + 0.04, 0.045, (25, 25, 28))
        else:  # a pole
            easel.line((x, easel.horizon - 0.9), (x, easel.horizon + 0.05), 0.02, _shaded(color, 0.6))


def _paint_green(easel: _Easel) -> None:
    rng = easel.rng
    easel.fade(0, easel.horizon, _sky(rng), _sky(rng))
    grass = _hsv(rng.uniform(0.16, 0.36), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.7))
    easel.fade(easel.horizon, easel.height, _shaded(grass, 0.8), grass)
    for _ in range(int(rng.integers(20, 60 + round(100 * easel.clutter)))):
        leaves = _hsv(rng.uniform(0.12, 0.42), rng.uniform(0.15, 0.65), rng.uniform(0.12, 0.6))
        x, y = float(rng.uniform(0, easel.width)), easel.horizon - float(np.abs(rng.normal(0.05, 0.25)))
        easel.blob(x, y, float(rng.uniform(0.03, 0.14)), leaves)
    for _ in range(int(rng.integers(0, 5))):
        x = float(rng.uniform(0, easel.width))
        easel.line((x, easel.horizon - 0.6), (x, easel.horizon + 0.08), float(rng.uniform(0.02, 0.07)), (72, 58, 46))
    for _ in range(round(300 * rng.random())):
        x, y = float(rng.uniform(0, easel.width)), float(rng.uniform(easel.horizon, easel.height))
        easel.line((x, y), (x + 0.01, y - 0.03), 0.006, _shaded(grass, rng.uniform(0.6, 1.4)))


def _hsv(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = (int(channel * 245) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _muted(rng: np.random.Generator, darkest: float, lightest: float) -> Color:
    return _hsv(rng.random(), min(0.8, rng.exponential(0.15)), rng.uniform(darkest, lightest))


def _sky(rng: np.random.Generator) -> Color:
    return _hsv(rng.uniform(0.5, 0.65), rng.uniform(0, 0.35), rng.uniform(0.55, 0.98))


def _shaded(color: Color, factor: float) -> Color:
    red, green, blue = (int(min(244, channel * factor)) for channel in color)
    return red, green, blue
