"""What an estimator of people makes of them: key points that jitter, swap and vanish, masks that are soft and broken.

The kinds and sizes are those that MediaPipe Pose shows on filmed people, dark ones among them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.skeleton import KEYPOINTS
from cocon.training.figures.street.painting import Exact
from cocon.training.figures.street.scenes import StreetPlan
from cocon.video.estimation.pose import LEFT_RIGHT_SWAP

__all__ = ["Seen", "broken_mask", "see_person"]

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_TORSO = tuple(KEYPOINTS.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip"))
_FACE = 5
# Mean score and unrest of head, arms, hips and legs: what the estimator says on dark footage.
_SCORES = np.array([0.99] * 5 + [0.97] * 2 + [0.66] * 4 + [0.9] * 2 + [0.58] * 2 + [0.42] * 2)
_JITTER = np.array([0.6] * 5 + [0.7] * 2 + [1.3] * 2 + [1.9] * 2 + [0.8] * 2 + [1.4] * 2 + [2.0] * 2)
# Parts that a mask may lack: numbers of `limbs`, shins and feet, forearms and hands, the head.
_LIMBS = ((6, 7), (12, 13), (9, 10), (15, 16), (4,))


@dataclass(frozen=True, slots=True)
class Seen:
    """What is found of the person.

    Attributes:
        keypoints: `float64 [F, 17, 3]`: x, y in pixels of the picture, score; zeros in frames where nobody is found.
        is_found: `bool [F]`.
        is_lacking: `bool [F, 5]`, which limbs the mask lacks.
        difficulty: `[F]`, 0 easy, 1 hardly to be seen.
    """

    keypoints: Array
    is_found: NDArray[np.bool_]
    is_lacking: NDArray[np.bool_]
    difficulty: Array


def see_person(plan: StreetPlan, exact: Exact) -> Seen:
    """Key points with an estimator's mistakes."""
    rng, num_frames = np.random.default_rng([plan.mistakes_seed, 0]), plan.num_frames
    rate = plan.frames_per_second
    darkness = {"day": 0.0, "dim": 0.35, "dark": 0.75}[plan.recorder.light]
    small = np.clip(1 - exact.height / 0.45, 0, 1)
    difficulty = np.clip(0.12 + darkness + 0.5 * small - 0.2 * rng.random(), 0, 1)
    size = np.array([plan.width_px, plan.height_px])
    is_inside = ((exact.keypoints >= 0) & (exact.keypoints < size)).all(axis=-1)  # [F, 17]
    is_found = ~_spells(rng, num_frames, rate, 0.5 * difficulty**2, 0.5) & (is_inside.mean(axis=1) > 0.35)
    is_found &= plan.is_found
    places = _swapped(rng, exact.keypoints, _swap_share(difficulty, exact.turned_away), rate)
    body = exact.height[:, None, None] * plan.height_px
    slip = _wander(rng, num_frames, rate, 1.5) * (0.004 + 0.02 * difficulty[:, None, None])
    shiver = rng.standard_normal((num_frames, 17, 2)) * (0.0015 + 0.012 * difficulty[:, None, None])
    places = places + body * _JITTER[:, None] * (slip + shiver)
    places = _misjudged(rng, places, difficulty, rate)
    scores = _scores(rng, is_inside, difficulty, rate)
    keypoints = np.concatenate([places, scores[..., None]], axis=-1) * is_found[:, None, None]
    lacking = np.stack([_spells(rng, num_frames, rate, 0.1 + 0.35 * difficulty, 0.4) for _ in _LIMBS], axis=-1)
    return Seen(keypoints, is_found, lacking, difficulty)


