"""What people do in the street set: the actions of `actions`, and movements that happen once or lead somewhere.

    moves = move("fall", timing, start_share=0.4, variant=0.9, seconds=np.arange(90) / 30)
    moves.angles, moves.tilt                # float64 [90, J], [90]

A movement that happens once has standing or sitting before and after it. Besides the joints it may carry the whole
body: `forward` in statures, `heading`, `tilt` (forward) and `side_tilt` in degrees; a body that tilts lies down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.actions import (
    ACTIONS,
    JOINTS,
    LABELS,
    REST,
    Track,
    both_sides,
    in_turn,
    joint_angles,
    mirror_angles,
    monotone_cubic,
    periodic,
)
from cocon.training.figures.planning import Timing

__all__ = ["STREET_LABELS", "Moves", "move"]

Array = NDArray[np.float64]

_CARRIED = ("forward", "heading", "tilt", "side_tilt")
# What is done once is done with more unrest than what is repeated: nobody stands like a statue.
_IDLE_UNREST = 2.0
# Out of idling into an action that repeats.
_BLEND_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Once:
    """Keys over the movement's own time, 0 to 1; before and after it the first and the last key hold."""

    tracks: Mapping[str, Track]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Gait:
    """A cycle that carries the body on: statures a second at one cycle a second."""

    tracks: Mapping[str, Track]
    cycles_per_second: float
    statures_per_cycle: float


@dataclass(frozen=True, slots=True)
class Moves:
    """A body's movement over time, F frames.

    Attributes:
        angles: `[F, len(JOINTS)]`, degrees, as `actions.joint_angles` returns.
        forward: `[F]`, statures, along the direction that the person faces at heading 0.
        heading: `[F]`, degrees to the person's left.
        tilt: `[F]`, degrees: how far the whole body has fallen forward.
        side_tilt: `[F]`, degrees: to the person's left.
        is_walking: whether feet come down where they are rather than where they were.
    """

    angles: Array
    forward: Array
    heading: Array
    tilt: Array
    side_tilt: Array
    is_walking: bool


_SITTING = (
    both_sides("hip_flex", (0, 88))
    | both_sides("knee", (0, 92))
    | both_sides("shoulder_flex", (0, 26))
    | both_sides("elbow", (0, 58))
    | both_sides("hip_abduct", (0, 8))
    | {"torso_pitch": ((0, 4),)}
)
_SIT_DOWN = (
    both_sides("hip_flex", (0, 2), (0.55, 62), (1, 88))
    | both_sides("knee", (0, 4), (0.55, 72), (1, 92))
    | both_sides("shoulder_flex", (0, 0), (0.5, 48), (1, 26))
    | both_sides("elbow", (0, 14), (1, 58))
    | both_sides("hip_abduct", (0, 4), (1, 8))
    | {"torso_pitch": ((0, 2), (0.55, 42), (0.85, 26), (1, 4)), "head_nod": ((0, 0), (0.4, 14), (1, 0))}
)


def _reversed(tracks: Mapping[str, Track]) -> dict[str, Track]:
    return {joint: tuple((1 - at, value) for at, value in reversed(track)) for joint, track in tracks.items()}


_STEPS = in_turn("hip_flex", (0, 0), (0.12, 30), (0.25, 0)) | in_turn("knee", (0, 5), (0.12, 48), (0.25, 5))

