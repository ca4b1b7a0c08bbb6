"""Untrimmed videos: the plan of each, two to five actions with pauses between them, and their annotations.

People, places and cameras are drawn as for the trimmed videos, but are others. Labels are dealt out in turn to the
actions of a split, which balances the classes; no action follows itself.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cocon.core.atomic import replacing
from cocon.training.figures.actions import JOINTS, LABELS
from cocon.training.figures.planning import Act, Script, VideoPlan, plan_video
from cocon.training.figures.scene import Sway
from cocon.training.figures.settings import FRAMES_PER_SECOND, UntrimmedSettings

__all__ = ["plan_untrimmed_videos", "write_annotations"]

_MIN_ACTIONS, _MAX_ACTIONS = 2, 5
_MIN_SECONDS = 8.0
# Of a video for each of its actions, the pauses with it.
_SECONDS_PER_ACTION = (3.6, 6.5)
_SCENE_STREAM, _SCRIPT_STREAM, _LABEL_STREAM = 3, 4, 5
_SUBSETS = {"train": "training", "test": "validation"}


def plan_untrimmed_videos(settings: UntrimmedSettings) -> list[VideoPlan]:
    """Plan a whole set: no person and no place is in both subsets."""
    # Encoders that were trained on the trimmed set of this seed have seen none of these people.
    scene_seed = int(np.random.SeedSequence([settings.seed, _SCENE_STREAM]).generate_state(1)[0])
    scenes = replace(settings, seed=scene_seed)
    labels = {
        split: _deal_labels(np.random.default_rng([settings.seed, number, _LABEL_STREAM]))
        for number, split in enumerate(_SUBSETS)
    }
    plans = []
    for index in range(settings.num_videos):
        scene = plan_video(scenes, index, "")
        rng = np.random.default_rng([settings.seed, index, _SCRIPT_STREAM])
        plans.append(_scripted(scene, settings.seconds, labels[scene.split], rng))
    return plans


def write_annotations(path: Path, plans: Sequence[VideoPlan]) -> None:
    """Write what happens when in scripted videos, in ActivityNet's form; see `activitynet`."""
    database = {
        plan.video_id: {
            "duration": round(plan.num_frames / FRAMES_PER_SECOND, 3),
            "subset": _SUBSETS[plan.split],
            "annotations": [
                {"segment": [act.start_seconds, act.end_seconds], "label": act.label} for act in plan.script.acts
            ],
        }
        for plan in plans
        if plan.script is not None
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps({"version": "1", "taxonomy": [], "database": database}, indent=1) + "\n")


def _deal_labels(rng: np.random.Generator) -> Iterator[str]:
    last = ""
    while True:
        deck = [LABELS[k] for k in rng.permutation(len(LABELS))]
        if deck[0] == last:
            deck.append(deck.pop(0))
        yield from deck
        last = deck[-1]


def _scripted(scene: VideoPlan, max_seconds: float, labels: Iterator[str], rng: np.random.Generator) -> VideoPlan:
    """The scene with a script and the length that it takes."""
    shortest, longest = _SECONDS_PER_ACTION
    most = int(np.clip(max_seconds // shortest, _MIN_ACTIONS, _MAX_ACTIONS))
    num_actions = int(rng.integers(_MIN_ACTIONS, most + 1))
    low = np.clip(num_actions * shortest, min(_MIN_SECONDS, max_seconds), max_seconds)
    num_frames = int(rng.uniform(low, np.clip(num_actions * longest, low, max_seconds)) * FRAMES_PER_SECOND)
    edges = _draw_edges(num_actions, num_frames / FRAMES_PER_SECOND, rng)
    acts = []
    for start, end in edges:
        num_cycles = _num_cycles(end - start, scene.timing.cycles_per_second)
        acts.append(Act(next(labels), start, end, num_cycles, bool(rng.random() < 0.5)))
    return replace(scene, num_frames=num_frames, script=Script(tuple(acts), *_draw_idling(rng)))


def _draw_edges(num_actions: int, seconds: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Start and end of each action, to the millisecond; a pause comes before, between and after them."""
    share = rng.uniform(0.5, 0.65)
    lengths = np.empty(2 * num_actions + 1)
    for part, kind in ((share, slice(1, None, 2)), (1 - share, slice(0, None, 2))):
        weights = rng.uniform(0.75, 1.3, len(lengths[kind]))
        lengths[kind] = part * seconds * weights / weights.sum()
    edges = lengths.cumsum()[:-1].round(3).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _num_cycles(seconds: float, cycles_per_second: float) -> int:
    """Whole cycles at about that pace; from 2 s on, at a pace of 0.5 to 1 per second like that of trimmed videos."""
    return max(1, min(math.floor(seconds), max(math.ceil(0.5 * seconds), round(seconds * cycles_per_second))))


def _draw_idling(rng: np.random.Generator) -> tuple[tuple[float, ...], Sway]:
    """How far each joint moves while the figure waits, in degrees, and how it comes and goes; the legs stand still."""
    is_still = np.array([joint == "hop" or "hip" in joint or "knee" in joint for joint in JOINTS])
    degrees = np.where(is_still, 0.0, rng.normal(0, 4.0, len(JOINTS)))
    hertz, phase = rng.uniform(0.1, 0.35, 2), rng.random(2)
    sway = Sway((1.0, 1.0), (float(hertz[0]), float(hertz[1])), (float(phase[0]), float(phase[1])))
    return tuple(degrees.tolist()), sway
