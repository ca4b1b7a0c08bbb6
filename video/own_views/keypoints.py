"""A user's own key points: COCO-17 JSON in the two forms that pose estimators and annotation tools write.

    [{"image_id": 7, "keypoints": [x1, y1, s1, ..., x17, y17, s17]}, ...]                      results
    {"images": [{"id": 3, "file_name": "000007.jpg", "height": 480, "width": 640}, ...],
     "annotations": [{"image_id": 3, "keypoints": [...]}, ...]}                                annotations

Results name a frame by its number from 0, or by a file name whose last digits are that number. In annotations the
images are the frames, in the order of their file names, or else of their ids.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, UsageError
from cocon.core.printable import in_one_line
from cocon.core.texts.text_files import decode_text
from cocon.video.own_views.pictures import last_number, natural_order, other_shape
from cocon.video.own_views.source import OwnSource, OwnVideo, OwnView

__all__ = ["user_keypoints"]

_MAX_BYTES = 256 << 20
_MAX_PEOPLE = 100
_NUM_VALUES = 17 * 3
_MAX_FLOAT16 = 65504.0
# A point that was labelled though something hides it: its place is known, it cannot be seen.
_HIDDEN_SCORE = 0.5


@dataclass(frozen=True, slots=True)
class _Person:
    """One entry: its place in the file, its frame, and x, y, score of its points `float64 [17, 3]`."""

    entry: str
    frame: int
    points: NDArray[np.float64]


def user_keypoints(source: OwnSource, video: OwnVideo) -> OwnView:
    """Read a video's key points from a JSON file of at most 256 MiB.

    The third value of a point is its score from 0 to 1. If a file has whole numbers only, and a 2 among them, they are
    COCO's visibility flags: 0 not labelled, 1 labelled but hidden (score 0.5), 2 visible (score 1). An entry's own
    `score` says how sure a detector was of the person, not of the points, and is not used.

    Returns:
        Key points `float16 [F, P, 17, 3]` (x, y in pixels, score), P the most people in any frame and at least 1, rows
        of zeros where there are fewer; and the height and width that they refer to, the images' own where the file
        says them.

    Raises:
        MissingViewError: the file cannot be read, is of neither form, or does not fit the video.
    """
    height, width = video.height, video.width
    try:
        content = _content(source.path)
        if isinstance(content, list):
            people = [_person(f"[{index}]", entry, video.num_frames) for index, entry in enumerate(content)]
        elif isinstance(content, dict):
            images = _images(content.get("images"), video.num_frames)
            height, width = _picture_size(content["images"], height, width)
            people = _annotated(content.get("annotations"), images)
        else:
            raise _WrongError("a list of results, or an object with 'images' and 'annotations', is needed")
        points = _table(people, video.num_frames)
    except _WrongError as error:
        raise MissingViewError(f"key points '{source.path}': {error}") from error
    return OwnView(points, height, width, int((points[..., 2] > 0).any(axis=(1, 2)).sum()))


class _WrongError(Exception):
    """What is wrong with the file, without its name."""


def _content(path: Path) -> object:
    try:
        num_bytes = path.stat().st_size
        if num_bytes > _MAX_BYTES:
            raise _WrongError(f"{num_bytes:,} bytes are more than the {_MAX_BYTES:,} that are read")
        return json.loads(decode_text(path.read_bytes(), "the text"))
    except OSError as error:
        raise _WrongError(f"it cannot be read ({error.strerror})") from error
    except UsageError as error:
        raise _WrongError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _WrongError(f"it is no JSON ({in_one_line(error)})") from error


def _images(images: object, num_frames: int) -> dict[int | str, int]:
    """Image id → frame."""
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise _WrongError("'images' must be a list of objects")
    if len(images) != num_frames:
        raise _WrongError(f"it has {len(images)} images, the video {num_frames} frames; they must be as many")
    for index, image in enumerate(images):
        if type(image.get("id")) not in (int, str):
            raise _WrongError(f"images[{index}]: id {_shown(image.get('id'))} must be a number or a name")
    has_names = all(isinstance(image.get("file_name"), str) for image in images)
    ordered = sorted(images, key=lambda image: natural_order(str(image["file_name" if has_names else "id"])))
    frames = {image["id"]: frame for frame, image in enumerate(ordered)}
    if len(frames) < len(images):
        raise _WrongError("two images have the same id")
    return frames


def _picture_size(images: Sequence[Mapping[str, Any]], height: int, width: int) -> tuple[int, int]:
    """Height and width that the images state, or else the video's."""
    sizes = {(image["height"], image["width"]) for image in images if _has_size(image)}
    if len(sizes) > 1:
        raise _WrongError(f"its images have {len(sizes)} different sizes; a video has one")
    stated_height, stated_width = sizes.pop() if sizes else (height, width)
    if problem := other_shape(stated_height, stated_width, height, width):
        raise _WrongError(f"its images are {problem}")
    return stated_height, stated_width


