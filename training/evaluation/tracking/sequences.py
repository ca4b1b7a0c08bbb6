"""Videos whose target's true boxes are known, frame by frame: folders as OTB has them, and generated figures.

    NAME/img/*.jpg           OTB: pictures in the order of their names, or instead of the folder img one video file
    NAME/groundtruth_rect.txt    their boxes; with several targets, groundtruth_rect.1.txt and so on

Generated figures are seen twice, from their own camera, which hardly moves and so does the person, and through a window
of three quarters of the picture that drifts over it, as if the camera did. The boxes are those of the exact masks, cut
by the same window: of what is visible of the person.

Every picture is brought to the square that feature maps are exported for, whatever its shape, as `client track` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, UsageError, VideoError
from cocon.embedding.tracking.box_tracking import box_to_labels
from cocon.embedding.tracking.cell_grid import CellGrid
from cocon.embedding.tracking.feature_maps import SIZE_PX
from cocon.training.annotations.boxes import mask_boxes, read_otb_boxes
from cocon.video.decoding.frames import Frame
from cocon.video.decoding.limits import MediaLimits
from cocon.video.geometry import resize
from cocon.video.own_views.pictures import numbered_files
from cocon.video.pictures.pictures import pictures_of_files, pictures_of_video
from cocon.video.store.dataset import DatasetFolder, VideoEntry
from cocon.video.store.files import read_view
from cocon.video.store.found_videos import VIDEO_SUFFIXES
from cocon.video.workers.pool import WorkerPool

__all__ = [
    "FILMED",
    "WINDOW",
    "Figure",
    "OtbFolder",
    "TrackingSequence",
    "TrackingVideo",
    "find_sequences",
    "window_corners",
]

Boxes = NDArray[np.float64]
Pixels = NDArray[np.uint8]

FILMED, WINDOW = "as filmed", "moving window"

_WINDOW_SHARE = 0.75
# Periods of the window's way across and down the picture: up to 3 px of 160 from frame to frame.
_PERIODS_S = (2.0, 3.1)
_PICTURE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".png"))
_TRUTH = "groundtruth_rect*.txt"

# Number of the picture, counted from 1, that the first box is of, in folders of OTB with more pictures than boxes.
# Source: matlab/util/MakeSequenceConfigVer10.m of github.com/jwlim/tracker_benchmark (300:770, 1:74, 1:460, 1:283); of
# Diving, got10k/datasets/otb.py of github.com/got-10k/toolkit (the first 215).
_FIRST_PICTURES = {"David": 300, "Diving": 1, "Football1": 1, "Freeman3": 1, "Freeman4": 1}


@dataclass(frozen=True, slots=True)
class TrackingSequence:
    """A video and the true boxes of its target; the first frame has one, in the picture.

    Attributes:
        scene: `FILMED` or `WINDOW`.
        frames: RGB `uint8 [F, s, s, 3]`, as a network is to see them.
        boxes: x, y, width, height, `float64 [F, 4]`, NaN where nothing is seen of the target; in pixels of a picture of
            `height` × `width`.
        height: of the picture that figures count pixels of.
        width: likewise.
        doubt: why its figures may be wrong, for a warning; empty if there is no reason.
    """

    scene: str
    frames: Pixels = field(repr=False)
    boxes: Boxes = field(repr=False)
    height: int
    width: int
    doubt: str = ""


class TrackingVideo(Protocol):
    """A video with true boxes that is not decoded yet."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def load(self, pool: WorkerPool, limits: MediaLimits) -> list[TrackingSequence]:
        """Its scenes; raises `VideoError`."""
        ...


@dataclass(frozen=True, slots=True)
class OtbFolder:
    """One target of a folder of OTB; evaluated in pixels of its pictures.

    Attributes:
        name: of the folder, and of the file of boxes where there are several.
        folder: with `img` or a video file.
        boxes: true ones, `float64 [F, 4]`.
    """

    name: str
    folder: Path
    boxes: Boxes = field(repr=False)

    def load(self, pool: WorkerPool, limits: MediaLimits) -> list[TrackingSequence]:
        """The video as it was filmed; raises `VideoError` if it cannot be read or has less pictures than boxes."""
        num_before = _FIRST_PICTURES.get(self.folder.name, 1) - 1
        height, width = 0, 0
        frames: list[Pixels] = []
        for _, pixels in islice(self._pictures(pool, limits), num_before + len(self.boxes) + 1):
            height, width = pixels.shape[:2]
            frames.append(resize(pixels, SIZE_PX, SIZE_PX))
        num_more = len(frames) - len(self.boxes)
        if num_more < 0:
            raise VideoError(f"'{self.folder}' has {len(frames)} pictures, but {len(self.boxes)} true boxes")
        is_known = num_more == 0 or (self.folder.name in _FIRST_PICTURES and num_more >= num_before)
        doubt = "" if is_known else f"more pictures than true boxes, which are taken for the first {len(self.boxes)}"
        start = num_before if num_more >= num_before else 0
        kept = np.stack(frames[start : start + len(self.boxes)])
        return [_begun(TrackingSequence(FILMED, kept, self.boxes, height, width, doubt))]

    def _pictures(self, pool: WorkerPool, limits: MediaLimits) -> Iterator[Frame]:
        if (self.folder / "img").is_dir():
            return pictures_of_files(pool, numbered_files(self.folder / "img", _PICTURE_SUFFIXES), limits)
        videos = numbered_files(self.folder, VIDEO_SUFFIXES)
        if len(videos) != 1:
            raise VideoError(f"'{self.folder}' must have a folder 'img' of pictures or one video, not {len(videos)}")
        return pictures_of_video(pool, videos[0], limits)


