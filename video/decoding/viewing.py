"""Decoded frames as a viewer sees them: square pixels, the right way up, colours of BT.709."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.video.decoding.colour import RgbConversion
from cocon.video.decoding.container import reason
from cocon.video.decoding.display import display_shape, upright
from cocon.video.geometry import resize

if TYPE_CHECKING:
    import av

__all__ = ["Viewing"]


class Viewing:
    """Makes pictures of the frames of one stream, which are shown to it in presentation order.

    Args:
        stream: of the pictures.
        check_shape: refuses heights and widths; asked before a picture is made, since headers lie and sizes change.
        damaged: takes one line for every frame that has no picture.
        notes: takes what else a user should know, once.
    """

    def __init__(
        self,
        stream: "av.VideoStream",
        check_shape: Callable[[int, int], None],
        damaged: list[str],
        notes: list[str],
    ) -> None:
        self._aspect = stream.sample_aspect_ratio
        self._check_shape, self._damaged, self._notes = check_shape, damaged, notes
        self._rgb = RgbConversion()
        self._matrix: bytes | None = None

    def pass_over(self, frame: "av.VideoFrame") -> None:
        """Note what a frame that nobody wants to see says of those after it."""
        self._matrix = _display_matrix(frame) or self._matrix  # H.264 and HEVC may say it with key frames only

    def picture(self, frame: "av.VideoFrame") -> NDArray[np.uint8] | None:
        """A frame as RGB `uint8 [H, W, 3]`; None where it cannot be converted."""
        import av

        shape = display_shape(frame.height, frame.width, self._aspect)
        self._check_shape(frame.height, frame.width)
        self._check_shape(*shape)
        try:
            pixels = self._rgb.pixels(frame)
        except (av.FFmpegError, ValueError) as error:
            self._damaged.append(reason(error))
            return None
        if (source := self._rgb.converted_from) and not self._notes:
            self._notes.append(f"{source} was brought to BT.709; brighter than reference white is clipped")
        self.pass_over(frame)
        return upright(resize(pixels, *shape), self._matrix)


def _display_matrix(frame: "av.VideoFrame") -> bytes | None:
    from av.sidedata.sidedata import SideData

    matrix = frame.side_data.get("DISPLAYMATRIX")
    return bytes(matrix) if isinstance(matrix, SideData) else None