def _has_size(image: Mapping[str, Any]) -> bool:
    return all(type(image.get(side)) is int and 0 < image[side] < _MAX_FLOAT16 for side in ("height", "width"))


def _annotated(annotations: object, images: Mapping[int | str, int]) -> list[_Person]:
    if not isinstance(annotations, list):
        raise _WrongError("'annotations' must be a list of objects")
    people = []
    for index, entry in enumerate(annotations):
        place = f"annotations[{index}]"
        image_id = entry.get("image_id") if isinstance(entry, dict) else None
        frame = images.get(image_id) if isinstance(image_id, int | str) else None
        if frame is None:
            raise _WrongError(f"{place}: image_id {_shown(image_id)} must be the id of an image")
        people.append(_Person(place, frame, _points(place, entry)))
    return people


def _person(place: str, entry: object, num_frames: int) -> _Person:
    if not isinstance(entry, dict):
        raise _WrongError(f"{place}: {_shown(entry)} must be an object with 'image_id' and 'keypoints'")
    image_id = entry.get("image_id")
    frame = last_number(image_id) if isinstance(image_id, str) else image_id
    if type(frame) is not int:
        raise _WrongError(f"{place}: image_id {_shown(image_id)} must be a frame number, or a name that ends in one")
    if not 0 <= frame < num_frames:
        raise _WrongError(
            f"{place}: image_id {_shown(image_id)} is no frame of the video; they are 0 to {num_frames - 1}"
        )
    return _Person(place, frame, _points(place, entry))


def _points(place: str, entry: Mapping[str, Any]) -> NDArray[np.float64]:
    values = entry.get("keypoints")
    if not isinstance(values, list) or len(values) != _NUM_VALUES:
        found = f"{len(values)} values" if isinstance(values, list) else _shown(values)
        raise _WrongError(f"{place}: keypoints ({found}) must be {_NUM_VALUES} numbers: 17 times x, y, score")
    try:
        points = np.array(values if set(map(type, values)) <= {int, float} else np.nan, np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        points = np.array(np.nan)
    if not np.isfinite(points).all():
        raise _WrongError(f"{place}: keypoints must be finite numbers")
    points = points.clip(-_MAX_FLOAT16, _MAX_FLOAT16).reshape(17, 3)
    if points[:, 2].max() > 2:
        raise _WrongError(f"{place}: score {points[:, 2].max():g} must be from 0 to 1, or a visibility flag 0, 1 or 2")
    return points


def _table(people: Sequence[_Person], num_frames: int) -> NDArray[np.float16]:
    """Key points by frame and person, in the order of the file; people without any point are left out."""
    points = np.stack([person.points for person in people]) if people else np.zeros((0, 17, 3))
    points[..., 2] = _scores(points[..., 2])
    counts = np.zeros(num_frames, np.int64)
    rows = np.full(len(people), -1)
    for index in np.flatnonzero(points[..., 2].any(axis=1)):
        frame = people[index].frame
        rows[index] = counts[frame]
        counts[frame] += 1
        if counts[frame] > _MAX_PEOPLE:
            raise _WrongError(
                f"{people[index].entry}: frame {frame} has more than {_MAX_PEOPLE} people; keep the surest"
            )
    table = np.zeros((num_frames, max(1, int(counts.max(initial=0))), 17, 3), np.float16)
    frames = np.array([person.frame for person in people], np.int64)
    table[frames[rows >= 0], rows[rows >= 0]] = points[rows >= 0]
    return table


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the third values of all points mean: see `user_keypoints`."""
    are_flags = bool(np.isin(values, (0, 1, 2)).all() and (values == 2).any())
    return np.where(values == 1, _HIDDEN_SCORE, values / 2) if are_flags else values.clip(0, 1)


def _shown(value: object) -> str:
    """A wrong value, as it stands in the file, in a few characters."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
