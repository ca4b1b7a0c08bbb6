"""The plan of every video of the street set: who, where, filmed with what, doing what.

As in `planning`, everything but the label is drawn by a stream that the label does not reach.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cocon.training.figures.appearance import Body, Clothes, Color, Garment, draw_body, draw_clothes
from cocon.training.figures.planning import Split, Timing, draw_timing
from cocon.training.figures.scene import Thing, draw_thing
from cocon.training.figures.settings import StreetSettings
from cocon.training.figures.street.movements import STREET_LABELS
from cocon.training.figures.street.places import Scenery, draw_place

__all__ = ["Handling", "Light", "Person", "Recorder", "StreetPlan", "plan_street", "plan_street_video"]

_VIDEOS_PER_IDENTITY = 4
_BODY_STREAM, _PLACE_STREAM, _STREET_STREAM, _DEAL_STREAM = 1, 2, 6, 7
# Width / height, as phones, cameras and web sites have it.
_ASPECTS, _ASPECT_SHARES = (16 / 9, 4 / 3, 1.0, 9 / 16), (0.45, 0.25, 0.12, 0.18)
_RATES, _RATE_SHARES = (12, 15, 20, 24, 25, 30, 50, 60), (0.05, 0.1, 0.1, 0.15, 0.2, 0.28, 0.06, 0.06)
_LIGHTS: tuple["Light", ...] = ("day", "dim", "dark")
_LIGHT_SHARES = (0.65, 0.15, 0.2)
_HANDLINGS: tuple["Handling", ...] = ("tripod", "hand", "pan", "follow", "zoom")
_HANDLING_SHARES = (0.5, 0.25, 0.08, 0.1, 0.07)
_COMPANION_SHARE = 0.3

Light = Literal["day", "dim", "dark"]
Handling = Literal["tripod", "hand", "pan", "follow", "zoom"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the picture.

    Attributes:
        body: who.
        clothes: worn.
        timing: how they move.
        label: what they do; empty for the one whom the video is about, the plan has it.
        start_share: see `move`.
        variant: see `move`.
        yaw_degrees: where they look, 0 towards the camera, all round.
        centre: of the standing person, as shares of the picture's width and height.
        height: of the standing person, as a share of the picture's height.
    """

    body: Body
    clothes: Clothes
    timing: Timing
    label: str
    start_share: float
    variant: float
    yaw_degrees: float
    centre: tuple[float, float]
    height: float


@dataclass(frozen=True, slots=True)
class Recorder:
    """What the film is taken with, and how it is held and kept.

    Attributes:
        handling: of the camera.
        strength: 0..1, how much of it.
        elevation_degrees: from which the camera looks down.
        light: of the scene.
        exposure: factor on linear light.
        gamma: of the tone curve on top of it.
        cast: gains of the colours.
        black: what no light at all is shown as, grey levels.
        spot: where a lamp lights the scene, as shares of width and height, and how far, in short sides; 0 everywhere.
        flicker: amplitude and hertz of the light.
        noise: standard deviation, grey levels.
        defocus: of a Gaussian, pixels of 128 lines.
        trail: 0..1, how much of the picture before stays.
        sharpness: 0..1, share of the lines that the lens resolves.
        crf: of H.264.
        seed: of shake and noise.
    """

    handling: Handling
    strength: float
    elevation_degrees: float
    light: Light
    exposure: float
    gamma: float
    cast: tuple[float, float, float]
    black: float
    spot: tuple[float, float, float]
    flicker: tuple[float, float]
    noise: float
    defocus: float
    trail: float
    sharpness: float
    crf: int
    seed: int


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """One video before it is rendered.

    Attributes:
        video_id: its name.
        split: whose.
        label: what the first person does.
        people: the first is the one whom the video is about; the second is farther away.
        place: behind them.
        seat: colour of the seat behind the first person, if there is one.
        in_front: things between them and the camera.
        lit_from: direction in the picture.
        recorder: what it is filmed with.
        frames_per_second: of the video.
        num_frames: of the video.
        width_px: even.
        height_px: even.
        is_found: whether the estimator of people finds anybody at all.
        mistakes_seed: of what it does wrong.
    """

    video_id: str
    split: Split
    label: str
    people: tuple[Person, ...]
    place: Scenery
    seat: Color | None
    in_front: tuple[Thing, ...]
    lit_from: tuple[float, float]
    recorder: Recorder
    frames_per_second: int
    num_frames: int
    width_px: int
    height_px: int
    is_found: bool
    mistakes_seed: int

    @property
    def group(self) -> str:
        """Whom the video is about, for the manifest."""
        return self.people[0].body.identity


