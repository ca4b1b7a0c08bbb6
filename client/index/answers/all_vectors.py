"""The vectors of an index as arrays, for what looks at all of it: groups, what to label next, a map."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.answers.listing import listed
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import Filters
from cocon.client.index.records import IndexedVideo
from cocon.client.index.search.means import video_means
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["StoredClips", "StoredMeans", "clip_vectors", "video_vectors"]

_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class StoredMeans:
    """Contents, each by the mean of its clips. A content at several places counts once, at the first of them.

    Attributes:
        videos: By path, V of them.
        vectors: Of each, of unit length, `float32 [V, D]`.
    """

    videos: list[IndexedVideo]
    vectors: NDArray[np.float32] = field(repr=False)

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True, eq=False)
class StoredClips:
    """Clips, M of them, in the order of the index.

    Attributes:
        video_ids: Of each, `int64 [M]`.
        clips: Number of each in its video, from 0, `int64 [M]`.
        spans: Start and end of each in seconds, `float64 [M, 2]`.
        vectors: Of each, of unit length, `float32 [M, D]`.
    """

    video_ids: NDArray[np.int64]
    clips: NDArray[np.int64]
    spans: NDArray[np.float64] = field(repr=False)
    vectors: NDArray[np.float32] = field(repr=False)

    def __len__(self) -> int:
        return len(self.video_ids)


def video_vectors(snapshot: Snapshot, filters: Filters) -> StoredMeans:
    """Means of the videos of a snapshot that meet filters. A video with a damaged clip is left out."""
    table = snapshot.rows
    means, are_whole = video_means(snapshot.vectors, table, snapshot.unsound, snapshot.facts.widths)
    first = {video.video_id: video for video in reversed(listed(snapshot, filters, top=None, offset=0))}
    videos = sorted(first.values(), key=lambda video: video.video)
    positions = table.positions_of(np.array(sorted(first), np.int64))
    place_of = dict(zip(table.video_ids[positions].tolist(), positions.tolist(), strict=True))
    whole = [video for video in videos if video.video_id in place_of and are_whole[place_of[video.video_id]]]
    return StoredMeans(whole, means[np.array([place_of[video.video_id] for video in whole], np.int64)])


def clip_vectors(snapshot: Snapshot, max_clips: int) -> StoredClips:
    """Clips of a snapshot, at most so many, without damaged ones."""
    table = snapshot.rows
    live = table.rows_of(np.arange(len(table.video_ids)))
    kept = sample_of(np.flatnonzero(~np.isin(live, snapshot.unsound)), max_clips, seed=_SEED)
    rows = live[kept]
    positions = table.videos_of(rows)
    clips = rows - table.first_rows[positions]
    return StoredClips(table.video_ids[positions], clips, snapshot.spans[kept], snapshot.vectors[rows])
