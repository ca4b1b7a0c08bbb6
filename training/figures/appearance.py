"""What the figures look like: bodies, clothes and their textures. Nothing here knows what a figure does."""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.skeleton import Proportions, draw_proportions

__all__ = [
    "JAW",
    "MATERIALS",
    "SKULL",
    "TILE_TEXELS",
    "Body",
    "Clothes",
    "Color",
    "Garment",
    "draw_body",
    "draw_clothes",
    "paint_materials",
]

Color = tuple[int, int, int]
Tile = NDArray[np.uint8]

MATERIALS: tuple[str, ...] = ("skin", "head", "shirt", "trousers", "shoes")
TILE_TEXELS = 64
# Where the head's straight part begins and ends, as shares of the way from chin to crown.
JAW, SKULL = 0.3, 0.62
_PATTERNS = ("plain", "rings", "stripes", "checks", "dots", "blots")
# From light to dark; hue is nearly constant over human skin.
_SKIN_TONES = ((244, 208, 180), (226, 178, 142), (198, 142, 104), (152, 100, 68), (104, 66, 46))
_HAIR_TONES = ((38, 30, 28), (84, 56, 36), (150, 104, 56), (206, 172, 106), (168, 78, 44), (170, 168, 166))


@dataclass(frozen=True, slots=True)
class Body:
    """One person: `identity` is the manifest's group; colours are RGB."""

    identity: str
    proportions: Proportions
    skin: Color
    hair: Color
    hairline: float


@dataclass(frozen=True, slots=True)
class Garment:
    """A pattern of two RGB colours, `period` texels wide."""

    pattern: str
    color: Color
    second_color: Color
    period: int


@dataclass(frozen=True, slots=True)
class Clothes:
    """What a figure wears in one video."""

    shirt: Garment
    trousers: Garment
    shoes: Color
    has_long_sleeves: bool
    has_long_legs: bool


def draw_body(identity: str, rng: np.random.Generator) -> Body:
    """Draw one person."""
    darker, lighter = (
        np.array(tone, np.float64) for tone in _neighbours(_SKIN_TONES, rng.uniform(0, len(_SKIN_TONES) - 1))
    )
    skin = darker + rng.uniform() * (lighter - darker)
    return Body(
        identity=identity,
        proportions=draw_proportions(rng),
        skin=_color(skin),
        hair=_color(np.array(_HAIR_TONES[rng.integers(len(_HAIR_TONES))]) * rng.uniform(0.8, 1.1)),
        hairline=float(rng.uniform(0.62, 0.74)),
    )


def draw_clothes(rng: np.random.Generator) -> Clothes:
    """Draw what the person wears today."""
    return Clothes(
        shirt=_draw_garment(rng),
        trousers=_draw_garment(rng),
        shoes=_draw_color(rng),
        has_long_sleeves=bool(rng.random() < 0.5),
        has_long_legs=bool(rng.random() < 0.7),
    )


def paint_materials(body: Body, clothes: Clothes, face_turn: float) -> Tile:
    """Paint the textures of one figure.

    Args:
        body: Whose skin, hair and head.
        clothes: What is worn.
        face_turn: Where the middle of the face lies across the head, -1..1, right positive.

    Returns:
        `uint8 [len(MATERIALS), TILE_TEXELS, TILE_TEXELS, 3]`, RGB; rows run along a limb, columns across it with the
        middle line in the middle; tiles repeat.
    """
    skin = np.broadcast_to(np.array(body.skin, np.uint8), (TILE_TEXELS, TILE_TEXELS, 3))
    shoes = np.broadcast_to(np.array(clothes.shoes, np.uint8), skin.shape)
    head = _paint_head(body, skin.copy(), face_turn)
    return np.stack([skin, head, _paint_garment(clothes.shirt), _paint_garment(clothes.trousers), shoes])


def _neighbours(tones: tuple[Color, ...], at: float) -> tuple[Color, Color]:
    index = min(int(at), len(tones) - 2)
    return tones[index], tones[index + 1]


def _color(rgb: NDArray[np.float64]) -> Color:
    red, green, blue = np.clip(np.rint(rgb), 0, 255).astype(int).tolist()
    return red, green, blue


def _draw_color(rng: np.random.Generator) -> Color:
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.95))
    return _color(np.array(rgb) * 255.0)


def _draw_garment(rng: np.random.Generator) -> Garment:
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    return Garment(pattern, _draw_color(rng), _draw_color(rng), int(rng.choice([8, 16, 32])))


def _paint_garment(garment: Garment) -> Tile:
    along, across = np.mgrid[:TILE_TEXELS, :TILE_TEXELS] % garment.period
    half = garment.period / 2
    is_second = {
        "plain": np.zeros(along.shape, bool),
        "rings": along < half,
        "stripes": across < half,
        "checks": (along < half) ^ (across < half),
        "dots": (along - half) ** 2 + (across - half) ** 2 < (0.32 * garment.period) ** 2,
        # Whole periods of sines, so that the tile repeats.
        "blots": _blots(garment.period),
    }[garment.pattern]
    colors = np.array([garment.color, garment.second_color], np.uint8)
    return colors[is_second.astype(np.intp)]


def _blots(period: int) -> NDArray[np.bool_]:
    turn = 2 * np.pi / TILE_TEXELS
    along, across = np.mgrid[:TILE_TEXELS, :TILE_TEXELS] * turn
    waves = TILE_TEXELS // period
    warped = np.sin(waves * along + 1.5 * np.sin(across * 2)) + np.sin(waves * across + 1.7 * np.sin(along * 3))
    return np.asarray(warped > 0.4)


def _paint_head(body: Body, tile: Tile, face_turn: float) -> Tile:
    """Hair above the hairline and on the side turned away, and two eyes."""
    texels = body.proportions.head * 2 * TILE_TEXELS  # a tile is half a stature
    rows = np.arange(TILE_TEXELS) + 0.5
    # Below the jaw the rows go on from the tile's other end.
    rows[rows > TILE_TEXELS / 2] -= TILE_TEXELS
    along = (JAW + rows / texels)[:, None]
    across = (np.arange(TILE_TEXELS) + 0.5 - TILE_TEXELS / 2)[None, :] / (0.36 * texels)
    from_face = np.abs(across - 0.8 * face_turn)
    is_hair = (along > body.hairline - 0.12 * from_face**2) | ((from_face > 1.05) & (along > 0.2))
    eyes = ((from_face - 0.38) * 0.36) ** 2 + ((along - 0.52) * 0.8) ** 2 < 0.0042
    tile[is_hair] = body.hair
    tile[np.broadcast_to(eyes, is_hair.shape)] = (30, 24, 24)
    return tile
