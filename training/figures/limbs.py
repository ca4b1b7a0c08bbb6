"""The figure's parts in the picture: tapered capsules between projected joints, and what moves with them.

A part has coordinates of its own: how far along its axis, how far across. Textures and exact flow both use them, so a
stripe on a sleeve moves exactly as the flow says. Positions are in picture sides, see `scene`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.appearance import JAW, MATERIALS, SKULL, Clothes
from cocon.training.figures.skeleton import Proportions, Skeleton

__all__ = ["Lens", "Limbs", "place_limbs", "project_skeleton"]

Array = NDArray[np.float64]

_ARC = np.linspace(-np.pi / 2, np.pi / 2, 9)


class Lens(Protocol):
    """What a figure is seen through; a camera at rest or in movement."""

    @property
    def stature(self) -> float:
        """The standing figure's height in the resting picture, picture sides."""

    @property
    def foot(self) -> tuple[float, float]:
        """Where it stands in the resting picture."""

    def zoom(self, seconds: Array) -> Array:
        """Magnification `[F]` at each time."""

    def project(self, points: Array, seconds: Array) -> Array:
        """Points of the resting picture `[F, ..., 2]` as filmed at each time `[F]`."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A capsule; half-widths at both ends in statures. `bias` lifts it over parts at the same depth."""

    start: str
    end: str
    start_width: float
    end_width: float
    material: str
    bias: float = 0.0


def _arm_and_leg(side: str) -> tuple[_Part, ...]:
    return (
        _Part(f"{side}_hip", f"{side}_knee", 0.056, 0.040, "trousers", 0.03),
        _Part(f"{side}_knee", f"{side}_ankle", 0.039, 0.027, "shin", 0.02),
        _Part(f"{side}_ankle", f"{side}_toe", 0.026, 0.022, "shoes", 0.025),
        _Part(f"{side}_shoulder", f"{side}_elbow", 0.037, 0.029, "shirt", 0.04),
        _Part(f"{side}_elbow", f"{side}_wrist", 0.028, 0.021, "forearm", 0.05),
        _Part(f"{side}_wrist", f"{side}_fingertip", 0.021, 0.019, "skin", 0.055),
    )


_TRUNK = (
    _Part("pelvis", "chest", 1.0, 1.0, "shirt", 0.01),
    _Part("pelvis_top", "pelvis_bottom", 1.0, 1.0, "trousers", 0.015),
    _Part("chest", "chin", 0.030, 0.028, "skin", 0.0),
    _Part("jaw", "skull", 1.0, 1.0, "head", 0.03),
)
_PARTS: tuple[_Part, ...] = _TRUNK + _arm_and_leg("left") + _arm_and_leg("right")
_HEAD = 3
# Depth and corner radius of trunk parts relative to their half-breadth.
_TRUNK_THICKNESS = 0.58
_TRUNK_CAP = 0.022
_TRUNK_SQUARENESS = 0.6


@dataclass(frozen=True, slots=True)
class Limbs:
    """All parts of one figure over time; F frames, P parts.

    Attributes:
        start: `[F, P, 2]`, picture sides; where the axis begins.
        length: `[F, P]`, picture sides.
        axis: `[F, P, 2]`, unit vector from start to end; its normal is (-y, x).
        width: `[F, P]`, mean half-width, picture sides.
        scale: `[F, 1]`, picture sides per stature.
        nominal_length: `[P]`, statures.
        nominal_width: `[P]`, statures.
        material: `[P]`, or `[F, P]` where it changes: index into the textures that the figure is painted with.
        outline: `[F, P, 18, 2]`, picture sides; convex.
        order: `[F, P]`, part numbers from the farthest to the nearest.
    """

    start: Array
    length: Array
    axis: Array
    width: Array
    scale: Array
    nominal_length: Array
    nominal_width: Array
    material: NDArray[np.int64]
    outline: Array
    order: NDArray[np.int64]


def project_skeleton(points: dict[str, Array], camera: Lens, seconds: Array) -> dict[str, Array]:
    """Joints as filmed: name → `[F, 2]` in picture sides. `points` are seen from the camera, `Skeleton.turned`."""
    foot = np.array(camera.foot)
    return {
        name: camera.project(foot + camera.stature * point[:, :2] * (1.0, -1.0), seconds)
        for name, point in points.items()
    }


