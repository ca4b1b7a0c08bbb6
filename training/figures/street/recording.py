"""Record one planned video of the street set, and write its views as an estimator would have made them.

Flow is what the product estimates of the file that was written; key points and masks are the true ones with an
estimator's mistakes, which takes a hundredth of the time of looking for people.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.training.figures.filming import video_path
from cocon.training.figures.street.mistakes import Seen, broken_mask, see_person
from cocon.training.figures.street.painting import Filmed, film_street
from cocon.training.figures.street.scenes import StreetPlan
from cocon.training.figures.street.sensing import sensed, write_street_mp4
from cocon.video.decoding.frames import read_frames
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import resized_shape
from cocon.video.making.recipe import Recipe
from cocon.video.reading.viewed_frames import viewed_frames
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import write_frames, write_keypoints
from cocon.video.store.stored_view import FRAMES_WITH_PERSON

__all__ = ["record_to_folder"]

Bytes = NDArray[np.uint8]


def record_to_folder(root: Path, plan: StreetPlan, view_size_px: int) -> None:
    """Render one video and write it, then its views, which name the content that they belong to.

    Args:
        root: the data set's folder.
        plan: of the video.
        view_size_px: short side of flow and mask.
    """
    exact, filmed = film_street(plan)
    seen = see_person(plan, exact)
    masks: list[Bytes] = []
    path = video_path(root, plan.video_id)
    frames = _watched(plan, filmed, seen, view_size_px, masks)
    rgb = sensed(frames, plan.recorder, plan.frames_per_second)
    write_street_mp4(path, rgb, plan)
    recipe = Recipe(flow=FlowSpec(size_px=view_size_px))
    sha256 = content_sha256(path)
    flow, times = _estimated_flow(path, recipe.flow)
    write_frames(root, "flow", plan.video_id, flow, times, attributes=recipe.attributes("flow", sha256, None))
    known: dict[str, float | str] = {"algorithm": "exact, with mistakes", "content_sha256": sha256}
    known[FRAMES_WITH_PERSON] = int(seen.is_found.sum())
    write_frames(root, "mask", plan.video_id, np.stack(masks), times, attributes=known)
    points, size = seen.keypoints[:, None].astype(np.float16), {"height": plan.height_px, "width": plan.width_px}
    write_keypoints(root, plan.video_id, points, times, **size, attributes=known)


def _watched(
    plan: StreetPlan, filmed: Iterator[Filmed], seen: Seen, view_size_px: int, masks: list[Bytes]
) -> Iterator[Bytes]:
    """The pictures; of each one, the mask is added to `masks`."""
    height, width = resized_shape(plan.height_px, plan.width_px, view_size_px)
    rng = np.random.default_rng([plan.mistakes_seed, 1])
    for index, frame in enumerate(filmed):
        masks.append(broken_mask(frame.parts, seen, index, (width, height), rng))
        yield frame.rgb


def _estimated_flow(path: Path, spec: FlowSpec) -> tuple[Bytes, NDArray[np.float64]]:
    """Flow `uint8 [F, h, w, 2]` of a file and the times of its frames `[F]`, as `cocon views make` makes it."""
    rows, seconds = [], []
    for frame in viewed_frames(read_frames(path), ("flow",), spec):
        rows.append(frame.view("flow").rows[0])
        seconds.append(frame.seconds)
    return np.stack(rows), np.array(seconds, np.float64)
