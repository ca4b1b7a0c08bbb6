"""A thing that is marked in one frame, followed through a video.

with tracking_model("local:model_repository") as model, WorkerPool(limits) as pool:
    pictures = pictures_of_video(pool, Path("video.mp4"), limits, start_seconds=2.0)
    for frame in track_box(model, pictures, parse_box("40,30,80,120")):
        frame.seconds, frame.tracked.box, frame.tracked.is_lost
"""

from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.connect import connect
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.core.errors import UsageError
from cocon.embedding.tracking.box_tracking import TrackedBox, box_to_labels, tracked_boxes
from cocon.embedding.tracking.cell_grid import CellGrid
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS, FeatureMaps
from cocon.embedding.tracking.propagation import SMALL_MAPS
from cocon.video.decoding.frames import Frame
from cocon.video.geometry import resize

__all__ = ["Box", "TrackedFrame", "box_in_cells", "parse_box", "track_box", "tracking_model"]

Box = NDArray[np.float64]

_VIEW = "rgb"
# Whole pictures wait for the boxes of a batch.
_FRAMES_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and what was found in it.

    Attributes:
        seconds: Presentation time in the video.
        pixels: RGB `uint8 [H, W, 3]`.
        tracked: Its box, in pixels of the picture.
    """

    seconds: float
    pixels: NDArray[np.uint8] = field(repr=False)
    tracked: TrackedBox


def parse_box(text: str) -> Box:
    """A box from `X,Y,WIDTH,HEIGHT` in pixels: `float64 [4]`.

    Raises:
        UsageError: It is not four finite numbers, the last two of them positive.
    """
    try:
        box = np.array([float(number) for number in text.split(",")])
    except ValueError:
        box = np.empty(0)
    if box.shape != (4,) or not np.isfinite(box).all() or not (box[2:] > 0).all():
        raise UsageError(f"--box '{text}' must be X,Y,WIDTH,HEIGHT: pixels, the last two above 0, as in 40,30,80,120")
    return box


@contextmanager
def tracking_model(
    url: str, *, timeout_s: float = 30.0, credentials: Credentials = NO_CREDENTIALS
) -> Iterator[FeatureMaps]:
    """The model that tracking asks, as long as the block lasts.

    Args:
        url: `host:port` of a Triton server, or `local:FOLDER` for a model repository in this process.
        timeout_s: Deadline of every request to a server.
        credentials: By which a server is known, and who asks it.

    Raises:
        UsageError: There is no such model; the message says how to make it.
        ServerError: The server does not answer.
        MismatchError: The model's contract is damaged, or is another model's.
    """
    with closing(connect(url, timeout_s=timeout_s, credentials=credentials)) as host:
        yield host.open(FEATURE_MAPS, _VIEW)
        host.confirm()


def track_box(model: FeatureMaps, pictures: Iterator[Frame], box: Box) -> Iterator[TrackedFrame]:
    """Follow a box to the end of a video, in bounded memory.

    Pictures are brought to the model's square whatever their shape: what is stretched is so in all of them.

    Args:
        model: Gives feature maps.
        pictures: (Seconds, RGB `uint8 [H, W, 3]`) of each frame, all of one size, at least one.
        box: x, y, width, height in pixels of the first picture, `float64 [4]`. Of one that sticks out of the picture,
            the part inside is followed.

    Yields:
        Every frame.

    Raises:
        UsageError: The box lies outside the picture; or what taking pictures raises.
        ServerError: The server does not answer.
        MismatchError: The model refuses the frames or gives unsound maps.
    """
    first = next(pictures)
    height, width = first[1].shape[:2]
    try:
        box_to_labels(box, CellGrid.of_picture(height, width, rows=1, columns=1))
    except ValueError as error:
        raise UsageError(f"{error}; --box is X,Y,WIDTH,HEIGHT in pixels of the video, upright") from error
    waiting: deque[Frame] = deque()
    maps = _maps(model, chain([first], pictures), waiting)
    offset_cells = model.contract.offset_cells
    for tracked in tracked_boxes(maps, box, height, width, SMALL_MAPS, offset_cells=offset_cells):
        yield TrackedFrame(*waiting.popleft(), tracked)


def box_in_cells(box: Box, height: int, width: int, model: FeatureMaps) -> tuple[float, float]:
    """Width and height of a box in cells of the model's maps, of a picture of `height` × `width` pixels."""
    rows, columns, _ = model.contract.map_shape
    return float(box[2] * columns / width), float(box[3] * rows / height)


def _maps(model: FeatureMaps, frames: Iterator[Frame], waiting: deque[Frame]) -> Iterator[NDArray[np.float32]]:
    """Feature maps `float32 [s, s, D']`, frame by frame; the frames are put into `waiting`."""
    side = model.contract.size_px
    while batch := list(islice(frames, _FRAMES_AT_A_TIME)):
        waiting.extend(batch)
        yield from model.maps(np.stack([resize(pixels, side, side) for _, pixels in batch]))
