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
    REST,
    Track,
    both_sides,
    in_turn,
    mirror_angles,
    monotone_cubic,
    periodic_angles,
)
from cocon.training.figures.planning import Timing

__all__ = ["STREET_LABELS", "Moves", "move"]

Array = NDArray[np.float64]

_CARRIED = ("forward", "heading", "tilt", "side_tilt")
# What is done once is done with more unrest than what is repeated: nobody stands like a statue.
_IDLE_UNREST = 2.0
# Out of idling into an action that repeats.
_BLEND_SECONDS = 0.5
_TURN_SECONDS = 0.5


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


_RUNNING = (
    in_turn("hip_flex", (0, 38), (0.38, -26), (0.78, 58))
    | in_turn("knee", (0, 22), (0.16, 40), (0.36, 20), (0.62, 112), (0.88, 48))
    | in_turn("shoulder_flex", (0.1, -46), (0.6, 44))
    | both_sides("elbow", (0, 92))
    | {"torso_pitch": ((0, 12),), "hop": ((0, 0), (0.22, 0.05), (0.5, 0), (0.72, 0.05))}
    | {"torso_twist": ((0, 10), (0.5, -10))}
)
_STEPS = in_turn("hip_flex", (0, 0), (0.12, 30), (0.25, 0)) | in_turn("knee", (0, 5), (0.12, 48), (0.25, 5))

