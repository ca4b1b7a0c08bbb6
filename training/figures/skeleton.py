"""From joint angles to joint positions: bone lengths and forward kinematics.

Axes of the person: x to the person's left, y up, z forward. Lengths are in statures (standing height 1).
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.actions import JOINTS

__all__ = ["KEYPOINTS", "Proportions", "Skeleton", "draw_proportions", "pose_skeleton", "rotations"]

Array = NDArray[np.float64]

# COCO's order; left is the person's left.
KEYPOINTS: tuple[str, ...] = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
)  # fmt: skip
_SIDES = (("left", 1.0), ("right", -1.0))
_ANKLE_HEIGHT = 0.04
# Height difference, in statures, over which the weight moves from one foot to the other.
_SUPPORT_SOFTNESS = 0.02


@dataclass(frozen=True, slots=True)
class Proportions:
    """Bone lengths, half-breadths and thickness of one body, in statures (`girth` is a factor on all thicknesses)."""

    thigh: float = 0.240
    shin: float = 0.235
    torso: float = 0.295
    neck: float = 0.045
    head: float = 0.145
    upper_arm: float = 0.165
    forearm: float = 0.140
    hand: float = 0.050
    foot: float = 0.085
    half_shoulders: float = 0.115
    half_hips: float = 0.058
    girth: float = 1.0


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joint positions of one body over time.

    Attributes:
        points: Name → `float64 [F, 3]`; the names of `KEYPOINTS` and pelvis, chest, chin, crown, left_/right_
            fingertip and toe.
        torso_axes: `float64 [F, 3, 3]`, rows: the torso's left, up and forward.
        pelvis_axes: The same for the pelvis.
    """

    points: dict[str, Array]
    torso_axes: Array
    pelvis_axes: Array

    def turned(self, yaw_degrees: float, elevation_degrees: float) -> "Skeleton":
        """The skeleton as a camera sees it: x right, y up, z towards the camera, which looks down by the elevation."""
        turn = rotations(0, np.array([elevation_degrees])) @ rotations(1, np.array([yaw_degrees]))  # [1, 3, 3]
        points = {name: np.einsum("ij,fj->fi", turn[0], point) for name, point in self.points.items()}
        axes = (np.einsum("ij,faj->fai", turn[0], each) for each in (self.torso_axes, self.pelvis_axes))
        return Skeleton(points, *axes)


def draw_proportions(rng: np.random.Generator) -> Proportions:
    """Draw a body: every length varies by itself, and the parts again add up to one stature."""
    spread = {"girth": 0.2, "half_shoulders": 0.1, "half_hips": 0.1, "head": 0.08}
    drawn = replace(
        Proportions(),
        **{
            field.name: getattr(Proportions(), field.name)
            * float(1 + spread.get(field.name, 0.07) * rng.uniform(-1, 1))
            for field in fields(Proportions)
        },
    )
    stature = drawn.thigh + drawn.shin + _ANKLE_HEIGHT + drawn.torso + drawn.neck + drawn.head
    scaled = {name: getattr(drawn, name) / stature for name in ("thigh", "shin", "torso", "neck", "head")}
    return replace(drawn, **scaled)


def pose_skeleton(body: Proportions, angles: Array) -> Skeleton:
    """Forward kinematics, standing on whichever foot is lowest.

    Args:
        body: The bone lengths.
        angles: `[F, len(JOINTS)]`, degrees, as `actions.joint_angles` returns.

    Returns:
        The joints of every frame; the ground is y = 0, the standing feet stay where they are.
    """
    angle = {joint: angles[:, column] for column, joint in enumerate(JOINTS)}
    still = np.broadcast_to(np.eye(3), (len(angles), 3, 3))
    torso = rotations(1, angle["torso_twist"]) @ rotations(0, angle["torso_pitch"]) @ rotations(2, -angle["torso_roll"])
    head = torso @ rotations(0, angle["head_nod"])
    points = {"pelvis": np.zeros((len(angles), 3))}
    _add_upper_body(points, body, angle, torso, head)
    for side, sign in _SIDES:
        _add_leg(points, body, angle, side, sign)
    _stand(points, body, angle)
    return Skeleton(points, torso.transpose(0, 2, 1), np.array(still))


