"""An alignment as a picture: both videos along the edges of a map of their blocks' similarities.

    sheet = AlignmentSheet.of(alignment)
    sheet.draw(stills_a, stills_b, facts)       # RGB uint8 [H, W, 3]; the stills are those at sheet.first.moments, ...

Video A runs down on the left, video B to the right at the top. Light is alike. The line is the best monotone path; its
phases have the same colour on the map and around the stills. The colours are of Okabe and Ito's set, which colour-blind
people tell apart (https://jfly.uni-koeln.de/color); the map is grey, so that they stand out.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.aligning.axes import STILL_PX, TimeAxis
from cocon.client.aligning.spans import Alignment, BlockTrack
from cocon.core.printable import clock
from cocon.video.decoding.limits import MediaLimits
from cocon.video.output_file import output_file
from cocon.video.pictures.drawing import SHEET_BRIGHT, SHEET_DIM, SHEET_PAPER, Colour
from cocon.video.pictures.encode import write_png
from cocon.video.pictures.lettering import draw_text, text_width, wrap_text
from cocon.video.pictures.stills import stills_at
from cocon.video.workers.pool import WorkerPool

__all__ = ["AlignmentSheet", "drawn_alignment", "write_picture"]

Pixels = NDArray[np.uint8]

_MAX_STILLS, _MIN_STILLS = 10, 4
_MARGIN_PX, _GAP_PX, _TITLE_PX, _LINE_PX = 24, 12, 82, 24
_TIMES_A_PX, _TIMES_B_PX = 68, 26  # room for the times beside and above the map
_SCALE_PX, _RIGHT_PX = 16, 92
_TITLE_CAP_PX, _CAP_PX = 13, 10

_PHASE_COLOURS: tuple[Colour, ...] = (
    *((86, 180, 233), (230, 159, 0), (0, 158, 115)),  # sky blue, orange, bluish green
    *((204, 121, 167), (240, 228, 66), (213, 94, 0)),  # reddish purple, yellow, vermillion
)
_DARKEST, _LIGHTEST = 26, 235
_STROKE_PX, _CASING_PX, _DOT_PX = 4, 8, 5
_MAX_DOTS = 48
_SHIFT = 4  # OpenCV takes fixed-point coordinates for points between pixels


@dataclass(frozen=True, slots=True)
class AlignmentSheet:
    """The picture of an alignment. Made by `of`.

    Attributes:
        alignment: What is drawn.
        first: Video A, downwards.
        second: Video B, to the right.
    """

    alignment: Alignment
    first: TimeAxis
    second: TimeAxis

    @classmethod
    def of(cls, alignment: Alignment) -> Self:
        """Seconds are equally long in both directions, unless one video is more than 2.5 times as long."""
        lengths = [_length(alignment.first), _length(alignment.second)]
        first, second = (max(_MIN_STILLS, round(_MAX_STILLS * length / max(lengths))) for length in lengths)
        colours = [[_PHASE_COLOURS[phase] for phase in phases] for phases in alignment.phases]
        return cls(
            alignment,
            TimeAxis(alignment.first, colours[0], first, runs_down=True, times_px=_TIMES_A_PX),
            TimeAxis(alignment.second, colours[1], second, runs_down=False, times_px=_TIMES_B_PX),
        )

    def draw(self, stills_a: Pixels, stills_b: Pixels, facts: str) -> Pixels:
        """Draw everything.

        Args:
            stills_a: RGB `uint8 [n, STILL_PX, STILL_PX, 3]` at `first.moments`.
            stills_b: Likewise at `second.moments`.
            facts: What was compared; below the title.

        Returns:
            RGB `uint8 [H, W, 3]`.
        """
        row, column = corner = _MARGIN_PX + _TITLE_PX + self.second.depth_px, _MARGIN_PX + self.first.depth_px
        height, width = self.first.length_px, self.second.length_px
        legend = self._legend(column + width + _RIGHT_PX - 2 * _MARGIN_PX)
        canvas = np.full(
            (row + height + _GAP_PX + len(legend) + _MARGIN_PX, column + width + _RIGHT_PX, 3), SHEET_PAPER, np.uint8
        )
        self._draw_title(canvas, facts)
        self._draw_corner(canvas, corner)
        self.first.draw(canvas, corner, stills_a)
        self.second.draw(canvas, corner, stills_b)
        canvas[row : row + height, column : column + width] = self._map()
        self._draw_scale(canvas[row : row + height, column + width + _GAP_PX :])
        canvas[row + height + _GAP_PX :, _MARGIN_PX:-_MARGIN_PX][: len(legend)] = legend
        return canvas

    def _map(self) -> Pixels:
        """Similarities, the phases' frames and the path: `uint8 [h, w, 3]`."""
        import cv2

        low, high = self._range
        shades = _DARKEST + (self.alignment.similarities - low) / (high - low) * (_LIGHTEST - _DARKEST)
        pixels = shades[self.first.blocks()][:, self.second.blocks()].astype(np.uint8)  # [h, w]
        drawn = np.repeat(pixels[..., None], 3, axis=2)
        for number, span in enumerate(self.alignment.spans):
            top, bottom = self.first.px(np.array([span.start_seconds_a, span.end_seconds_a])).astype(int)
            left, right = self.second.px(np.array([span.start_seconds_b, span.end_seconds_b])).astype(int)
            cv2.rectangle(drawn, (left + 1, top + 1), (right - 2, bottom - 2), _PHASE_COLOURS[number], 2)
        self._draw_path(drawn)
        return drawn

    def _draw_path(self, canvas: Pixels) -> None:
        import cv2

        rows = self.first.px(self.alignment.first.middles)[self.alignment.path[:, 0]]
        columns = self.second.px(self.alignment.second.middles)[self.alignment.path[:, 1]]
        points = np.rint(np.stack([columns, rows], axis=1) * (1 << _SHIFT)).astype(np.int32)
        dots = points if len(points) <= _MAX_DOTS else points[:0]
        cv2.polylines(canvas, [points], False, SHEET_PAPER, _CASING_PX, cv2.LINE_AA, _SHIFT)
        for x, y in dots.tolist():
            cv2.circle(canvas, (x, y), (_DOT_PX + 2) << _SHIFT, SHEET_PAPER, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        for number, (begin, end) in enumerate(pairwise(self.alignment.bounds)):
            colour = _PHASE_COLOURS[number]
            cv2.polylines(canvas, [points[max(0, begin - 1) : end]], False, colour, _STROKE_PX, cv2.LINE_AA, _SHIFT)
            for x, y in dots[begin:end].tolist():
                cv2.circle(canvas, (x, y), _DOT_PX << _SHIFT, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def _draw_title(self, canvas: Pixels, facts: str) -> None:
        names = [Path(track.video).name for track in (self.alignment.first, self.alignment.second)]
        width = canvas.shape[1] - 2 * _MARGIN_PX
        title = f"A (down): {names[0]}     B (right): {names[1]}"
        edge = _MARGIN_PX
        draw_text(canvas, title, left=edge, top=edge, cap_px=_TITLE_CAP_PX, colour=SHEET_BRIGHT, max_px=width)
        for number, line in enumerate(wrap_text(facts, _CAP_PX, width, max_lines=2)):
            top = _MARGIN_PX + 28 + number * (_LINE_PX - 4)
            draw_text(canvas, line, left=_MARGIN_PX, top=top, cap_px=_CAP_PX, colour=SHEET_DIM)

    def _draw_corner(self, canvas: Pixels, corner: tuple[int, int]) -> None:
        """Arrows that say which way time goes in A and in B."""
        import cv2

        row, column = corner[0] - 40, corner[1] - 52
        draw_text(canvas, "B", left=column - 4, top=row - 66, cap_px=_TITLE_CAP_PX, colour=SHEET_BRIGHT)
        cv2.arrowedLine(canvas, (column + 14, row - 60), (column + 44, row - 60), SHEET_BRIGHT, 2, cv2.LINE_AA, 0, 0.3)
        draw_text(canvas, "A", left=column - 66, top=row - 14, cap_px=_TITLE_CAP_PX, colour=SHEET_BRIGHT)
        cv2.arrowedLine(canvas, (column - 61, row + 6), (column - 61, row + 36), SHEET_BRIGHT, 2, cv2.LINE_AA, 0, 0.3)

    def _draw_scale(self, canvas: Pixels) -> None:
        """What the shades mean: `canvas` is the margin on the right of the map."""
        height = canvas.shape[0]
        shades = np.linspace(_LIGHTEST, _DARKEST, height).astype(np.uint8)
        canvas[:, :_SCALE_PX] = shades[:, None, None]
        low, high = self._range
        for cosine, top in ((high, 2), ((low + high) / 2, height // 2 - _CAP_PX // 2), (low, height - _CAP_PX - 3)):
            draw_text(canvas, f"{cosine:.2f}", left=_SCALE_PX + 6, top=top, cap_px=_CAP_PX, colour=SHEET_DIM)
        draw_text(canvas, "alike", left=_SCALE_PX + 6, top=_LINE_PX - 4, cap_px=_CAP_PX, colour=SHEET_DIM)
        draw_text(canvas, "unlike", left=_SCALE_PX + 6, top=height - _LINE_PX - 7, cap_px=_CAP_PX, colour=SHEET_DIM)

    def _legend(self, width: int) -> Pixels:
        """The phases: `uint8 [h, width, 3]`."""
        spans = self.alignment.spans
        texts = [
            f"A {clock(span.start_seconds_a)} - {clock(span.end_seconds_a)}   "
            f"B {clock(span.start_seconds_b)} - {clock(span.end_seconds_b)}   cosine {span.similarity:.2f}"
            for span in spans
        ]
        column_px = max(text_width(text, _CAP_PX) for text in texts) + 3 * _LINE_PX
        num_columns = max(1, min(3, width // column_px))
        num_lines = -(-len(texts) // num_columns)
        canvas = np.full((num_lines * _LINE_PX, width, 3), SHEET_PAPER, np.uint8)
        for number, text in enumerate(texts):
            left, top = number // num_lines * column_px, number % num_lines * _LINE_PX + 6
            canvas[top : top + _CAP_PX, left : left + 2 * _CAP_PX] = _PHASE_COLOURS[number]
            draw_text(canvas, text, left=left + 2 * _CAP_PX + 8, top=top, cap_px=_CAP_PX, colour=SHEET_DIM)
        return canvas

    @property
    def _range(self) -> tuple[float, float]:
        """Cosines of the darkest and the lightest shade."""
        low, high = float(self.alignment.similarities.min()), float(self.alignment.similarities.max())
        return (low, high) if high > low else (low - 0.01, high)


def _length(track: BlockTrack) -> float:
    return float(track.edges[-1] - track.edges[0])


def write_picture(alignment: Alignment, output: Path, view: str, limits: MediaLimits | None = None) -> None:
    """Draw an alignment into a PNG file.

    Args:
        alignment: Of two videos that are still there.
        output: The file; an old one is replaced.
        view: What was compared, for the line below the title.
        limits: How much of the videos is read before they are refused.

    Raises:
        VideoError: A video cannot be decoded.
        UsageError: The file cannot be written.
    """
    limits = limits or MediaLimits()
    videos = (Path(alignment.first.video), Path(alignment.second.video))
    with WorkerPool(limits) as pool:
        drawn = drawn_alignment(alignment, videos, view, pool, limits)
    with output_file(output) as partial:
        write_png(partial, drawn)


def drawn_alignment(
    alignment: Alignment, videos: tuple[Path, Path], view: str, pool: WorkerPool, limits: MediaLimits
) -> Pixels:
    """Draw an alignment.

    Args:
        alignment: Of two videos.
        videos: Where they are; what they are called is in the alignment.
        view: What was compared, for the line below the title.
        pool: Decodes them.
        limits: How much of them is read before they are refused.

    Returns:
        RGB `uint8 [H, W, 3]`.

    Raises:
        UsageError: One is not there.
        VideoError: One cannot be decoded.
    """
    sheet = AlignmentSheet.of(alignment)
    stills_a, stills_b = (
        stills_at(pool, video, limits, axis.moments, side_px=STILL_PX)
        for video, axis in zip(videos, (sheet.first, sheet.second), strict=True)
    )
    return sheet.draw(stills_a, stills_b, _facts(alignment, view))


def _facts(alignment: Alignment, view: str) -> str:
    facts = (
        f"Light: what A shows there is like what B shows there (cosine of the embeddings of {view}). Line: the most "
        f"alike way through both, mean cosine {alignment.score:.2f}. Colours: parts of A and B that go together."
    )
    merged = max(alignment.first.num_merged, alignment.second.num_merged)
    return f"{facts} Up to {merged} blocks are taken as one." if merged > 1 else facts