_ONCE: Mapping[str, _Once] = {
    "bend": _Once(
        {"torso_pitch": ((0, 2), (0.4, 82), (0.6, 82), (1, 2)), "head_nod": ((0, 0), (0.4, 12), (0.6, 12), (1, 0))}
        | both_sides("shoulder_flex", (0, 0), (0.4, 88), (0.6, 88), (1, 0))
        | both_sides("hip_flex", (0, 2), (0.4, 26), (0.6, 26), (1, 2))
        | both_sides("knee", (0, 4), (0.4, 42), (0.6, 42), (1, 4)),
        2.0,
    ),
    "drink": _Once(
        {
            "right_shoulder_flex": ((0, 0), (0.3, 40), (0.42, 62), (0.7, 62), (1, 0)),
            "right_shoulder_abduct": ((0, 9), (0.4, 26), (0.7, 26), (1, 9)),
            "right_elbow": ((0, 14), (0.3, 118), (0.42, 138), (0.7, 138), (1, 14)),
            "right_elbow_roll": ((0, 0), (0.4, -24), (0.7, -24), (1, 0)),
            "head_nod": ((0, 0), (0.35, 0), (0.5, -24), (0.7, -24), (0.85, 0)),
        },
        2.4,
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
    "lunge": _Once(
        {
            "left_hip_flex": ((0, 2), (0.4, 78), (0.6, 78), (1, 2)),
            "left_knee": ((0, 4), (0.2, 62), (0.4, 84), (0.6, 84), (1, 4)),
            "right_hip_flex": ((0, 2), (0.4, -22), (0.6, -22), (1, 2)),
            "right_knee": ((0, 4), (0.4, 62), (0.6, 62), (1, 4)),
            "torso_pitch": ((0, 2), (0.4, 8), (0.6, 8), (1, 2)),
        },
        1.9,
    ),
    "point": _Once(
        {
            "right_shoulder_flex": ((0, 0), (0.3, 92), (0.75, 92), (1, 0)),
            "right_shoulder_abduct": ((0, 9), (0.3, 20), (0.75, 20), (1, 9)),
            "right_elbow": ((0, 14), (0.16, 58), (0.32, 4), (0.75, 4), (1, 14)),
            "torso_twist": ((0, 0), (0.3, 12), (0.75, 12), (1, 0)),
        },
        1.8,
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
    "swing": _Once(
        {"torso_twist": ((0, 0), (0.35, -62), (0.5, -30), (0.66, 58), (0.8, 62), (1, 0))}
        | {"right_shoulder_flex": ((0, 0), (0.35, 48), (0.6, 66), (0.8, 96), (1, 0))}
        | {"left_shoulder_flex": ((0, 0), (0.35, 78), (0.6, 66), (0.8, 60), (1, 0))}
        | {"right_shoulder_abduct": ((0, 9), (0.35, 38), (0.62, -8), (1, 9))}
        | {"left_shoulder_abduct": ((0, 9), (0.35, -22), (0.62, 10), (0.8, 40), (1, 9))}
        | {"right_elbow": ((0, 14), (0.35, 78), (0.6, 8), (0.8, 50), (1, 14))}
        | {"left_elbow": ((0, 14), (0.35, 20), (0.6, 10), (0.8, 70), (1, 14))}
        | both_sides("knee", (0, 4), (0.35, 26), (0.6, 14), (1, 4))
        | both_sides("hip_flex", (0, 2), (0.35, 18), (0.6, 8), (1, 2)),
        1.4,
    ),
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
    "jog in place": _Gait(_RUNNING, 1.35, 0.0),
    "run through": _Gait(_RUNNING, 1.35, 1.35),
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

_CYCLES: Mapping[str, Mapping[str, Track]] = {
    **ACTIONS,
    "clap": both_sides("shoulder_flex", (0, 48))
    | both_sides("shoulder_abduct", (0, 30), (0.3, -4), (0.38, -4), (0.7, 30))
    | both_sides("elbow", (0, 62), (0.34, 70), (0.7, 62))
    | both_sides("elbow_roll", (0, -30)),
}

STREET_LABELS: tuple[str, ...] = tuple(sorted((*_CYCLES, *_ONCE, *_GAITS)))


def move(label: str, timing: Timing, start_share: float, variant: float, seconds: Array, room: float = np.inf) -> Moves:
    """How somebody does something.

    Args:
        label: one of `STREET_LABELS`.
        timing: pace, side, size and unrest.
        start_share: when it begins, as a share of the time that it leaves free.
        variant: 0..1; the way of falling, how far one turns, whether a repeated action has idling around it.
        seconds: `[F]`, increasing.
        room: statures from the middle to where somebody who walks turns round.
    """
    if label in _CYCLES:
        moves = _repeated(label, timing, start_share, variant, seconds)
    elif label in _GAITS:
        moves = _gait(_GAITS[label], timing, start_share, seconds, room)
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
    angles = REST + timing.amplitude * (periodic_angles(_CYCLES[label], phase) - REST)
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


def _gait(gait: _Gait, timing: Timing, start_share: float, seconds: Array, room: float) -> Moves:
    pace = timing.cycles_per_second / 0.75 * gait.cycles_per_second
    angles = periodic_angles(gait.tracks, timing.phase + pace * seconds)
    passing = seconds[0] + (0.35 + 0.3 * start_share) * (seconds[-1] - seconds[0])
    speed = pace * gait.statures_per_cycle * timing.amplitude
    forward, heading = _to_and_fro(speed * (seconds - passing), room, speed * _TURN_SECONDS)
    angles = REST + timing.amplitude * (angles - REST)
    still = np.zeros(len(seconds))
    return Moves(angles, forward, heading, still, still, True)


def _to_and_fro(way: Array, room: float, turning: float) -> tuple[Array, Array]:
    """Place and heading of somebody who goes so far, `[F]` each, but turns round where the room ends."""
    if not np.isfinite(room) or not turning:
        return way, np.zeros_like(way)
    at = (way + room) % (4 * room)
    place = np.where(at < 2 * room, at - room, 3 * room - at)
    # The turn begins at the end of the room, so that the place rests while the body turns.
    back = np.clip((at - 2 * room) / turning + 0.5, 0, 1) - np.clip((at - 4 * room) / turning + 0.5, 0, 1)
    back += np.clip(0.5 - at / turning, 0, 1)
    return place, 180.0 * back


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
