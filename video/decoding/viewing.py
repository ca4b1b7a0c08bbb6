"""Decoded frames as a viewer sees them: square pixels, the right way up, colours of BT.709."""

import gc
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import UnreadableVideoError
from cocon.video.decoding.colour import RgbConversion, tags_of
from cocon.video.decoding.container import reason
from cocon.video.decoding.display import display_shape, upright
from cocon.video.decoding.picture import Picture
from cocon.video.geometry import resize

if TYPE_CHECKING:
    import av

__all__ = ["Viewing"]

# PyAV's frames and what they say of themselves hold each other, so that only the collector frees them. It comes by
# itself after hundreds of them, which at 720 lines are hundreds of megabytes; those that waited for others to be made
# into views have become old by then.
_FRAMES_PER_COLLECTION = 32
_YOUNG, _OLD = 1, 2  # generations


class Viewing:
    """Makes pictures of the frames of one stream, which are shown to it in presentation order.

    Args:
        sample_aspect_ratio: width of a stored pixel by its height; None for square ones.
        check_shape: refuses heights and widths; asked before a picture is made, since headers lie and sizes change.
        damaged: takes one line for every frame that has no picture.
        notes: takes what else a user should know, once.
    """

    def __init__(
        self,
        sample_aspect_ratio: Fraction | None,
        check_shape: Callable[[int, int], None],
        damaged: list[str],
        notes: list[str],
    ) -> None:
        self._aspect = sample_aspect_ratio
        self._check_shape, self._damaged, self._notes = check_shape, damaged, notes
        self._rgb = RgbConversion()
        self._matrix: bytes | None = None
        self._sound_kind: object = None
        self._num_seen = 0

    def pass_over(self, frame: "av.VideoFrame") -> None:
        """Note what a frame that nobody wants to see says of those after it."""
        self._matrix = _display_matrix(frame) or self._matrix  # H.264 and HEVC may say it with key frames only
        self._num_seen += 1
        if self._num_seen % _FRAMES_PER_COLLECTION == 0:
            gc.collect(_OLD if gc.get_freeze_count() else _YOUNG)  # in a worker all else is frozen, so that is quick

    def picture(self, frame: "av.VideoFrame") -> Picture | None:
        """A frame as a viewer sees it; None where it cannot be converted.

        The first frame of a size and format is converted at once, which shows whether the others of that kind can be;
        those are when their pixels are asked for.
        """
        import av

        shape = display_shape(frame.height, frame.width, self._aspect)
        self._check_shape(frame.height, frame.width)
        self._check_shape(*shape)
        kind = (frame.format.name, frame.height, frame.width, *tags_of(frame))
        if kind == self._sound_kind:
            self.pass_over(frame)
            return Picture(partial(self._later, frame, shape, self._matrix))
        try:
            pixels = self._rgb.pixels(frame)
        except (av.FFmpegError, ValueError) as error:
            self._damaged.append(reason(error))
            return None
        if (source := self._rgb.converted_from) and not self._notes:
            self._notes.append(f"{source} was brought to BT.709; brighter than reference white is clipped")
        self._sound_kind = kind
        self.pass_over(frame)
        return Picture.of(upright(resize(pixels, *shape), self._matrix))

    def _later(self, frame: "av.VideoFrame", shape: tuple[int, int], matrix: bytes | None) -> NDArray[np.uint8]:
        import av

        try:
            return upright(resize(self._rgb.pixels(frame), *shape), matrix)
        except (av.FFmpegError, ValueError) as error:
            raise UnreadableVideoError(f"a frame cannot be converted, as others before it could: {error}") from error


def _display_matrix(frame: "av.VideoFrame") -> bytes | None:
    from av.sidedata.sidedata import SideData

    matrix = frame.side_data.get("DISPLAYMATRIX")
    return bytes(matrix) if isinstance(matrix, SideData) else None