def plan_street(settings: StreetSettings) -> list[StreetPlan]:
    """Plan a whole set: classes balanced in each split, no person and no place in both."""
    sizes = settings.num_train, settings.num_videos - settings.num_train
    labels = [label for k, size in enumerate(sizes) for label in _dealt(size, [settings.seed, k, _DEAL_STREAM])]
    return [plan_street_video(settings, index, label) for index, label in enumerate(labels)]


def plan_street_video(settings: StreetSettings, index: int, label: str) -> StreetPlan:
    """Plan one video; only the field `label` depends on the label.

    Args:
        settings: of the set.
        index: number of the video in the set.
        label: what the first person does, one of `STREET_LABELS`.
    """
    is_train = index < settings.num_train
    rng = np.random.default_rng([settings.seed, index, _STREET_STREAM])
    place_number = _identity(settings, is_train, rng)
    place = draw_place(
        f"place_{place_number:05d}",
        float(settings.clutter * rng.uniform(0.1, 1.0)),
        np.random.default_rng([settings.seed, place_number, _PLACE_STREAM, _STREET_STREAM]),
    )
    width_px, height_px = _draw_shape(settings.size_px, rng)
    recorder = _draw_recorder(rng)
    people = [_draw_person(settings, is_train, rng, "")]
    if rng.random() < _COMPANION_SHARE:
        people.append(_companion(_draw_person(settings, is_train, rng, _companion_label(rng)), people[0], rng))
    rate = int(rng.choice(_RATES, p=_RATE_SHARES))
    angle = rng.uniform(0, 2 * np.pi)
    return StreetPlan(
        video_id=f"street_{index:05d}",
        split="train" if is_train else "test",
        label=label,
        people=tuple(people),
        place=place,
        seat=_draw_plain_color(rng) if rng.random() < 0.4 else None,
        in_front=tuple(draw_thing(rng, (128, 128, 128), 0.3) for _ in range(int(rng.random() < 0.2))),
        lit_from=(float(np.cos(angle)), float(np.sin(angle))),
        recorder=recorder,
        frames_per_second=rate,
        num_frames=round(rate * _draw_seconds(settings.seconds, rng)),
        width_px=width_px,
        height_px=height_px,
        is_found=bool(rng.random() > _lost_share(recorder.light, people[0].height)),
        mistakes_seed=int(rng.integers(2**31)),
    )