@dataclass(frozen=True, slots=True)
class Figure:
    """A generated video; evaluated in pixels of the frames that the network sees.

    Attributes:
        root: dataset folder.
        entry: the video.
    """

    root: Path
    entry: VideoEntry

    @property
    def name(self) -> str:
        """Its id."""
        return self.entry.video_id

    def load(self, pool: WorkerPool, limits: MediaLimits) -> list[TrackingSequence]:
        """The video as it was filmed and through the moving window; raises `VideoError` without an exact mask."""
        mask = read_view(self.root, "mask", self.name)
        if mask.pixels is None or mask.attributes.get("algorithm") != "exact":
            raise MissingViewError(
                f"mask of video '{self.name}' is estimated; boxes need the exact ones of 'cocon data make'"
            )
        pictures = [pixels for _, pixels in pictures_of_video(pool, self.entry.path, limits)]
        if len(pictures) != len(mask.pixels):
            raise VideoError(f"video '{self.name}' has {len(pictures)} frames, its mask {len(mask.pixels)}")
        side = round(SIZE_PX / _WINDOW_SHARE)
        seen, large = (SIZE_PX, SIZE_PX), (side, side)
        corners = window_corners(mask.timestamps - mask.timestamps[0], *large, *seen, seed=crc32(self.name.encode()))
        sequences = []
        for scene, size, places in ((FILMED, seen, np.zeros_like(corners)), (WINDOW, large, corners)):
            frames = _cut((resize(pixels, *size) for pixels in pictures), places, *seen)
            masks = _cut((resize(pixels, *size) for pixels in mask.pixels), places, *seen)
            boxes = mask_boxes(masks, height=SIZE_PX, width=SIZE_PX)
            sequences.append(_begun(TrackingSequence(scene, frames, boxes, *seen)))
        return sequences


def find_sequences(data: Path, max_figures: int) -> Sequence[TrackingVideo]:
    """Videos with true boxes: all folders of OTB, or generated figures, evenly chosen where there are too many.

    Args:
        data: a folder of folders as OTB has them, or of generated figures, whose test split is taken.
        max_figures: how many of these to take at most, at least 1.

    Raises:
        UsageError: it is neither, or a file of boxes is none.
    """
    if truths := sorted(data.glob(f"*/{_TRUTH}")):
        return [_otb_folder(path) for path in truths]
    dataset = DatasetFolder.open(data)
    entries = dataset.split("test")
    if not entries:
        raise UsageError(
            f"dataset '{data}' has neither folders with {_TRUTH} nor videos of split 'test' in manifest.csv"
        )
    places = np.unique(np.linspace(0, len(entries) - 1, min(max_figures, len(entries))).round().astype(int))
    return [Figure(dataset.root, entries[place]) for place in places]


def _otb_folder(truth: Path) -> OtbFolder:
    name = ".".join((truth.parent.name, *truth.stem.split(".")[1:]))
    return OtbFolder(name, truth.parent, read_otb_boxes(truth))


def window_corners(
    seconds: NDArray[np.float64], height: int, width: int, window_height: int, window_width: int, *, seed: int
) -> NDArray[np.int64]:
    """Top and left of a window that drifts over a picture: `int64 [F, 2]`, in whole pixels.

    Across and down it goes to and fro like a pendulum, from edge to edge, in other periods and from another start for
    every seed.

    Args:
        seconds: of each frame, `float64 [F]`.
        height: of the picture.
        width: likewise.
        window_height: no more than that.
        window_width: likewise.
        seed: equal ones give equal ways.
    """
    starts = np.random.default_rng(seed).random(2)
    turns = seconds[:, None] / np.array(_PERIODS_S[::-1]) + starts  # [F, 2]: down, across
    room = np.array([height - window_height, width - window_width])
    return np.rint(room * (0.5 + 0.5 * np.sin(2 * np.pi * turns))).astype(np.int64)


def _cut(pictures: Iterator[Pixels], corners: NDArray[np.int64], height: int, width: int) -> Pixels:
    """The window's part of each picture: `uint8 [F, height, width, C]`."""
    cut = [
        pixels[top : top + height, left : left + width] for pixels, (top, left) in zip(pictures, corners, strict=True)
    ]
    return np.stack(cut)


def _begun(sequence: TrackingSequence) -> TrackingSequence:
    """The same from the first frame with a box on."""
    is_known = ~np.isnan(sequence.boxes).any(axis=1)
    if not is_known.any():
        raise VideoError("nothing of the target is seen in any frame")
    first = int(is_known.argmax())
    try:
        box_to_labels(sequence.boxes[first], CellGrid.of_picture(sequence.height, sequence.width, rows=1, columns=1))
    except ValueError as error:
        raise VideoError(f"the first true {error}") from error
    return replace(sequence, frames=sequence.frames[first:], boxes=sequence.boxes[first:])
