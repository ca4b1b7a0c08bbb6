"""Making the map of a state of an index, and reading a stored one: what is gone is left out, what came later placed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.projection.layout import METHOD, laid_out
from cocon.client.index.projection.neighbours import nearest
from cocon.client.index.projection.stored_map import MapPoints, StoredMap
from cocon.core.progress import OnProgress, no_progress
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["DEFAULT_MAX_CLIPS", "MatchedMap", "made_map", "matched_map"]

DEFAULT_MAX_CLIPS = 100_000
_SEED = 20_260_801
# Between how many neighbours a later clip is placed.
_NUM_NEIGHBOURS = 5
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class MatchedMap:
    """A stored map as far as it holds for a state of an index.

    Attributes:
        points: Those whose vectors are still what they were made of, and later ones beside their neighbours.
        num_gone: Points of the file that are left out.
        num_placed: Points that the file has not yet.
        is_stale: Whether most of the index came later or is gone.
    """

    points: MapPoints
    num_gone: int
    num_placed: int
    is_stale: bool

    @property
    def stored(self) -> StoredMap:
        """What is shown of it."""
        held = self.points
        return StoredMap(held.method, held.xy, held.video_ids, held.clips, held.are_placed, self.is_stale)


def made_map(snapshot: Snapshot, max_clips: int, *, on_progress: OnProgress = no_progress) -> MapPoints:
    """Lay out the clips of an index, or as many of them as may be.

    Args:
        snapshot: Of the index.
        max_clips: Most points.
        on_progress: Called with steps done, of how many; what it raises ends the work.
    """
    live = _sound_rows(snapshot, after=-1)
    rows = sample_of(live, max_clips, seed=_SEED)
    xy = laid_out(snapshot.vectors[rows], on_progress=on_progress)
    share = len(rows) / max(1, len(live))
    return _points(snapshot, rows, xy, share=share, max_clips=max_clips, are_placed=False, method=METHOD)


def matched_map(snapshot: Snapshot, held: MapPoints) -> MatchedMap:
    """What a stored map says of the present state of an index; nothing that it has is moved."""
    rows = _rows_of(snapshot, held)
    are_kept = rows >= 0
    are_kept[are_kept] = _checksums(snapshot, rows[are_kept]) == held.checksums[are_kept]
    kept, rows = held.kept(are_kept), rows[are_kept]
    num_gone = int(len(held) - len(kept))
    later = _sound_rows(snapshot, after=held.last_video_id)
    later = sample_of(later, round(held.share * len(later)), seed=_SEED)
    num_new = int(kept.are_placed.sum()) + len(later)
    total, wanted = len(kept) + len(later), min(held.max_clips, snapshot.rows.num_live)
    is_stale = 2 * num_new > total or 2 * total < wanted
    if is_stale or not len(later):
        return MatchedMap(kept, num_gone, 0, is_stale)
    xy = _placed(snapshot, later, rows[~kept.are_placed], kept.xy[~kept.are_placed])
    more = _points(snapshot, later, xy, share=held.share, max_clips=held.max_clips, are_placed=True, method=held.method)
    return MatchedMap(kept.with_more(more), num_gone, len(later), is_stale)


def _placed(
    snapshot: Snapshot, rows: NDArray[np.int64], known: NDArray[np.int64], xy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Places of rows between those of their neighbours among known rows, the nearest of which counts most."""
    vectors = snapshot.vectors
    found = nearest(vectors[known], vectors[rows], min(_NUM_NEIGHBOURS, len(known)))
    # As t-SNE weighs them: by a normal distribution as wide as the nearest is far away.
    width = np.maximum(found.distances[:, :1], np.float32(1e-6))
    weights = np.exp(-np.square(found.distances / width) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("nk,nkd->nd", weights, xy[found.rows])


def _points(
    snapshot: Snapshot,
    rows: NDArray[np.int64],
    xy: NDArray[np.float32],
    *,
    share: float,
    max_clips: int,
    are_placed: bool,
    method: str,
) -> MapPoints:
    table = snapshot.rows
    positions = table.videos_of(rows)
    return MapPoints(
        method=method,
        share=share,
        max_clips=max_clips,
        last_video_id=int(table.video_ids[-1]) if len(table.video_ids) else 0,
        xy=xy,
        video_ids=table.video_ids[positions],
        clips=rows - table.first_rows[positions],
        checksums=_checksums(snapshot, rows),
        are_placed=np.full(len(rows), are_placed),
    )


def _sound_rows(snapshot: Snapshot, *, after: int) -> NDArray[np.int64]:
    """Rows of videos with greater ids, without damaged ones, rising."""
    table = snapshot.rows
    rows = table.rows_of(np.flatnonzero(table.video_ids > after))
    return rows[~np.isin(rows, snapshot.unsound)]


def _rows_of(snapshot: Snapshot, held: MapPoints) -> NDArray[np.int64]:
    """The row of each point; -1 where the index has none: `int64 [M]`."""
    table = snapshot.rows
    if not len(table.video_ids):
        return np.full(len(held), -1, np.int64)
    found = np.minimum(np.searchsorted(table.video_ids, held.video_ids), len(table.video_ids) - 1)
    are_there = (table.video_ids[found] == held.video_ids) & (held.clips >= 0) & (held.clips < table.num_rows[found])
    return np.where(are_there, table.first_rows[found] + held.clips, -1)


def _checksums(snapshot: Snapshot, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    found = np.empty(len(rows), np.uint64)
    for begin in range(0, len(rows), _PIECE):
        part = slice(begin, begin + _PIECE)
        found[part] = row_checksums(snapshot.vectors[rows[part]])
    return found