def _dealt(num_labels: int, seed: list[int]) -> list[str]:
    """Labels in turn, each round of them shuffled."""
    rng = np.random.default_rng(seed)
    rounds = -(-num_labels // len(STREET_LABELS))
    return [STREET_LABELS[k] for _ in range(rounds) for k in rng.permutation(len(STREET_LABELS))][:num_labels]


def _identity(settings: StreetSettings, is_train: bool, rng: np.random.Generator) -> int:
    split_size = settings.num_train if is_train else settings.num_videos - settings.num_train
    return (0 if is_train else settings.num_videos) + int(rng.integers(max(1, split_size // _VIDEOS_PER_IDENTITY)))


def _draw_seconds(longest: float, rng: np.random.Generator) -> float:
    """Most are nearer to the shortest."""
    shortest = min(2.0, longest)
    return float(shortest + (longest - shortest) * rng.random() ** 3)


def _draw_shape(short_px: int, rng: np.random.Generator) -> tuple[int, int]:
    aspect = float(rng.choice(_ASPECTS, p=_ASPECT_SHARES))
    long_px = 2 * round(short_px * max(aspect, 1 / aspect) / 2)
    return (long_px, short_px) if aspect >= 1 else (short_px, long_px)


def _draw_person(settings: StreetSettings, is_train: bool, rng: np.random.Generator, label: str) -> Person:
    number = _identity(settings, is_train, rng)
    body_rng = np.random.default_rng([settings.seed, number, _BODY_STREAM, _STREET_STREAM])
    height = float(np.exp(rng.uniform(np.log(0.15), np.log(0.4))) if rng.random() < 0.15 else rng.uniform(0.4, 1.2))
    # Where the feet may be below the picture, so may those of the tall.
    low = min(0.75, 0.4 + 0.28 * height)
    return Person(
        body=draw_body(f"body_{number:05d}", body_rng),
        clothes=_plainer(draw_clothes(rng), rng),
        timing=draw_timing(rng),
        label=label,
        start_share=float(rng.uniform(0.1, 0.8)),
        variant=float(rng.random()),
        yaw_degrees=float(rng.uniform(-180, 180) if rng.random() < 0.6 else rng.uniform(-60, 60)),
        centre=(float(np.clip(rng.normal(0.5, 0.14), 0.04, 0.96)), float(np.clip(rng.normal(low, 0.09), 0.25, 0.95))),
        height=height,
    )


def _plainer(clothes: Clothes, rng: np.random.Generator) -> Clothes:
    """What most people wear: one colour, and no loud one."""
    if rng.random() < 0.3:
        return clothes
    shirt, trousers, shoes = (_draw_plain_color(rng) for _ in range(3))
    plain = Garment("plain", shirt, shirt, 8), Garment("plain", trousers, trousers, 8)
    return replace(clothes, shirt=plain[0], trousers=plain[1], shoes=shoes)


def _draw_plain_color(rng: np.random.Generator) -> Color:
    red, green, blue = np.clip(rng.uniform(15, 215) + rng.normal(0, 16, 3), 5, 240).astype(int).tolist()
    return red, green, blue


def _companion_label(rng: np.random.Generator) -> str:
    return "stand" if rng.random() < 0.4 else str(rng.choice(STREET_LABELS))


def _companion(person: Person, first: Person, rng: np.random.Generator) -> Person:
    """The same person farther away than the first, and beside them."""
    height = first.height * float(rng.uniform(0.45, 0.95))
    side = -1.0 if first.centre[0] > 0.5 else 1.0
    x = float(np.clip(first.centre[0] + side * rng.uniform(0.15, 0.5), 0.05, 0.95))
    return Person(
        person.body, person.clothes, person.timing, person.label, person.start_share, person.variant,
        person.yaw_degrees, (x, first.centre[1] - 0.25 * (first.height - height)), height,
    )  # fmt: skip


def _draw_recorder(rng: np.random.Generator) -> Recorder:
    light = _LIGHTS[rng.choice(len(_LIGHTS), p=_LIGHT_SHARES)]
    low_exposure, high_exposure, low_noise, high_noise = {
        "day": (0.75, 1.3, 0.0, 3.0),
        "dim": (0.22, 0.6, 1.0, 7.0),
        "dark": (0.008, 0.12, 0.5, 6.0),
    }[light]
    is_soft, is_flickering = rng.random() < 0.35, rng.random() < (0.1 if light == "day" else 0.3)
    has_spot = rng.random() < (0.05 if light == "day" else 0.4)
    cast = 1 + rng.normal(0, 0.05 if light == "day" else 0.12, 3)
    return Recorder(
        handling=_HANDLINGS[rng.choice(len(_HANDLINGS), p=_HANDLING_SHARES)],
        strength=float(rng.uniform(0.15, 1.0)),
        elevation_degrees=float(rng.uniform(-6, 18) if rng.random() < 0.8 else rng.uniform(18, 48)),
        light=light,
        exposure=float(np.exp(rng.uniform(np.log(low_exposure), np.log(high_exposure)))),
        gamma=float(rng.uniform(0.8, 1.0 if light == "dark" else 1.2)),
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        black=float(rng.uniform(0, 14)) if light == "dark" and rng.random() < 0.7 else 0.0,
        spot=(float(rng.random()), float(rng.random()), float(rng.uniform(0.3, 0.9)) if has_spot else 0.0),
        flicker=(float(rng.uniform(0.05, 0.35)) if is_flickering else 0.0, float(rng.uniform(0.7, 9))),
        noise=float(rng.uniform(low_noise, high_noise)),
        defocus=float(rng.uniform(0.5, 1.8)) if is_soft else 0.0,
        trail=float(rng.uniform(0.15, 0.6)) if rng.random() < (0.1 if light == "day" else 0.4) else 0.0,
        sharpness=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.3 else 1.0,
        crf=int(rng.integers(20, 38)),
        seed=int(rng.integers(2**31)),
    )


def _lost_share(light: Light, height: float) -> float:
    """How often nobody is found: in the dark, and where people are small."""
    return min(0.8, {"day": 0.07, "dim": 0.2, "dark": 0.55}[light] + 0.25 * max(0.0, 1 - height / 0.4))