def broken_mask(parts: Bytes, seen: Seen, frame: int, size: tuple[int, int], rng: np.random.Generator) -> Bytes:
    """The mask of a frame as it is found.

    Args:
        parts: `uint8 [h, w]`, numbers of the person's parts, 0 elsewhere.
        seen: what is found.
        frame: which.
        size: width and height of the mask.
        rng: of holes and edges.

    Returns:
        `uint8 [height, width, 1]`, person probability × 255.
    """
    if not seen.is_found[frame]:
        return np.zeros((size[1], size[0], 1), np.uint8)
    shown = np.full(256, 255, np.uint8)
    shown[0] = 0
    for limb, is_lacking in zip(_LIMBS, seen.is_lacking[frame], strict=True):
        if is_lacking:
            shown[list(limb)] = 0
    difficulty, small = float(seen.difficulty[frame]), min(size)
    mask = cv2.resize(cv2.LUT(parts, shown), size, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.6 * difficulty:
        _cut(mask, rng)
    few = max(8, round(size[0] * (0.9 - 0.6 * difficulty))), max(8, round(size[1] * (0.9 - 0.6 * difficulty)))
    soft = cv2.resize(cv2.resize(mask, few, interpolation=cv2.INTER_AREA), size)
    soft = cv2.GaussianBlur(soft, (0, 0), small / 64 * (0.4 + 1.6 * difficulty))
    # A network's edge is steep, and lies a little inside or outside of the person's.
    edge = 0.5 + rng.normal(0, 0.04 + 0.1 * difficulty)
    # Now and then it takes in whatever is near.
    steep = cv2.convertScaleAbs(soft, alpha=2.2, beta=0) if edge < 0.35 else _steep(soft, edge)
    return steep.reshape(size[1], size[0], 1)


def _steep(soft: Bytes, edge: float) -> Bytes:
    levels = 255 / (1 + np.exp(-9 * (np.arange(256) / 255 - edge)))
    levels[:2] = 0
    return cv2.LUT(soft, np.rint(levels).astype(np.uint8))


def _cut(mask: Bytes, rng: np.random.Generator) -> None:
    """A hole somewhere in the person."""
    rows, columns = np.nonzero(mask)
    if len(rows):
        at = int(rng.integers(len(rows)))
        reach = max(1, round(0.12 * np.sqrt(len(rows)) * rng.uniform(0.5, 2)))
        cv2.ellipse(
            mask, (int(columns[at]), int(rows[at])), (reach, 2 * reach), float(rng.uniform(0, 180)), 0, 360, 0, -1
        )


def _spells(
    rng: np.random.Generator, num_frames: int, rate: int, share: Array | float, seconds: float
) -> NDArray[np.bool_]:
    """Whether something is the case, for spells of about so long and that share of the time, `[F]`."""
    wave = _wander(rng, num_frames, rate, 1 / seconds)[:, 0, 0]
    # The wave is nearly normal: below this quantile it is that often.
    clipped = np.clip(np.broadcast_to(share, (num_frames,)), 1e-3, 0.999)
    return np.asarray((wave < np.log(clipped / (1 - clipped)) / 1.7) & (clipped > 2e-3))


def _wander(rng: np.random.Generator, num_frames: int, rate: int, hertz: float) -> Array:
    """Slow noise of unit variance about, `[F, 17, 2]`."""
    seconds = np.arange(num_frames) / rate
    knots = int(seconds[-1] * hertz) + 3
    values = rng.standard_normal((knots, 17, 2)) * 1.15
    at = seconds * hertz + rng.random()
    k = np.minimum(at.astype(np.intp), knots - 2)
    u = (at - k)[:, None, None]
    u = u * u * (3 - 2 * u)
    return np.asarray(values[k] * (1 - u) + values[k + 1] * u)


def _swap_share(difficulty: Array, turned_away: Array) -> Array:
    return 0.02 + 0.1 * difficulty + 0.25 * difficulty * turned_away


def _swapped(rng: np.random.Generator, places: Array, share: Array, rate: int) -> Array:
    """Left and right of all joints, or of the legs alone, taken for each other."""
    others = places[:, list(LEFT_RIGHT_SWAP)]
    is_all = _spells(rng, len(places), rate, 0.5 * share, 0.3)
    is_legs = np.zeros((len(places), 17), bool)
    is_legs[:, 11:] = _spells(rng, len(places), rate, share, 0.2)[:, None]
    return np.where((is_all[:, None] ^ is_legs)[..., None], others, places)


def _misjudged(rng: np.random.Generator, places: Array, difficulty: Array, rate: int) -> Array:
    """Where little is to be seen the skeleton may be much too large, or beside the person, for a while."""
    middle = places[:, list(_TORSO)].mean(axis=1, keepdims=True)
    is_wrong = _spells(rng, len(places), rate, 0.3 * difficulty**2, 0.6)[:, None, None]
    reach = np.abs(places - middle).max(axis=(1, 2), keepdims=True)
    wrong = middle + rng.uniform(0.6, 2.2) * (places - middle) + rng.normal(0, 0.25, 2) * reach
    return np.where(is_wrong, wrong, places)


def _scores(rng: np.random.Generator, is_inside: NDArray[np.bool_], difficulty: Array, rate: int) -> Array:
    slow = _wander(rng, len(is_inside), rate, 1.2)[..., 0]
    sure = 1 - (1 - _SCORES) * (0.1 + 1.1 * difficulty[:, None]) * np.exp(0.5 * slow)
    is_hidden = slow < -2.6 + 1.6 * difficulty[:, None]
    is_hidden[:, :_FACE] = False
    scores = np.where(is_hidden, 0.05 + 0.1 * rng.random(17), sure)
    return np.asarray(np.clip(np.where(is_inside, scores, 0.12 * scores), 0.01, 1.0))
