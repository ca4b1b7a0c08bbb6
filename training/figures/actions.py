"""What the figures do: every action class as joint-angle trajectories over one cycle.

A track lists (phase in cycles, value) keys of one joint; between keys it runs as a monotone cubic, so nothing
overshoots, and it repeats every cycle. A track whose last key is at phase 1 gains that much per cycle (an arm that
goes round). All angles are in degrees; `hop` is a height in statures.

Two pairs are told apart by their course in time, hardly by a still picture: `arm circle` and `arm swing` pass through
the same poses, one going round, one going back; `jump` starts from the pose that `squat` sinks into.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACTIONS",
    "JOINTS",
    "LABELS",
    "REST",
    "Track",
    "both_sides",
    "in_turn",
    "joint_angles",
    "mirror_angles",
    "monotone_cubic",
    "periodic_angles",
]

Track = tuple[tuple[float, float], ...]

# Flexion is forward, abduction outward, roll and twist to the person's left; elbow_roll 0 bends the forearm forward.
_CENTRE = ("torso_pitch", "torso_roll", "torso_twist", "head_nod", "hop")
_SIDED = ("shoulder_flex", "shoulder_abduct", "elbow", "elbow_roll", "hip_flex", "hip_abduct", "knee")
JOINTS: tuple[str, ...] = _CENTRE + tuple(f"{side}_{joint}" for side in ("left", "right") for joint in _SIDED)
_REST_DEGREES = {"shoulder_abduct": 9.0, "elbow": 14.0, "hip_abduct": 4.0, "hip_flex": 2.0, "knee": 4.0}
REST: NDArray[np.float64] = np.array([_REST_DEGREES.get(joint.split("_", 1)[-1], 0.0) for joint in JOINTS])
_ROLLING = ("torso_roll", "torso_twist")


def both_sides(joint: str, *keys: tuple[float, float]) -> dict[str, Track]:
    """The same keys for the joint of the left and of the right side."""
    return {f"left_{joint}": keys, f"right_{joint}": keys}


def in_turn(joint: str, *keys: tuple[float, float]) -> dict[str, Track]:
    """The left side follows the keys, the right side half a cycle later."""
    later = sorted(((phase + 0.5) % 1.0, value) for phase, value in keys)
    return {f"left_{joint}": keys, f"right_{joint}": tuple(later)}


_RAISED_SIDEWAYS = both_sides("shoulder_abduct", (0, 12), (0.42, 168), (0.55, 168), (0.95, 12)) | both_sides(
    "elbow", (0, 8), (0.42, 18), (0.55, 18), (0.95, 8)
)
_RAISED_SIDEWAYS |= both_sides("elbow_roll", (0, 90))
_SWUNG_ARM = both_sides("shoulder_abduct", (0, 6)) | both_sides("elbow", (0, 6))

ACTIONS: Mapping[str, Mapping[str, Track]] = {
    "arm circle": _SWUNG_ARM | both_sides("shoulder_flex", (0, -60), (1, 300)),
    "arm swing": _SWUNG_ARM | both_sides("shoulder_flex", (0, -60), (0.5, 185)),
    "bow": both_sides("hip_flex", (0.1, 0), (0.45, -9), (0.62, -9), (0.98, 0))
    | {
        "torso_pitch": ((0.1, 2), (0.45, 78), (0.62, 78), (0.98, 2)),
        "head_nod": ((0.1, 0), (0.45, 18), (0.62, 18), (0.98, 0)),
    }
    | both_sides("shoulder_flex", (0.1, 0), (0.45, 22), (0.62, 22), (0.98, 0)),
    "clap overhead": _RAISED_SIDEWAYS,
    "jump": both_sides("hip_flex", (0, 4), (0.3, 72), (0.45, 0), (0.68, 0), (0.8, 40))
    | both_sides("knee", (0, 6), (0.3, 100), (0.45, 4), (0.68, 8), (0.8, 62))
    | both_sides("shoulder_flex", (0, 0), (0.3, -45), (0.48, 150), (0.8, 30))
    | {"torso_pitch": ((0, 3), (0.3, 36), (0.45, 0), (0.68, 2), (0.8, 18)), "hop": ((0.42, 0), (0.56, 0.11), (0.7, 0))},
    "jumping jack": _RAISED_SIDEWAYS
    | both_sides("hip_abduct", (0, 2), (0.42, 24), (0.55, 24), (0.95, 2))
    | {"hop": ((0.02, 0), (0.2, 0.05), (0.4, 0), (0.57, 0), (0.75, 0.05), (0.93, 0))},
    "kick": {
        "left_hip_flex": ((0, -8), (0.22, -28), (0.36, 45), (0.48, 88), (0.62, 45), (0.85, -8)),
        "left_knee": ((0, 8), (0.22, 55), (0.36, 85), (0.48, 4), (0.62, 60), (0.85, 8)),
        "torso_pitch": ((0, 2), (0.22, 8), (0.48, -14), (0.85, 2)),
        "right_shoulder_flex": ((0, 0), (0.22, -25), (0.48, 55), (0.85, 0)),
        "left_shoulder_flex": ((0, 0), (0.22, 30), (0.48, -35), (0.85, 0)),
    },
    "punch": in_turn("shoulder_flex", (0.06, 30), (0.18, 88), (0.24, 88), (0.38, 30))
    | in_turn("elbow", (0.06, 122), (0.18, 4), (0.24, 4), (0.38, 122))
    | both_sides("shoulder_abduct", (0, 12))
    | both_sides("hip_abduct", (0, 9))
    | both_sides("knee", (0, 14))
    | both_sides("hip_flex", (0, 8))
    | {"torso_twist": ((0.06, 0), (0.2, -24), (0.38, 0), (0.56, 0), (0.7, 24), (0.88, 0))},
    "side bend": in_turn("shoulder_abduct", (0.03, 10), (0.22, 160), (0.32, 160), (0.5, 10))
    | both_sides("hip_abduct", (0, 11))
    | {"torso_roll": ((0, 0), (0.22, -34), (0.32, -34), (0.5, 0), (0.72, 34), (0.82, 34))},
    "squat": both_sides("hip_flex", (0, 4), (0.4, 84), (0.55, 84), (0.95, 4))
    | both_sides("knee", (0, 6), (0.4, 112), (0.55, 112), (0.95, 6))
    | both_sides("shoulder_flex", (0, 0), (0.4, 112), (0.55, 112), (0.95, 0))
    | both_sides("hip_abduct", (0, 9))
    | {"torso_pitch": ((0, 2), (0.4, 34), (0.55, 34), (0.95, 2))},
    "walk in place": in_turn("hip_flex", (0, 0), (0.25, 68), (0.5, 0))
    | in_turn("knee", (0, 5), (0.22, 88), (0.5, 5))
    | in_turn("shoulder_flex", (0.25, -34), (0.75, 40))
    | both_sides("elbow", (0, 55)),
    "wave": {
        "left_shoulder_abduct": ((0, 112),),
        "left_shoulder_flex": ((0, 8),),
        "left_elbow_roll": ((0, 90),),
        "left_elbow": ((0, 22), (0.25, 88), (0.5, 22), (0.75, 88)),
        "torso_roll": ((0, -3), (0.25, 3), (0.5, -3), (0.75, 3)),
    },
}
LABELS: tuple[str, ...] = tuple(sorted(ACTIONS))


def joint_angles(label: str, phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """The joint angles of an action at each phase.

    Args:
        label: One of `LABELS`.
        phase: `[F]`, in cycles; any real numbers.

    Returns:
        `float64 [F, len(JOINTS)]`, degrees (`hop` in statures); joints the action leaves alone are at `REST`.
    """
    return periodic_angles(ACTIONS[label], phase)


def periodic_angles(tracks: Mapping[str, Track], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """The joint angles of tracks by joint at each phase `[F]`, as `joint_angles` returns."""
    angles = np.tile(REST, (len(phase), 1))  # [F, J]
    for joint, track in tracks.items():
        angles[:, JOINTS.index(joint)] = _periodic(track, phase)
    return angles


def mirror_angles(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same movement done with the other hand and foot.

    Args:
        angles: `[F, len(JOINTS)]`, degrees.

    Returns:
        A new array of the same shape with left and right exchanged.
    """
    swap = {"left": "right", "right": "left"}
    sources = [JOINTS.index("_".join([swap.get(head, head), *tail])) for head, *tail in (j.split("_") for j in JOINTS)]
    signs = np.array([-1.0 if joint in _ROLLING else 1.0 for joint in JOINTS])
    return angles[:, sources] * signs


