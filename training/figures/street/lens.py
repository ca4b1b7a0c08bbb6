"""How the camera of the street set sees people: its movement over time, and where a body is in its picture.

Positions are in short sides of the picture: (0, 0) is the top left corner of the frame of a camera at rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.skeleton import Skeleton, pose_skeleton, rotations
from cocon.training.figures.street.movements import Moves, move
from cocon.training.figures.street.scenes import Person, StreetPlan

__all__ = ["Motion", "PersonLens", "camera_motion", "place_body", "seat_corners", "seen_body"]

Array = NDArray[np.float64]

# Distance at which a person fills the short side, in statures: that of a phone's wide camera.
_FOCAL_LENGTH = 1.25
_SHAKE_SIZE = 0.02
# Room between a body on the ground and the lowest of its joints, in statures.
_LYING_HEIGHT = 0.05
_TRUNK = ("pelvis", "chest")


@dataclass(frozen=True, slots=True)
class Motion:
    """Where the camera looks over time.

    Attributes:
        centre: `[2]`, middle of the picture, short sides.
        pan: `[F, 2]`, displacement of the picture.
        zoom: `[F]`, magnification about the middle.
        roll: `[F]`, radians.
    """

    centre: Array
    pan: Array
    zoom: Array
    roll: Array

    def turn(self) -> Array:
        """Rotation and magnification from the resting to the filmed picture, `[F, 2, 2]`."""
        cos, sin = np.cos(self.roll) * self.zoom, np.sin(self.roll) * self.zoom
        return np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)

    def project(self, points: Array, nearness: Array) -> Array:
        """Points of the resting picture `[F, ..., 2]` as filmed, `nearness` `[F]` times as large."""
        turned = np.einsum("fij,f...j->f...i", self.turn() * nearness[:, None, None], points - self.centre)
        return np.asarray(turned + self.centre + self.pan.reshape(-1, *(1,) * (points.ndim - 2), 2))


@dataclass(frozen=True, slots=True)
class PersonLens:
    """The camera as one person is seen through it, who may come nearer; a `Lens` for the moments of its motion."""

    stature: float
    foot: tuple[float, float]
    motion: Motion
    nearness: Array

    def zoom(self, seconds: Array) -> Array:
        """Magnification `[F]` at each of the motion's times."""
        return np.asarray(self.motion.zoom * self.nearness)

    def project(self, points: Array, seconds: Array) -> Array:
        """Points of the resting picture `[F, ..., 2]` as filmed at each of the motion's times."""
        return self.motion.project(points, self.nearness)


def camera_motion(plan: StreetPlan, seconds: Array, passing: Array) -> Motion:
    """The movement of the camera.

    Args:
        plan: of the video.
        seconds: `[F]`.
        passing: `[F]`, where the person is to whom the video belongs, from left to right, in short sides.
    """
    recorder, rng = plan.recorder, np.random.default_rng(plan.recorder.seed)
    short_px = min(plan.width_px, plan.height_px)
    shake = _SHAKE_SIZE * recorder.strength * (recorder.handling != "tripod")
    pan = np.stack([shake * _tremor(rng, seconds) for _ in range(2)], axis=-1)
    roll, zoom = 0.8 * shake * _tremor(rng, seconds), np.ones(len(seconds))
    angle, share = rng.uniform(0, 2 * np.pi), np.linspace(-0.5, 0.5, len(seconds))
    match recorder.handling:
        case "pan":
            pan += np.outer(share * 0.5 * recorder.strength, (np.cos(angle), 0.3 * np.sin(angle)))
        case "follow":
            pan[:, 0] -= _lagging(passing, seconds) - np.median(passing)
        case "zoom":
            zoom = np.exp(share * 0.6 * recorder.strength * np.sign(np.cos(angle)))
        case _:
            pass
    centre = np.array([plan.width_px, plan.height_px]) / (2 * short_px)
    return Motion(centre, pan, zoom, roll)


def _tremor(rng: np.random.Generator, seconds: Array) -> Array:
    """A hand's: slow and large, quick and small."""
    hertz = rng.uniform(0.2, 1.2, 4) * np.array([0.6, 1.5, 3.5, 7.0])
    phase = rng.random(4)
    return np.asarray(np.sin(2 * np.pi * (np.outer(seconds, hertz) + phase)) @ (1 / (0.5 + hertz)))


