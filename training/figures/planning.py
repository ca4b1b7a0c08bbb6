"""The plan of every generated video: who, where, filmed how, doing what.

Everything but the label is drawn by a stream of random numbers that the label does not reach, so appearance tells
nothing about the action. Labels are dealt out in turn, which balances the classes of each split.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cocon.training.figures.actions import JOINTS, LABELS
from cocon.training.figures.appearance import Body, Clothes, draw_body, draw_clothes
from cocon.training.figures.scene import Background, Camera, Sway, draw_background, draw_camera
from cocon.training.figures.settings import FigureSettings

__all__ = ["Act", "Script", "Split", "Timing", "VideoPlan", "draw_timing", "plan_video", "plan_videos"]

# A person, and a place, is seen in about this many videos of a split.
_VIDEOS_PER_IDENTITY = 4
_BODY_STREAM, _PLACE_STREAM = 1, 2

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How the action is performed: pace and start in cycles, side, size of the movement, and unrest of every joint."""

    cycles_per_second: float
    phase: float
    is_mirrored: bool
    amplitude: float
    unrest_degrees: tuple[float, ...]
    unrest: Sway


@dataclass(frozen=True, slots=True)
class Act:
    """One action of an untrimmed video: whole cycles of `label` from start to end."""

    label: str
    start_seconds: float
    end_seconds: float
    num_cycles: int
    is_mirrored: bool


@dataclass(frozen=True, slots=True)
class Script:
    """What happens in an untrimmed video: acts in order of time, and how every joint idles before and after them."""

    acts: tuple[Act, ...]
    idle_degrees: tuple[float, ...]
    idle: Sway


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video before it is rendered; `label` is empty where a `script` tells of several actions."""

    video_id: str
    split: Split
    label: str
    body: Body
    clothes: Clothes
    background: Background
    camera: Camera
    timing: Timing
    num_frames: int
    script: Script | None = None

    @property
    def group(self) -> str:
        """Whom the video shows, for the manifest."""
        return self.body.identity


def plan_videos(settings: FigureSettings) -> list[VideoPlan]:
    """Plan a whole set: classes balanced in each split, no person and no place in both.

    Raises:
        UsageError: The settings break a rule.
    """
    plans = []
    for index in range(settings.num_videos):
        place_in_split = index if index < settings.num_train else index - settings.num_train
        plans.append(plan_video(settings, index, LABELS[place_in_split % len(LABELS)]))
    return plans


def plan_video(settings: FigureSettings, index: int, label: str) -> VideoPlan:
    """Plan one video; only the field `label` depends on the label.

    Args:
        settings: Of the set.
        index: Number of the video in the set.
        label: What the figure does, one of `LABELS`.
    """
    is_train = index < settings.num_train
    split_size = settings.num_train if is_train else settings.num_videos - settings.num_train
    num_identities = max(1, split_size // _VIDEOS_PER_IDENTITY)
    first = 0 if is_train else settings.num_videos
    rng = np.random.default_rng([settings.seed, index])
    body, place = (first + int(number) for number in rng.integers(num_identities, size=2))
    place_rng = np.random.default_rng([settings.seed, place, _PLACE_STREAM])
    return VideoPlan(
        video_id=f"figure_{index:05d}",
        split="train" if is_train else "test",
        label=label,
        body=draw_body(f"body_{body:05d}", np.random.default_rng([settings.seed, body, _BODY_STREAM])),
        clothes=draw_clothes(rng),
        background=draw_background(f"place_{place:05d}", settings.clutter, place_rng),
        camera=draw_camera(rng),
        timing=draw_timing(rng),
        num_frames=settings.num_frames,
    )


def draw_timing(rng: np.random.Generator) -> Timing:
    """Draw how an action is performed."""
    unrest_hz, unrest_phase = rng.uniform(0.15, 0.5, 2), rng.random(2)
    return Timing(
        cycles_per_second=float(rng.uniform(0.55, 0.95)),
        phase=float(rng.random()),
        is_mirrored=bool(rng.random() < 0.5),
        amplitude=float(rng.uniform(0.85, 1.08)),
        unrest_degrees=tuple(rng.normal(0, 2.0, len(JOINTS)).tolist()),
        unrest=Sway((1.0, 1.0), (float(unrest_hz[0]), float(unrest_hz[1])), tuple(unrest_phase.tolist())),
    )
