"""Writing the picture of a search: stills are decoded in worker processes, the file appears whole."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.search import Hit
from cocon.client.output.hit_sheet import HIT_STILL_PX, NUM_STILLS, QUERY_STILL_PX, HitRow, HitSheet
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import UsageError, VideoError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.pictures.encode import write_png
from cocon.video.pictures.output_file import output_file
from cocon.video.pictures.stills import spread_moments, stills_at
from cocon.video.workers.pool import WorkerPool
from cocon.video.workers.side_by_side import side_by_side

__all__ = ["MAX_DRAWN", "write_hits"]

# More rows than this are no picture to look at.
MAX_DRAWN = 24


def write_hits(
    query: VideoEmbedding, hits: Sequence[Hit], output: Path, facts: str, limits: MediaLimits | None = None
) -> None:
    """Draw a query and what was found into a PNG file.

    Args:
        query: Whose file is still there.
        hits: The best first; those after `MAX_DRAWN` are not drawn. Where a file is gone, its row says so.
        output: The file; an old one is replaced.
        facts: What was searched, for the line below the title.
        limits: How much of the videos is read before they are refused.

    Raises:
        VideoError: The query cannot be decoded.
        UsageError: The query's file is gone, or the picture cannot be written.
    """
    limits = limits or MediaLimits()
    begin, end = float(query.start_seconds[0]), float(query.end_seconds.max())
    drawn, stills = hits[:MAX_DRAWN], {}

    def stills_of_hit(pool: WorkerPool, hit: Hit) -> NDArray[np.uint8] | None:
        moments = spread_moments(hit.start_seconds, hit.end_seconds, NUM_STILLS)
        try:
            return stills_at(pool, Path(hit.video), limits, moments, side_px=HIT_STILL_PX)
        except (UsageError, VideoError):
            return None

    with WorkerPool(limits) as pool:
        moments = spread_moments(begin, end, NUM_STILLS)
        of_query = stills_at(pool, Path(query.video), limits, moments, side_px=QUERY_STILL_PX)
    side_by_side(drawn, stills_of_hit, lambda hit, found: stills.update({hit.rank: found}), limits=limits)
    if len(drawn) < len(hits):
        facts += f"; the first {len(drawn)} of {len(hits)}"
    sheet = HitSheet(Path(query.video), end, of_query, facts)
    with output_file(output, option="--picture") as partial:
        write_png(partial, sheet.draw([HitRow(hit, stills[hit.rank]) for hit in drawn]))