def rotations(axis: int, degrees: Array) -> Array:
    """Rotation matrices `[F, 3, 3]` about x (0, up tips forward), y (1, forward turns left) or z (2, left tips up)."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((len(degrees), 3, 3))
    matrix[:, axis, axis] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = c
    matrix[:, second, first] = s
    matrix[:, first, second] = -s
    return matrix


def _limb_directions(flex: Array, abduct: Array, sign: float) -> tuple[Array, Array, Array]:
    """Unit vectors of a limb that hangs down at zero: along it, and the way it moves when flexed and when abducted."""
    cf, sf = np.cos(np.deg2rad(flex)), np.sin(np.deg2rad(flex))
    ca, sa = np.cos(np.deg2rad(abduct)), np.sin(np.deg2rad(abduct))
    along = np.stack([sign * sa * cf, -ca * cf, sf], axis=-1)  # [F, 3]
    flexing = np.stack([-sign * sa * sf, ca * sf, cf], axis=-1)
    abducting = np.stack([sign * ca, sa, np.zeros_like(ca)], axis=-1)
    return along, flexing, abducting


def _apply(rotation: Array, vector: Array) -> Array:
    return np.einsum("fij,fj->fi", rotation, np.broadcast_to(vector, (len(rotation), 3)))


def _add_upper_body(
    points: dict[str, Array], body: Proportions, angle: dict[str, Array], torso: Array, head: Array
) -> None:
    points["chest"] = points["pelvis"] + _apply(torso, np.array([0.0, body.torso, 0.0]))
    points["chin"] = points["chest"] + _apply(torso, np.array([0.0, body.neck, 0.0]))
    points["crown"] = points["chin"] + _apply(head, np.array([0.0, body.head, 0.0]))
    points["nose"] = points["chin"] + _apply(head, body.head * np.array([0.0, 0.42, 0.34]))
    for side, sign in _SIDES:
        points[f"{side}_eye"] = points["chin"] + _apply(head, body.head * np.array([0.15 * sign, 0.55, 0.30]))
        points[f"{side}_ear"] = points["chin"] + _apply(head, body.head * np.array([0.34 * sign, 0.48, 0.0]))
        along, flexing, abducting = _limb_directions(
            angle[f"{side}_shoulder_flex"], angle[f"{side}_shoulder_abduct"], sign
        )
        roll, bend = np.deg2rad(angle[f"{side}_elbow_roll"])[:, None], np.deg2rad(angle[f"{side}_elbow"])[:, None]
        forearm = np.cos(bend) * along + np.sin(bend) * (np.cos(roll) * flexing + np.sin(roll) * abducting)
        shoulder = points["chest"] + _apply(torso, np.array([sign * body.half_shoulders, -0.012, 0.0]))
        points[f"{side}_shoulder"] = shoulder
        points[f"{side}_elbow"] = shoulder + body.upper_arm * _apply(torso, along)
        points[f"{side}_wrist"] = points[f"{side}_elbow"] + body.forearm * _apply(torso, forearm)
        points[f"{side}_fingertip"] = points[f"{side}_wrist"] + body.hand * _apply(torso, forearm)


def _add_leg(points: dict[str, Array], body: Proportions, angle: dict[str, Array], side: str, sign: float) -> None:
    flex, abduct = angle[f"{side}_hip_flex"], angle[f"{side}_hip_abduct"]
    thigh, _, _ = _limb_directions(flex, abduct, sign)
    shin, instep, _ = _limb_directions(flex - angle[f"{side}_knee"], abduct, sign)
    points[f"{side}_hip"] = points["pelvis"] + np.array([sign * body.half_hips, 0.0, 0.0])
    points[f"{side}_knee"] = points[f"{side}_hip"] + body.thigh * thigh
    points[f"{side}_ankle"] = points[f"{side}_knee"] + body.shin * shin
    points[f"{side}_toe"] = points[f"{side}_ankle"] + body.foot * instep


def _stand(points: dict[str, Array], body: Proportions, angle: dict[str, Array]) -> None:
    """Shift the body so that the foot that bears the weight stays in place, flat on the ground, and add the hop."""
    ankles = np.stack([points[f"{side}_ankle"] for side, _ in _SIDES])  # [2, F, 3]
    lowest = ankles[..., 1].min(axis=0)
    bearing = np.exp(-(ankles[..., 1] - lowest) / _SUPPORT_SOFTNESS)
    share = (bearing / bearing.sum(axis=0))[..., None]  # [2, F, 1]
    homes = np.array([[sign * body.half_hips, 0.0, 0.0] for _, sign in _SIDES])[:, None]
    shift = -(share * (ankles - homes)).sum(axis=0)  # [F, 3]
    shift[:, 1] = _ANKLE_HEIGHT - lowest + angle["hop"]
    flat = np.array([0.0, -0.3, 0.95])
    for (side, _), weight in zip(_SIDES, bearing, strict=True):
        instep = points[f"{side}_toe"] - points[f"{side}_ankle"]
        points[f"{side}_toe"] = points[f"{side}_ankle"] + instep + weight[:, None] * (body.foot * flat - instep)
    for name in points:
        points[name] = points[name] + shift