def place_limbs(skeleton: Skeleton, body: Proportions, clothes: Clothes, camera: Lens, seconds: Array) -> Limbs:
    """Build the parts of a figure.

    Args:
        skeleton: As seen from the camera, `Skeleton.turned`.
        body: Its proportions.
        clothes: Decide which parts show skin.
        camera: Filming it.
        seconds: `[F]`, time of every frame of the skeleton.
    """
    points = _with_axis_ends(skeleton)
    flat = project_skeleton(points, camera, seconds)
    start = np.stack([flat[part.start] for part in _PARTS], axis=1)  # [F, P, 2]
    end = np.stack([flat[part.end] for part in _PARTS], axis=1)
    span = end - start
    length = np.linalg.norm(span, axis=-1)  # [F, P]
    axis = np.where(length[..., None] > 1e-6, span / np.maximum(length, 1e-6)[..., None], (0.0, -1.0))
    scale = (camera.stature * camera.zoom(seconds))[:, None]  # [F, 1]
    widths, caps = _half_widths(skeleton, body, axis)
    depth = np.stack([points[p.start][:, 2] + points[p.end][:, 2] + 2 * p.bias for p in _PARTS], axis=1)
    spans = np.stack([points[part.end] - points[part.start] for part in _PARTS], axis=1)  # [F, P, 3]
    return Limbs(
        start=start,
        length=length,
        axis=axis,
        width=widths.mean(axis=-1) * scale,
        scale=scale,
        nominal_length=np.linalg.norm(spans, axis=-1).max(axis=0),
        nominal_width=widths.mean(axis=-1).max(axis=0),
        material=np.array([_material(part, clothes) for part in _PARTS]),
        outline=_outlines(start, end, axis, widths * scale[..., None], caps * scale[..., None]),
        order=np.argsort(depth, axis=1, kind="stable"),
    )


def _with_axis_ends(skeleton: Skeleton) -> dict[str, Array]:
    """Add the ends of the parts that do not run from joint to joint."""
    up, pelvis, chin = skeleton.pelvis_axes[:, 1], skeleton.points["pelvis"], skeleton.points["chin"]
    head = skeleton.points["crown"] - chin
    return skeleton.points | {
        "pelvis_top": pelvis + 0.035 * up,
        "pelvis_bottom": pelvis - 0.025 * up,
        "jaw": chin + JAW * head,
        "skull": chin + SKULL * head,
    }


def _material(part: _Part, clothes: Clothes) -> int:
    worn = {
        "forearm": "shirt" if clothes.has_long_sleeves else "skin",
        "shin": "trousers" if clothes.has_long_legs else "skin",
    }
    return MATERIALS.index(worn.get(part.material, part.material))


def _half_widths(skeleton: Skeleton, body: Proportions, axis: Array) -> tuple[Array, Array]:
    """Half-widths and cap lengths at both ends, `[F, P, 2]` each, in statures."""
    widths = np.array([[part.start_width, part.end_width] for part in _PARTS]) * body.girth  # [P, 2]
    widths = np.tile(widths, (len(axis), 1, 1))
    caps = widths.copy()
    widths[:, _HEAD] = np.array([0.29, 0.38]) * body.head
    caps[:, _HEAD] = np.array([JAW, 1 - SKULL]) * body.head
    for part, axes, breadths in (
        (0, skeleton.torso_axes, (0.072 * body.girth + 0.25 * body.half_hips, body.half_shoulders + 0.006)),
        (1, skeleton.pelvis_axes, (0.068 * body.girth + 0.25 * body.half_hips, 0.05 + 0.3 * body.half_hips)),
    ):
        # An ellipse seen from the side: project its two half-axes on the part's normal in the picture.
        normal = np.stack([-axis[:, part, 1], axis[:, part, 0]], axis=-1) * (1.0, -1.0)
        left, forward = (np.einsum("fi,fi->f", axes[:, k, :2], normal) for k in (0, 2))
        seen = np.hypot(left, _TRUNK_THICKNESS * forward)[:, None]  # [F, 1]
        widths[:, part] = seen * np.array(breadths)
        caps[:, part] = _TRUNK_CAP
    return widths, caps


def _outlines(start: Array, end: Array, axis: Array, widths: Array, caps: Array) -> Array:
    """Closed outlines `[F, P, 18, 2]`: an arc around each end; trunk parts have squarer corners."""
    power = np.ones(len(_PARTS))
    power[:2] = _TRUNK_SQUARENESS
    cos = np.cos(_ARC) ** power[:, None]  # [P, 9]
    sin = np.sign(np.sin(_ARC)) * np.abs(np.sin(_ARC)) ** power[:, None]
    normal = np.stack([-axis[..., 1], axis[..., 0]], axis=-1)

    def arc(center: Array, forward: Array, sideways: Array) -> Array:
        return (
            center[:, :, None]
            + (cos * forward[..., None])[..., None] * axis[:, :, None]
            + (sin * sideways[..., None])[..., None] * normal[:, :, None]
        )

    far = arc(end, caps[..., 1], widths[..., 1])
    near = arc(start, -caps[..., 0], -widths[..., 0])
    return np.concatenate([far, near], axis=2)