def _periodic(track: Track, phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """A track at each phase `[F]`, in cycles: a monotone cubic through its keys, continued periodically."""
    gain = track[-1][1] - track[0][1] if track[-1][0] == 1 else 0.0
    keys = np.array([key for key in track if key[0] < 1], dtype=np.float64)
    steps = np.array([-2, -1, 0, 1, 2])[:, None]
    x = (keys[:, 0] + steps).ravel()
    y = (keys[:, 1] + steps * gain).ravel()
    turns = np.floor(phase)
    return monotone_cubic(x, y, phase - turns) + turns * gain


def monotone_cubic(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve through points by Fritsch and Carlson's slopes, level at both ends.

    Args:
        x: `[K]`, increasing.
        y: `[K]`.
        at: `[F]`, each at least the first x and below the last.
    """
    secants = np.diff(y) / np.diff(x)
    before, after = secants[:-1], secants[1:]
    same_sign = before * after > 0
    harmonic = 2 * before * after / np.where(same_sign, before + after, 1.0)
    slopes = np.pad(np.where(same_sign, harmonic, 0.0), 1)

    k = np.searchsorted(x, at, side="right") - 1
    width = x[k + 1] - x[k]
    u = (at - x[k]) / width
    return np.asarray(
        y[k] * (1 + 2 * u) * (1 - u) ** 2
        + slopes[k] * width * u * (1 - u) ** 2
        + y[k + 1] * u**2 * (3 - 2 * u)
        + slopes[k + 1] * width * u**2 * (u - 1)
    )
