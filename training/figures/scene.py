"""Where the figures are and how they are filmed: backgrounds, things in them, and the camera.

Positions are in picture sides: (0, 0) is the top left corner of the frame of a camera at rest, (1, 1) the bottom right.
"""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.appearance import Color

__all__ = [
    "Background",
    "Camera",
    "Sway",
    "Thing",
    "draw_background",
    "draw_camera",
    "draw_thing",
    "paint_background",
    "thing_outlines",
]

Array = NDArray[np.float64]

# Room around the picture for pan, zoom and drift; see the bounds in draw_camera and draw_background.
BACKGROUND_SIDES = 1.5
_MAX_THINGS = 12
_OUTLINE_POINTS = 20


@dataclass(frozen=True, slots=True)
class Sway:
    """A slow bounded movement: amplitude · sin(2π (frequency_hz · t + phase)), in x and y."""

    amplitude: tuple[float, float] = (0.0, 0.0)
    frequency_hz: tuple[float, float] = (0.0, 0.0)
    phase: tuple[float, float] = (0.0, 0.0)

    def at(self, seconds: Array) -> Array:
        """Displacement `[F, 2]` at each time `[F]`."""
        turns = np.outer(seconds, self.frequency_hz) + np.array(self.phase)
        return np.array(self.amplitude) * np.sin(2 * np.pi * turns)


@dataclass(frozen=True, slots=True)
class Camera:
    """Place and movement of the camera; `stature` is the standing figure's height in picture sides.

    `sway` holds the pan in x and y, `zoom_sway` the relative zoom in its first component.
    """

    stature: float
    foot: tuple[float, float]
    yaw_degrees: float
    elevation_degrees: float
    light: tuple[float, float]
    sway: Sway
    zoom_sway: Sway

    def zoom(self, seconds: Array) -> Array:
        """Magnification `[F]` at each time, 1 at rest."""
        return 1.0 + self.zoom_sway.at(seconds)[:, 0]

    def project(self, points: Array, seconds: Array) -> Array:
        """Points of the resting picture `[F, ..., 2]` as filmed at each time `[F]`."""
        extra = (1,) * (points.ndim - 2)
        zoom = self.zoom(seconds).reshape(-1, *extra, 1)
        return 0.5 + zoom * (points - 0.5) + self.sway.at(seconds).reshape(-1, *extra, 2)

    def unproject(self, points: Array, seconds: Array) -> Array:
        """Inverse of `project`."""
        extra = (1,) * (points.ndim - 2)
        zoom = self.zoom(seconds).reshape(-1, *extra, 1)
        return 0.5 + (points - 0.5 - self.sway.at(seconds).reshape(-1, *extra, 2)) / zoom


@dataclass(frozen=True, slots=True)
class Thing:
    """A distractor: a convex outline `[20, 2]` around `center` that sways by itself."""

    center: tuple[float, float]
    radii: tuple[float, float]
    squareness: float
    color: Color
    sway: Sway


@dataclass(frozen=True, slots=True)
class Background:
    """A wall and a floor with smooth texture, and things in front of them.

    `contrast` is the texture's standard deviation in grey levels, `detail` the share of fine structure.
    """

    identity: str
    wall: Color
    floor: Color
    horizon: float
    texture_seed: int
    contrast: float
    saturation: float
    detail: float
    drift: Sway
    things: tuple[Thing, ...]


