"""The two time axes of an alignment's picture: stills, times and phases along the edges of the map."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.aligning.spans import BlockTrack
from cocon.core.printable import clock
from cocon.video.pictures.drawing import Colour
from cocon.video.pictures.lettering import draw_text, text_width
from cocon.video.pictures.stills import spread_moments

__all__ = ["BAND_PX", "CELL_PX", "STILL_PX", "TimeAxis"]

Pixels = NDArray[np.uint8]

STILL_PX = 84
CELL_PX = 92  # of the map, for one still with its frame and a gap
BAND_PX = 10
_FRAME_PX, _GAP_PX, _TICK_PX, _CAP_PX = 3, 4, 5, 10

_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_MAX_TICKS = 8
_TEXT: Colour = (200, 200, 204)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """One video along an edge of the map, from the map outwards: phases, times, stills.

    Attributes:
        track: The video's blocks.
        colours: Of each block: its phase's.
        num_stills: Pictures along it.
        runs_down: On the left of the map, or else above it.
        times_px: Room for the times.
    """

    track: BlockTrack
    colours: Sequence[Colour]
    num_stills: int
    runs_down: bool
    times_px: int

    @property
    def length_px(self) -> int:
        """Of this edge of the map."""
        return self.num_stills * CELL_PX

    @property
    def depth_px(self) -> int:
        """How far it reaches out from the map."""
        return BAND_PX + _GAP_PX + self.times_px + CELL_PX

    @property
    def moments(self) -> list[float]:
        """When the stills are wanted, in seconds: the middles of equal parts."""
        return spread_moments(float(self.track.edges[0]), float(self.track.edges[-1]), self.num_stills)

    def px(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where moments are on the map's edge, in pixels from its corner."""
        begin, end = self.track.edges[[0, -1]]
        return (seconds - begin) / (end - begin) * self.length_px

    def blocks(self) -> NDArray[np.int64]:
        """Which block each pixel of the edge shows: `int64 [length_px]`."""
        positions = np.searchsorted(self.px(self.track.edges), np.arange(self.length_px) + 0.5, "right") - 1
        return np.clip(positions, 0, len(self.track) - 1).astype(np.int64)

    def draw(self, canvas: Pixels, corner: tuple[int, int], stills: Pixels) -> None:
        """Draw it.

        Args:
            canvas: RGB `uint8 [H, W, 3]`, written to.
            corner: Row and column of the map's upper left corner.
            stills: RGB `uint8 [num_stills, STILL_PX, STILL_PX, 3]`, at `moments`.
        """
        blocks = self.blocks()
        band = np.array(self.colours, np.uint8)[blocks]  # [length_px, 3]
        place = self._place(canvas, corner, 0, self.length_px, _GAP_PX, BAND_PX)
        place[:] = band[:, None] if self.runs_down else band[None]
        margin = (CELL_PX - STILL_PX) // 2
        outwards = BAND_PX + _GAP_PX + self.times_px + margin
        for slot, still in enumerate(stills):
            begin = slot * CELL_PX + margin
            colour = self.colours[blocks[slot * CELL_PX + CELL_PX // 2]]
            frame = self._place(
                canvas,
                corner,
                begin - _FRAME_PX,
                STILL_PX + 2 * _FRAME_PX,
                outwards - _FRAME_PX,
                STILL_PX + 2 * _FRAME_PX,
            )
            frame[:] = colour
            frame[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = still
        self._draw_times(canvas, corner)

    def _draw_times(self, canvas: Pixels, corner: tuple[int, int]) -> None:
        begin, end = self.track.edges[[0, -1]]
        step = next((step for step in _TICK_SECONDS if (end - begin) / step <= _MAX_TICKS), _TICK_SECONDS[-1])
        for seconds in np.arange(np.ceil(begin / step), end / step + 1e-6) * step:
            at = min(self.length_px - 1, int(self.px(seconds)))
            outwards = _GAP_PX + BAND_PX + 2
            self._place(canvas, corner, at, 1, outwards, _TICK_PX)[:] = _TEXT
            label = clock(seconds)
            width = text_width(label, _CAP_PX)
            row, column = corner
            if self.runs_down:
                top = max(row, min(row + at - _CAP_PX // 2, row + self.length_px - _CAP_PX - 3))
                left = column - outwards - _TICK_PX - 4 - width
            else:
                top = row - outwards - _TICK_PX - 4 - _CAP_PX
                left = max(column, min(column + at - width // 2, column + self.length_px - width))
            draw_text(canvas, label, left=left, top=top, cap_px=_CAP_PX, colour=_TEXT)

    def _place(
        self, canvas: Pixels, corner: tuple[int, int], begin: int, length: int, outwards: int, depth: int
    ) -> Pixels:
        """A part of the canvas: along the edge, and outwards from the map."""
        row, column = corner
        if self.runs_down:
            return canvas[row + begin : row + begin + length, column - outwards - depth : column - outwards]
        return canvas[row - outwards - depth : row - outwards, column + begin : column + begin + length]