_ONCE: Mapping[str, _Once] = {
    "bend": _Once(
        {"torso_pitch": ((0, 2), (0.4, 82), (0.6, 82), (1, 2)), "head_nod": ((0, 0), (0.4, 12), (0.6, 12), (1, 0))}
        | both_sides("shoulder_flex", (0, 0), (0.4, 88), (0.6, 88), (1, 0))
        | both_sides("hip_flex", (0, 2), (0.4, 26), (0.6, 26), (1, 2))
        | both_sides("knee", (0, 4), (0.4, 42), (0.6, 42), (1, 4)),
        2.0,
    ),
    "fall": _Once(
        {
            "tilt": ((0, 0), (0.3, 8), (0.55, 38), (0.8, 84), (1, 87)),
            "torso_pitch": ((0, 2), (0.3, 14), (0.6, -12), (0.85, 6), (1, 0)),
        }
        | both_sides("hip_flex", (0, 2), (0.35, 40), (0.7, 18), (1, 6))
        | both_sides("knee", (0, 4), (0.35, 58), (0.7, 40), (1, 22))
        | both_sides("shoulder_flex", (0, 0), (0.35, 62), (0.7, 118), (1, 100))
        | both_sides("shoulder_abduct", (0, 9), (0.4, 48), (1, 40))
        | both_sides("elbow", (0, 14), (0.45, 30), (1, 62)),
        1.1,
    ),
    "lift": _Once(
        {"torso_pitch": ((0, 2), (0.28, 54), (0.4, 54), (0.62, 4), (1, -6))}
        | both_sides("hip_flex", (0, 2), (0.28, 78), (0.4, 78), (0.62, 6), (1, 2))
        | both_sides("knee", (0, 4), (0.28, 104), (0.4, 104), (0.62, 8), (1, 4))
        | both_sides("shoulder_flex", (0, 0), (0.28, 74), (0.4, 74), (0.62, 46), (1, 172))
        | both_sides("elbow", (0, 14), (0.28, 12), (0.4, 14), (0.62, 96), (1, 14))
        | both_sides("hip_abduct", (0, 4), (0.28, 14), (0.4, 14), (0.62, 6)),
        2.2,
    ),
    "push": _Once(
        {"torso_pitch": ((0, 2), (0.3, 0), (0.6, 26), (0.8, 26), (1, 2)), "left_hip_flex": ((0, 2), (0.3, 34), (1, 24))}
        | both_sides("shoulder_flex", (0, 0), (0.28, 34), (0.6, 68), (0.8, 68), (1, 0))
        | both_sides("elbow", (0, 14), (0.28, 124), (0.6, 6), (0.8, 6), (1, 14))
        | {"left_knee": ((0, 4), (0.3, 44), (1, 34)), "right_hip_flex": ((0, 2), (0.3, 0), (0.6, -24), (1, -14))}
        | {"forward": ((0, 0), (0.3, 0.02), (0.65, 0.2), (1, 0.2))},
        1.5,
    ),
    "sit": _Once(_SITTING, 1.0),
    "sit down": _Once(_SIT_DOWN, 1.5),
    "stand": _Once({}, 1.0),
    "stand up": _Once(_reversed(_SIT_DOWN), 1.4),
    "throw": _Once(
        {
            "right_shoulder_flex": ((0, 0), (0.35, -28), (0.52, 70), (0.62, 122), (0.8, 34), (1, 4)),
            "right_shoulder_abduct": ((0, 9), (0.35, 96), (0.52, 92), (0.64, 34), (0.8, 4), (1, 9)),
            "right_elbow": ((0, 14), (0.35, 106), (0.5, 96), (0.62, 4), (0.8, 16), (1, 14)),
            "left_shoulder_flex": ((0, 0), (0.35, 72), (0.62, -18), (1, 0)),
            "torso_twist": ((0, 0), (0.35, -48), (0.62, 40), (0.8, 30), (1, 0)),
            "torso_pitch": ((0, 2), (0.35, -14), (0.62, 24), (0.8, 28), (1, 2)),
            "left_hip_flex": ((0, 2), (0.3, 46), (0.5, 26), (1, 12)),
            "left_knee": ((0, 4), (0.3, 58), (0.5, 16), (1, 12)),
        },
        1.3,
    ),
    "turn": _Once({"heading": ((0, 0), (1, 150))} | _STEPS, 1.4),
}
_GAITS: Mapping[str, _Gait] = {
    "run through": _Gait(
        in_turn("hip_flex", (0, 38), (0.38, -26), (0.78, 58))
        | in_turn("knee", (0, 22), (0.16, 40), (0.36, 20), (0.62, 112), (0.88, 48))
        | in_turn("shoulder_flex", (0.1, -46), (0.6, 44))
        | both_sides("elbow", (0, 92))
        | {"torso_pitch": ((0, 12),), "hop": ((0, 0), (0.22, 0.05), (0.5, 0), (0.72, 0.05))}
        | {"torso_twist": ((0, 10), (0.5, -10))},
        1.35,
        1.35,
    ),
    "walk through": _Gait(
        in_turn("hip_flex", (0, 28), (0.52, -20), (0.84, 32))
        | in_turn("knee", (0, 5), (0.15, 16), (0.4, 5), (0.56, 26), (0.72, 62), (0.94, 8))
        | in_turn("shoulder_flex", (0.02, -24), (0.52, 26))
        | both_sides("elbow", (0, 24))
        | {"torso_pitch": ((0, 3),), "torso_twist": ((0, 6), (0.5, -6))},
        0.9,
        0.77,
    ),
}

STREET_LABELS: tuple[str, ...] = tuple(sorted((*LABELS, *_ONCE, *_GAITS)))