def _lagging(path: Array, seconds: Array) -> Array:
    """The mean of the last quarter of a second."""
    width = max(1, round(0.25 / max(1e-3, seconds[1] - seconds[0])))
    padded = np.concatenate([np.full(width - 1, path[0]), path])
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def place_body(person: Person, label: str, plan: StreetPlan, seconds: Array) -> tuple[Skeleton, Array, Array]:
    """Move a body.

    Returns:
        The skeleton as the camera sees it, `[F]` how far it came towards the camera in statures, and `[F]` where its
        face looks, degrees, 0 towards the camera, positive to the right.
    """
    room = _room(person, plan)
    moves = move(label, person.timing, person.start_share, person.variant, seconds, room)
    skeleton = _carried(pose_skeleton(person.body.proportions, moves.angles), moves)
    seen = skeleton.turned(person.yaw_degrees, plan.recorder.elevation_degrees)
    yaw = np.deg2rad(person.yaw_degrees)
    return seen, moves.forward * np.cos(yaw), person.yaw_degrees + moves.heading


def _room(person: Person, plan: StreetPlan) -> float:
    """How far one may walk, in statures: out of the picture by a step, or nearly to the camera."""
    across = abs(np.sin(np.deg2rad(person.yaw_degrees)))
    half_width = 0.5 * plan.width_px / (person.height * plan.height_px)
    return float(min((half_width + 0.35) / max(across, 1e-3), 2.5 + 1.5 * person.variant))


def seat_corners(person: Person, plan: StreetPlan) -> Array:
    """Corners `[2, 8, 2]` of the seat behind a person and of its back, in the resting picture as `project` takes them.

    The first four of eight are above the others.
    """
    high = person.body.proportions.shin - 0.02
    boxes = (((-0.15, 0.15), (high, 0.0), (-0.38, -0.05)), ((-0.15, 0.15), (high + 0.3, high), (-0.4, -0.36)))
    corners = np.array(
        [
            [(x, y, z) for y in ys for x, z in zip((*xs, *xs[::-1]), np.repeat(zs, 2), strict=True)]
            for xs, ys, zs in boxes
        ]
    )
    turn = rotations(0, np.array([plan.recorder.elevation_degrees])) @ rotations(1, np.array([person.yaw_degrees]))
    return np.asarray(np.einsum("ij,bcj->bci", turn[0], corners)[..., :2] * (1.0, -1.0))


def seen_body(person: Person, plan: StreetPlan, skeleton: Skeleton, nearness: Array, motion: Motion) -> PersonLens:
    """The lens through which a person stands where the plan says."""
    short_px = min(plan.width_px, plan.height_px)
    width, height = plan.width_px / short_px, plan.height_px / short_px
    stature = person.height * height
    foot = (person.centre[0] * width, person.centre[1] * height + 0.5 * stature)
    towards = nearness * stature / _FOCAL_LENGTH
    magnification = np.where(towards > 0, 1 + np.maximum(towards, 0), 1 / (1 - np.minimum(towards, 0)))
    return PersonLens(stature, foot, motion, magnification)


def _carried(skeleton: Skeleton, moves: Moves) -> Skeleton:
    """The body tilted to the ground, turned, and moved on."""
    names = list(skeleton.points)
    points = np.stack([skeleton.points[name] for name in names], axis=1)  # [F, n, 3]
    if moves.is_walking:
        points[..., [0, 2]] -= points[:, names.index("pelvis"), None][..., [0, 2]]
    tilt = rotations(2, -moves.side_tilt) @ rotations(0, moves.tilt)
    points = np.einsum("fij,fnj->fni", tilt, points)
    lying = np.clip((np.abs(moves.tilt) + np.abs(moves.side_tilt)) / 30, 0, 1)
    points[..., 1] -= (lying * (points[..., 1].min(axis=1) - _LYING_HEIGHT))[:, None]
    turn = rotations(1, moves.heading)
    points = np.einsum("fij,fnj->fni", turn, points)
    points[..., 2] += moves.forward[:, None]
    axes = (np.einsum("fij,faj->fai", turn @ tilt, each) for each in (skeleton.torso_axes, skeleton.pelvis_axes))
    return Skeleton({name: points[:, k] for k, name in enumerate(names)}, *axes)
