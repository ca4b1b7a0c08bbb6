"""The window around people at any moment of a video, smooth in time: a pure function of where they were around it.

    track = WindowTrack(Following())
    for seconds, box in boxes:
        track.add(seconds, box, height, width)
    top, left, side = track.at(2.5).pixels(1080, 1920)

**A frame's target** is a square: its side is the longer side of the box around all people with the margin on both
sides, no shorter than `least_share` and no longer than the picture's short side; it has the box in its middle, as far
as that leaves it inside the picture. Of somebody whom the picture's edge cuts off only a part is seen: there the side
is no shorter than any of the `hold_seconds` before. Where nobody is found, the last target is held for `hold_seconds`;
then, and where nobody ever was, the target is the middle square of the picture, which is what a centre crop shows.

**A moment's window** is the mean of the targets of the frames no farther than `smoothing_seconds` from it, weighted
less the farther they are. Squares inside a picture have their mean inside it. So a window depends on what was found
from `lead_seconds` before to `smoothing_seconds` after, and on nothing else: whoever reads a video as a whole, in
parts, or as it comes finds the same.

Centres are shares of the picture's width and height, sides shares of its short side, so that a window means the same in
every view of a frame, whatever size it is kept at.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.video.following.boxes import Box
from cocon.video.following.rule import Following

__all__ = ["WHOLE", "PictureWindow", "WindowTrack"]

# So many frames on either side of a moment at most have a say in its window: frames that wait for boxes are in memory,
# and a file may have them much nearer to each other than a camera.
_MOST_FRAMES = 64
# Rows that are not needed any more are forgotten when there are so many.
_FORGOTTEN_AT_ONCE = 1024
# Likewise of those before a frame whose sides count for one who is cut off.
_MOST_SIDES = 256
_NO_TIME_S = 1e-9
# A box that begins nearer to the picture's edge than this share of it is one of somebody cut off.
_AT_EDGE = 0.005


@dataclass(frozen=True, slots=True)
class PictureWindow:
    """A square part of a picture.

    Attributes:
        x: centre, as a share of the picture's width.
        y: centre, as a share of its height.
        side: as a share of its short side.
    """

    x: float
    y: float
    side: float

    def pixels(self, height: int, width: int) -> tuple[int, int, int]:
        """Top, left and side in whole pixels of a picture `height` × `width`; inside it."""
        side = min(max(1, round(self.side * min(height, width))), height, width)
        top, left = round(self.y * height - side / 2), round(self.x * width - side / 2)
        return min(max(0, top), height - side), min(max(0, left), width - side), side

    def part_of(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a frame `uint8 [H, W, C]` that it shows, `uint8 [side, side, C]`; not a copy."""
        top, left, side = self.pixels(*frame.shape[:2])
        return frame[top : top + side, left : left + side]


WHOLE = PictureWindow(0.5, 0.5, 1.0)
"""The middle square of a picture."""


class WindowTrack:
    """Where people were in the frames of a video so far, and the window of any moment.

    Args:
        following: the rule.
    """

    def __init__(self, following: Following) -> None:
        self.following = following
        self._times = array("d")
        self._targets = array("d")  # x, y, side of each time
        self._found: tuple[float, PictureWindow] | None = None
        self._sides: deque[tuple[float, float]] = deque(maxlen=_MOST_SIDES)

    @classmethod
    def of_array(cls, following: Following, rows: NDArray[np.float64]) -> Self:
        """What `array` gave."""
        track = cls(following)
        track._times.extend(rows[:, 0].tolist())
        track._targets.extend(rows[:, 1:].ravel().tolist())
        return track

    @property
    def array(self) -> NDArray[np.float64]:
        """Time and target of each frame taken in, `float64 [F, 4]`: all that windows depend on."""
        return np.column_stack([np.array(self._times), np.array(self._targets).reshape(-1, 3)])

    def add(self, seconds: float, box: Box | None, height: int, width: int) -> None:
        """Take in where people are in the next frame.

        Args:
            seconds: its time, later than that of the one before.
            box: around them; None where nobody is found.
            height: of the frame, or of one with the same aspect ratio.
            width: likewise.
        """
        if box is not None:
            self._found = seconds, self._around(seconds, box, height, width)
        is_held = self._found is not None and seconds - self._found[0] <= self.following.hold_seconds + _NO_TIME_S
        target = self._found[1] if is_held and self._found is not None else WHOLE
        self._times.append(seconds)
        self._targets.extend((target.x, target.y, target.side))

    def is_known(self, seconds: float) -> bool:
        """Whether no further frame changes the window of a moment."""
        if not self._times:
            return False
        is_past = self._times[-1] > seconds + self.following.smoothing_seconds
        return is_past or len(self._times) - bisect_right(self._times, seconds) >= _MOST_FRAMES

    def at(self, seconds: float) -> PictureWindow:
        """The window of a moment, by the frames that were taken in."""
        reach, times = self.following.smoothing_seconds, self._times
        begin = max(bisect_left(times, seconds - reach), bisect_left(times, seconds) - _MOST_FRAMES)
        end = min(bisect_right(times, seconds + reach), bisect_right(times, seconds) + _MOST_FRAMES)
        if begin >= end:
            return self._without_frames(begin, seconds)
        weights = reach + _NO_TIME_S - np.abs(np.array(times[begin:end]) - seconds)  # [F]
        targets = np.array(self._targets[3 * begin : 3 * end]).reshape(-1, 3)
        # From one of them on, so that the mean of equal targets is that target.
        x, y, side = targets[0] + (weights[:, None] * (targets - targets[0])).sum(axis=0) / weights.sum()
        return PictureWindow(float(x), float(y), float(side))

    def forget_before(self, seconds: float) -> None:
        """Moments before this one will not be asked for."""
        num_past = bisect_left(self._times, seconds - self.following.smoothing_seconds) - 1
        if num_past >= _FORGOTTEN_AT_ONCE:
            del self._times[:num_past], self._targets[: 3 * num_past]

    def _around(self, seconds: float, box: Box, height: int, width: int) -> PictureWindow:
        """The target of a frame in which somebody is found."""
        side, following, recent = _side(box, height, width, self.following), self.following, self._sides
        while recent and seconds - recent[0][0] > following.hold_seconds + _NO_TIME_S:
            recent.popleft()
        recent.append((seconds, side))
        if min(box.left, box.top, 1 - box.right, 1 - box.bottom) <= _AT_EDGE:
            side = max(before for _, before in recent)
        half_x, half_y = side * min(height, width) / (2 * width), side * min(height, width) / (2 * height)
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        return PictureWindow(min(max(x, half_x), 1 - half_x), min(max(y, half_y), 1 - half_y), side)

    def _without_frames(self, following: int, seconds: float) -> PictureWindow:
        """Where no frame is near: the target of the one before, as long as boxes are held."""
        place = following - 1
        if place < 0 or seconds - self._times[place] > self.following.hold_seconds:
            return WHOLE
        return PictureWindow(*self._targets[3 * place : 3 * place + 3])


def _side(box: Box, height: int, width: int, following: Following) -> float:
    """Of the square around a box, as a share of the picture's short side."""
    longer_px = max((box.right - box.left) * width, (box.bottom - box.top) * height)
    return min(1.0, max(following.least_share, (1 + 2 * following.margin) * longer_px / min(height, width)))
