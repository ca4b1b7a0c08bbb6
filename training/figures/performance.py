"""How a planned figure moves: its joint angles over time."""

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.actions import JOINTS, REST, joint_angles, mirror_angles
from cocon.training.figures.planning import Act, Script, VideoPlan

__all__ = ["TRANSITION_SECONDS", "perform"]

Array = NDArray[np.float64]

# From standing into an action, or back; an act begins and ends in the middle of it.
TRANSITION_SECONDS = 0.5


def perform(plan: VideoPlan, seconds: Array) -> Array:
    """Joint angles at each time.

    Args:
        plan: Of one action all the time, or with a script of several.
        seconds: `[F]`.

    Returns:
        `float64 [F, len(JOINTS)]`, as `joint_angles` returns.
    """
    timing = plan.timing
    if plan.script is None:
        phase = timing.phase + timing.cycles_per_second * seconds
        angles = _action_angles(plan.label, phase, timing.amplitude, is_mirrored=timing.is_mirrored)
    else:
        angles = _script_angles(plan.script, timing.amplitude, seconds)
    unrest = timing.unrest.at(seconds)[:, np.arange(len(JOINTS)) % 2] * np.array(timing.unrest_degrees)
    unrest[:, JOINTS.index("hop")] = 0.0
    return np.asarray(angles + unrest)


def _action_angles(label: str, phase: Array, amplitude: float, *, is_mirrored: bool) -> Array:
    angles = REST + amplitude * (joint_angles(label, phase) - REST)
    return mirror_angles(angles) if is_mirrored else angles


def _script_angles(script: Script, amplitude: float, seconds: Array) -> Array:
    """Idling, out of which the acts rise one after the other."""
    idle = REST + script.idle.at(seconds)[:, np.arange(len(JOINTS)) % 2] * np.array(script.idle_degrees)
    angles = idle.copy()
    for act in script.acts:
        share = _presence(act, seconds)[:, None]  # [F, 1]
        angles += share * (_act_angles(act, amplitude, seconds) - idle)
    return angles


def _presence(act: Act, seconds: Array) -> Array:
    """How much of the movement is the act's: 0 before and after, 1 within, a smooth step between, `[F]`."""
    inside = np.minimum(seconds - act.start_seconds, act.end_seconds - seconds)
    step = np.clip(inside / TRANSITION_SECONDS + 0.5, 0, 1)
    return np.asarray(step**2 * (3 - 2 * step))


def _act_angles(act: Act, amplitude: float, seconds: Array) -> Array:
    """Angles of the act, less the full turns of its nearer end: an arm does not turn back when it comes to rest."""
    length = act.end_seconds - act.start_seconds
    bounds = np.array([act.start_seconds, act.end_seconds])
    angles, at_ends = (
        _action_angles(
            act.label, (at - act.start_seconds) * (act.num_cycles / length), amplitude, is_mirrored=act.is_mirrored
        )
        for at in (seconds, bounds)
    )
    turns = np.rint((at_ends - REST) / 360)  # [2, J]
    is_late = seconds > bounds.mean()
    return np.asarray(angles - 360 * np.where(is_late[:, None], turns[1], turns[0]))