def move(label: str, timing: Timing, start_share: float, variant: float, seconds: Array) -> Moves:
    """How somebody does something.

    Args:
        label: one of `STREET_LABELS`.
        timing: pace, side, size and unrest.
        start_share: when it begins, as a share of the time that it leaves free.
        variant: 0..1; the way of falling, how far one turns, whether a repeated action has idling around it.
        seconds: `[F]`, increasing.
    """
    if label in ACTIONS:
        moves = _repeated(label, timing, start_share, variant, seconds)
    elif label in _GAITS:
        moves = _gait(_GAITS[label], timing, start_share, seconds)
    else:
        moves = _once(label, timing, start_share, variant, seconds)
    angles = moves.angles + _unrest(timing, seconds, _IDLE_UNREST if label in _ONCE else 1.0)
    if not timing.is_mirrored:
        return _with(moves, angles, 1.0)
    return _with(moves, mirror_angles(angles), -1.0)


def _with(moves: Moves, angles: Array, side: float) -> Moves:
    return Moves(angles, moves.forward, side * moves.heading, moves.tilt, side * moves.side_tilt, moves.is_walking)


def _unrest(timing: Timing, seconds: Array, times: float) -> Array:
    unrest = timing.unrest.at(seconds)[:, np.arange(len(JOINTS)) % 2] * np.array(timing.unrest_degrees) * times
    unrest[:, JOINTS.index("hop")] = 0.0
    return np.asarray(unrest)


def _repeated(label: str, timing: Timing, start_share: float, variant: float, seconds: Array) -> Moves:
    phase = timing.phase + timing.cycles_per_second * seconds
    angles = REST + timing.amplitude * (joint_angles(label, phase) - REST)
    # An arm that goes round would turn back as it blends.
    if variant < 0.4 and label != "arm circle":
        begin = seconds[0] + 0.5 * start_share * (seconds[-1] - seconds[0])
        share = np.clip((seconds - begin) / _BLEND_SECONDS, 0, 1)
        share = share**2 * (3 - 2 * share)
        angles = REST + share[:, None] * (angles - REST)
    return _in_place(angles)


def _in_place(angles: Array) -> Moves:
    still = np.zeros(len(angles))
    return Moves(angles, still, still, still, still, False)


def _gait(gait: _Gait, timing: Timing, start_share: float, seconds: Array) -> Moves:
    pace = timing.cycles_per_second / 0.75 * gait.cycles_per_second
    angles = np.tile(REST, (len(seconds), 1))
    for joint, track in gait.tracks.items():
        angles[:, JOINTS.index(joint)] = periodic(track, timing.phase + pace * seconds)
    passing = seconds[0] + (0.35 + 0.3 * start_share) * (seconds[-1] - seconds[0])
    forward = pace * gait.statures_per_cycle * timing.amplitude * (seconds - passing)
    angles = REST + timing.amplitude * (angles - REST)
    still = np.zeros(len(seconds))
    return Moves(angles, forward, still, still, still, True)


def _once(label: str, timing: Timing, start_share: float, variant: float, seconds: Array) -> Moves:
    once, angles = _ONCE[label], np.tile(REST, (len(seconds), 1))
    lasting = once.seconds * 0.75 / timing.cycles_per_second
    free = max(0.0, seconds[-1] - seconds[0] - lasting)
    at = np.clip((seconds - seconds[0] - start_share * free) / lasting, 0, 1)
    carried = {name: np.zeros(len(seconds)) for name in _CARRIED}
    for name, track in once.tracks.items():
        values = _held(track, at)
        if name in carried:
            carried[name] = values
        else:
            column = JOINTS.index(name)
            angles[:, column] = REST[column] + timing.amplitude * (values - REST[column])
    if label == "turn":
        carried["heading"] = carried["heading"] * (0.6 + 0.6 * variant)
    if label == "fall":
        carried["tilt"], carried["side_tilt"] = _fallen(carried["tilt"], variant)
    return Moves(angles, is_walking=False, **carried)


def _held(track: Track, at: Array) -> Array:
    keys = np.array(track, np.float64)
    if len(keys) == 1:
        return np.full(len(at), keys[0, 1])
    inside = np.clip(at, keys[0, 0], keys[-1, 0] - 1e-9)
    return monotone_cubic(keys[:, 0], keys[:, 1], inside)


def _fallen(tilt: Array, variant: float) -> tuple[Array, Array]:
    """Forward, backward or to the side."""
    if variant < 0.4:
        return tilt, np.zeros_like(tilt)
    if variant < 0.7:
        return -tilt, np.zeros_like(tilt)
    return 0.15 * tilt, tilt
