"""What a search found as one picture: the query on the left, the hits in rows beside it.

    sheet = HitSheet(Path("query.mp4"), 3.0, query_stills, "cosine of the embeddings of rgb")
    sheet.draw(hits, stills_of_hits)      # RGB uint8 [H, W, 3]

A hit's stills are its moment from left to right, those of the query from the upper left to the lower right. The bar is
the score as a part of 1, its colour of Okabe and Ito's set, which colour-blind people tell apart
(https://jfly.uni-koeln.de/color). Stills are decoded in worker processes, the file appears whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search.hits import Hit
from cocon.core.errors import UsageError, VideoError
from cocon.core.printable import clock
from cocon.video.decoding.limits import MediaLimits
from cocon.video.output_file import output_file
from cocon.video.pictures.drawing import LEFT_COLOUR, RIGHT_COLOUR, SHEET_BAR, SHEET_BRIGHT, SHEET_DIM, SHEET_PAPER
from cocon.video.pictures.encode import write_png
from cocon.video.pictures.lettering import draw_text, text_width
from cocon.video.pictures.stills import spread_moments, stills_at
from cocon.video.workers.pool import WorkerPool
from cocon.video.workers.side_by_side import side_by_side

__all__ = ["HIT_STILL_PX", "MAX_DRAWN", "NUM_STILLS", "QUERY_STILL_PX", "HitSheet", "write_hits"]

Pixels = NDArray[np.uint8]

# More rows than this are no picture to look at.
MAX_DRAWN = 24
NUM_STILLS = 4  # of each moment; the query's stand in two rows
QUERY_STILL_PX, HIT_STILL_PX = 152, 96
_GAP_PX, _FRAME_PX, _MARGIN_PX, _TITLE_PX = 4, 3, 24, 68
_QUERY_PX = 2 * QUERY_STILL_PX + _GAP_PX + 2 * _FRAME_PX
_STRIP_PX = NUM_STILLS * (HIT_STILL_PX + _GAP_PX) - _GAP_PX
_ROW_PX = HIT_STILL_PX + 20
_RANK_PX, _WORDS_PX = 48, 300
_BAR_PX = 6

_TITLE_CAP_PX, _LABEL_CAP_PX, _CAP_PX, _LINE_PX = 13, 12, 10, 20


@dataclass(frozen=True, slots=True)
class HitSheet:
    """The picture of a search.

    Attributes:
        query: The query's file.
        seconds: How long it is.
        stills: Of it, RGB `uint8 [NUM_STILLS, QUERY_STILL_PX, QUERY_STILL_PX, 3]`.
        facts: What was compared with what; below the title.
    """

    query: Path
    seconds: float
    stills: Pixels
    facts: str

    def draw(self, hits: Sequence[Hit], stills: Sequence[Pixels | None]) -> Pixels:
        """Draw it.

        Args:
            hits: The best first.
            stills: Of the moment of each, RGB `uint8 [NUM_STILLS, HIT_STILL_PX, HIT_STILL_PX, 3]`; None where its file
                is not to be read any more.

        Returns:
            RGB `uint8 [H, W, 3]`.
        """
        words_px = 2 * _LINE_PX + 2 * _GAP_PX
        body = max(len(hits) * _ROW_PX, _QUERY_PX + words_px, _ROW_PX)
        left = _MARGIN_PX + _QUERY_PX + _MARGIN_PX
        width = left + _RANK_PX + _STRIP_PX + _MARGIN_PX + _WORDS_PX + _MARGIN_PX
        canvas = np.full((_MARGIN_PX + _TITLE_PX + body + _MARGIN_PX, width, 3), SHEET_PAPER, np.uint8)
        self._draw_title(canvas[_MARGIN_PX:, _MARGIN_PX:-_MARGIN_PX], len(hits))
        place = canvas[_MARGIN_PX + _TITLE_PX :]
        self._draw_query(place[:, _MARGIN_PX:])
        for number, (hit, seen) in enumerate(zip(hits, stills, strict=True)):
            _draw_row(place[number * _ROW_PX : (number + 1) * _ROW_PX, left:-_MARGIN_PX], hit, seen)
        return canvas

    def _draw_title(self, canvas: Pixels, num_hits: int) -> None:
        title = f"{num_hits} {'moment' if num_hits == 1 else 'moments'} like {self.query.name}"
        width = canvas.shape[1]
        draw_text(canvas, title, left=0, top=0, cap_px=_TITLE_CAP_PX, colour=SHEET_BRIGHT, max_px=width)
        draw_text(canvas, self.facts, left=0, top=28, cap_px=_CAP_PX, colour=SHEET_DIM, max_px=width)

    def _draw_query(self, canvas: Pixels) -> None:
        side = QUERY_STILL_PX + _GAP_PX
        framed = canvas[:_QUERY_PX, :_QUERY_PX]
        framed[:] = RIGHT_COLOUR
        inner = framed[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX]
        inner[:] = SHEET_PAPER
        for number, still in enumerate(self.stills):
            row, column = number // 2 * side, number % 2 * side
            inner[row : row + QUERY_STILL_PX, column : column + QUERY_STILL_PX] = still
        words = canvas[_QUERY_PX + _LINE_PX // 2 :]
        for number, (text, colour) in enumerate(((self.query.name, SHEET_BRIGHT), (clock(self.seconds), SHEET_DIM))):
            draw_text(words, text, left=0, top=number * _LINE_PX, cap_px=_CAP_PX, colour=colour, max_px=_QUERY_PX)


def write_hits(
    query: Path,
    span: tuple[float, float],
    hits: Sequence[Hit],
    output: Path,
    facts: str,
    limits: MediaLimits | None = None,
) -> None:
    """Draw a query and what was found into a PNG file.

    Args:
        query: Its file.
        span: Of it that asks, from when to when, in seconds.
        hits: The best first; those after `MAX_DRAWN` are not drawn. Where a file is gone, its row says so.
        output: The file; an old one is replaced.
        facts: What was searched, for the line below the title.
        limits: How much of the videos is read before they are refused.

    Raises:
        VideoError: The query cannot be decoded.
        UsageError: The query's file is gone, or the picture cannot be written.
    """
    limits = limits or MediaLimits()
    begin, end = span
    drawn, stills = hits[:MAX_DRAWN], {}

    def stills_of_hit(pool: WorkerPool, hit: Hit) -> NDArray[np.uint8] | None:
        moments = spread_moments(hit.start_seconds, hit.end_seconds, NUM_STILLS)
        try:
            return stills_at(pool, Path(hit.video), limits, moments, side_px=HIT_STILL_PX)
        except (UsageError, VideoError):
            return None

    with WorkerPool(limits) as pool:
        moments = spread_moments(begin, end, NUM_STILLS)
        of_query = stills_at(pool, query, limits, moments, side_px=QUERY_STILL_PX)
    side_by_side(drawn, stills_of_hit, lambda hit, found: stills.update({hit.rank: found}), limits=limits)
    if len(drawn) < len(hits):
        facts += f"; the first {len(drawn)} of {len(hits)}"
    sheet = HitSheet(query, end, of_query, facts)
    with output_file(output, option="--picture") as partial:
        write_png(partial, sheet.draw(drawn, [stills[hit.rank] for hit in drawn]))


def _draw_row(canvas: Pixels, hit: Hit, stills: Pixels | None) -> None:
    """Rank, stills and words of a hit; `canvas` is its whole row."""
    rank, middle = str(hit.rank), (HIT_STILL_PX - _TITLE_CAP_PX) // 2
    right = _RANK_PX - _MARGIN_PX // 2 - text_width(rank, _TITLE_CAP_PX)
    draw_text(canvas, rank, left=right, top=middle, cap_px=_TITLE_CAP_PX, colour=SHEET_BRIGHT)
    strip = canvas[:HIT_STILL_PX, _RANK_PX : _RANK_PX + _STRIP_PX]
    if stills is None:
        strip[:] = SHEET_BAR
        draw_text(strip, "this file cannot be read", left=_MARGIN_PX, top=middle, cap_px=_CAP_PX, colour=SHEET_DIM)
    else:
        for number, still in enumerate(stills):
            strip[:, number * (HIT_STILL_PX + _GAP_PX) :][:, :HIT_STILL_PX] = still
    _draw_words(canvas[:HIT_STILL_PX, _RANK_PX + _STRIP_PX + _MARGIN_PX :], hit)


def _draw_words(canvas: Pixels, hit: Hit) -> None:
    """What it is and its score, a bar as long as the score, and where it is."""
    score, name = f"{hit.score:.3f}", Path(hit.video).name
    width, score_px = canvas.shape[1], text_width(score, _LABEL_CAP_PX)
    place = partial(draw_text, canvas, top=8, cap_px=_LABEL_CAP_PX, colour=SHEET_BRIGHT)
    place(hit.label or name, left=0, max_px=width - score_px - _MARGIN_PX)
    place(score, left=width - score_px)
    bar = canvas[30 : 30 + _BAR_PX]
    bar[:] = SHEET_BAR
    bar[:, : round(width * max(0.0, hit.score))] = LEFT_COLOUR
    span = f"{clock(hit.start_seconds)} - {clock(hit.end_seconds)}"
    for number, text in enumerate([name, span] if hit.label else [span]):
        top = 52 + number * _LINE_PX
        draw_text(canvas, text, left=0, top=top, cap_px=_CAP_PX, colour=SHEET_DIM, max_px=width)
