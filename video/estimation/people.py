"""The person in every frame: key points for the `pose` view and a mask for the `mask` view, by MediaPipe Pose.

MediaPipe Pose (BlazePose, https://arxiv.org/abs/2006.10204) with the *full* model, whose weights are part of the
wheel: nothing is ever downloaded. It follows one person, the most prominent one, from frame to frame and looks anew for
one where it loses it.

    for seconds, people in people_of(read_frames(Path("video.mp4"))):
        people.keypoints, people.mask       # float16 [1, 17, 3], uint8 [h, w, 1]

Its native code writes two to four lines to stderr per video; no environment variable or option of 0.10.21 stops it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MissingViewError, UsageError
from cocon.video.geometry import resize_short_side

if TYPE_CHECKING:
    from mediapipe.python.solutions.pose import Pose

__all__ = [
    "MASK_SHORT_SIDE_PX",
    "PEOPLE_SHORT_SIDE_PX",
    "People",
    "check_people_available",
    "people_identity",
    "people_of",
    "require_people",
]

# The networks look at 224 × 224 and 256 × 256 pixels. Frames of 256, not 1080 lines, move a key point by 0.3 % of the
# picture's height (0.2 px of the pose view) and find a person in as many frames; of 192 lines, one video in seven loses
# a tenth of them.
PEOPLE_SHORT_SIDE_PX = 256
# Twice the mask view's default side.
MASK_SHORT_SIDE_PX = 128

# Of what we make of MediaPipe; raise it with every change that finds other people.
_REVISION = 1

# MediaPipe's own defaults. Lower ones find more "people": at 0.3, dogs and fists.
_MIN_CONFIDENCE = 0.5
# Which of MediaPipe's 33 landmarks are the key points of COCO, in the order of `COCO_KEYPOINTS`.
_LANDMARKS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_FLOAT16_MAX = float(np.finfo(np.float16).max)

# Shared library → Debian and Ubuntu package.
_SYSTEM_PACKAGES = {
    "libGL.so": "libgl1",
    "libEGL.so": "libegl1",
    "libGLESv2.so": "libgles2",
    "libgthread-2.0.so": "libglib2.0-0",
    "libglib-2.0.so": "libglib2.0-0",
}


@dataclass(frozen=True, slots=True)
class People:
    """What was found in one frame.

    Attributes:
        keypoints: `float16 [P, 17, 3]` in the order of COCO: x, y in pixels of a `height` × `width` frame, also beyond
            its edges, and score 0..1, the probability that the point is in the picture and not hidden. P = 1; zeros
            when nobody was found.
        mask: person probability × 255, `uint8 [h, w, 1]`; zeros when nobody was found.
        height: of the frame that key points refer to.
        width: likewise.
    """

    keypoints: NDArray[np.float16]
    mask: NDArray[np.uint8]
    height: int
    width: int

    @property
    def is_found(self) -> bool:
        """Whether a person was found."""
        return bool(self.keypoints.any())


def check_people_available() -> None:
    """See whether people can be estimated here, before any work is done; the first call takes half a second.

    Raises:
        MissingViewError: MediaPipe or a library that it needs is missing; the message is the remedy.
    """
    try:
        import mediapipe.python.solutions.pose  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingViewError(
            f"views 'pose' and 'mask' need '{error.name}', which is not installed; run: pip install 'cocon[people]' "
            "(Python 3.11 or 3.12; x86-64 or macOS)"
        ) from error
    except ImportError as error:
        raise MissingViewError(f"views 'pose' and 'mask' need MediaPipe, which fails: {_remedy(error)}") from error


def require_people() -> None:
    """`check_people_available` where somebody has asked for people: then it is a mistake.

    Raises:
        UsageError: they cannot be estimated here.
    """
    try:
        check_people_available()
    except MissingViewError as error:
        raise UsageError(str(error)) from error


def people_identity() -> str | None:
    """Who finds people here: model, our revision, and the release of MediaPipe; None where that is not installed."""
    try:
        return f"blazepose-full r{_REVISION} (mediapipe {'.'.join(version('mediapipe').split('.')[:2])})"
    except PackageNotFoundError:
        return None


def people_of(frames: Iterable[tuple[float, NDArray[np.uint8]]]) -> Iterator[tuple[float, People]]:
    """Estimate the person in every frame of one video, in one pass.

    The estimator's state begins anew with every video, so what it finds depends on nothing but the frames. Nothing is
    smoothed over time: MediaPipe's filters take all videos for 30 frames per second.

    Args:
        frames: (presentation time in seconds, RGB `uint8 [H, W, 3]` of any size) of all frames, in order.

    Returns:
        The same times, each with what was found; computed as it is taken.

    Raises:
        MissingViewError: MediaPipe or a library that it needs is missing.
    """
    check_people_available()
    return _people_of(frames)


def _people_of(frames: Iterable[tuple[float, NDArray[np.uint8]]]) -> Iterator[tuple[float, People]]:
    from mediapipe.python.solutions.pose import Pose

    # A new object costs as much as a reset, 0.1 s until its first frame, and has no memory for certain.
    with Pose(
        model_complexity=1,
        smooth_landmarks=False,
        enable_segmentation=True,
        smooth_segmentation=False,
        min_detection_confidence=_MIN_CONFIDENCE,
        min_tracking_confidence=_MIN_CONFIDENCE,
    ) as pose:
        for seconds, pixels in frames:
            yield seconds, _find(pose, resize_short_side(pixels, min(PEOPLE_SHORT_SIDE_PX, *pixels.shape[:2])))


def _find(pose: "Pose", pixels: NDArray[np.uint8]) -> People:
    height, width = pixels.shape[:2]
    keypoints = np.zeros((1, len(_LANDMARKS), 3), np.float64)
    mask = np.zeros((height, width, 1), np.uint8)
    found = pose.process(np.ascontiguousarray(pixels))
    if found.pose_landmarks is not None:
        points = (found.pose_landmarks.landmark[index] for index in _LANDMARKS)
        keypoints[0] = [(point.x * width, point.y * height, point.visibility) for point in points]
        np.rint(found.segmentation_mask[..., None] * 255.0, out=mask, casting="unsafe")
    # On a strip a few pixels wide, "beyond the edges" can be far.
    keypoints = np.clip(keypoints, -_FLOAT16_MAX, _FLOAT16_MAX)
    small = resize_short_side(mask, min(MASK_SHORT_SIDE_PX, height, width))
    return People(keypoints.astype(np.float16), small, height, width)


def _remedy(error: ImportError) -> str:
    """What to do about a library that is there but cannot be loaded."""
    for library, package in _SYSTEM_PACKAGES.items():
        if library in str(error):
            return f"the shared library {library} is missing; run: apt-get install {package}"
    return f"{error}; run: pip install --force-reinstall 'cocon[people]'"