def draw_camera(rng: np.random.Generator) -> Camera:
    """Draw place, direction, light and slow pan and zoom; arms up and hop stay inside the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    return Camera(
        stature=float(rng.uniform(0.61, 0.69)),
        foot=(float(rng.uniform(0.45, 0.55)), float(rng.uniform(0.91, 0.94))),
        yaw_degrees=float(rng.uniform(15, 50) * rng.choice([-1, 1])),
        elevation_degrees=float(rng.uniform(0, 10)),
        light=(float(np.cos(angle)), float(np.sin(angle))),
        sway=_draw_sway(rng, 0.02, 0.25),
        zoom_sway=_draw_sway(rng, 0.03, 0.25),
    )


def draw_background(identity: str, clutter: float, rng: np.random.Generator) -> Background:
    """Draw a place.

    Args:
        identity: Name of the place.
        clutter: 0 is a plain unmoving wall and floor; 1 is saturated, drifting, detailed texture with a dozen things.
        rng: Source of randomness.
    """
    wall = _muted(rng, clutter)
    return Background(
        identity=identity,
        wall=wall,
        floor=_shaded(wall, rng.uniform(0.6, 0.9)),
        horizon=float(rng.uniform(0.68, 0.82)),
        texture_seed=int(rng.integers(2**31)),
        contrast=60 * clutter,
        saturation=float(rng.uniform(0.5, 1.0)) * clutter,
        detail=float(rng.uniform(0.5, 1.0)) * clutter,
        drift=_draw_sway(rng, 0.1 * min(1.0, 4 * clutter), 0.05 + 0.3 * clutter),
        things=tuple(draw_thing(rng, wall, clutter) for _ in range(round(_MAX_THINGS * clutter))),
    )


def paint_background(background: Background, side_px: int) -> NDArray[np.uint8]:
    """The wall and floor, larger than the picture.

    Args:
        background: What to paint.
        side_px: Pixels of one picture side.

    Returns:
        RGB `uint8 [H, H, 3]`, H = `BACKGROUND_SIDES` · side_px, centred on the picture.
    """
    num_pixels = round(BACKGROUND_SIDES * side_px)
    rng = np.random.default_rng(background.texture_seed)
    gray, chroma = (_smooth_noise(rng, num_pixels, channels, background.detail) for channels in (1, 3))
    rows = (np.arange(num_pixels) + 0.5) / side_px - (BACKGROUND_SIDES - 1) / 2
    floor_share = np.clip((rows - background.horizon) / 0.02 + 0.5, 0, 1)[:, None, None]
    base = (1 - floor_share) * np.array(background.wall) + floor_share * np.array(background.floor)
    texture = background.contrast * (gray + background.saturation * chroma)
    return np.clip(base + texture, 0, 255).astype(np.uint8)


def thing_outlines(thing: Thing, camera: Camera, seconds: Array) -> Array:
    """Outline of a thing as filmed at each time, `[F, 20, 2]` in picture sides."""
    angles = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    shape = np.sign(circle) * np.abs(circle) ** thing.squareness * np.array(thing.radii)
    centers = np.array(thing.center) + thing.sway.at(seconds)
    return camera.project(centers[:, None] + shape, seconds)


def _draw_sway(rng: np.random.Generator, amplitude: float, max_hz: float) -> Sway:
    size, hertz, phase = rng.uniform(0.4, 1, 2) * amplitude, rng.uniform(0.2, 1, 2) * max_hz, rng.random(2)
    return Sway(
        (float(size[0]), float(size[1])), (float(hertz[0]), float(hertz[1])), (float(phase[0]), float(phase[1]))
    )


def _muted(rng: np.random.Generator, clutter: float) -> Color:
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.3 + 0.5 * clutter), rng.uniform(0.35, 0.85))
    return (int(rgb[0] * 255), int(rgb[1] * 255), int(rgb[2] * 255))


def _shaded(color: Color, factor: float) -> Color:
    return (int(color[0] * factor), int(color[1] * factor), int(color[2] * factor))


def draw_thing(rng: np.random.Generator, wall: Color, clutter: float) -> Thing:
    """Draw a thing that stands out against a wall of that colour the more, the more clutter there is."""
    # Low clutter keeps things close to the wall's colour.
    color = np.array(wall) + (0.25 + 0.75 * clutter) * rng.uniform(-160, 160, 3)
    red, green, blue = np.clip(color, 0, 255).astype(int).tolist()
    return Thing(
        center=(float(rng.uniform(0.02, 0.98)), float(rng.uniform(0.05, 0.9))),
        radii=(float(rng.uniform(0.03, 0.11)), float(rng.uniform(0.03, 0.11))),
        squareness=float(rng.choice([0.25, 1.0])),
        color=(red, green, blue),
        sway=_draw_sway(rng, 0.06 * min(1.0, 4 * clutter), 0.05 + 0.3 * clutter),
    )


def _smooth_noise(rng: np.random.Generator, num_pixels: int, channels: int, detail: float) -> Array:
    """Cubic noise of unit variance at three scales, `[num_pixels, num_pixels, channels]`."""
    total = np.zeros((num_pixels, num_pixels, channels))
    for cells, weight in ((5, 1.0), (11, 0.6), (28, detail)):
        grid = rng.standard_normal((cells, cells, channels)).astype(np.float32)
        octave = cv2.resize(grid, (num_pixels, num_pixels), interpolation=cv2.INTER_CUBIC)
        total += weight * octave.reshape(total.shape)
    return np.asarray(total / total.std())
