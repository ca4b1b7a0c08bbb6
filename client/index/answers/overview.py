"""What an index holds as a whole, and where the files of a content are: for who shows it to people."""

from collections.abc import Mapping
from dataclasses import dataclass

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.catalogue.moments import HAS_MOMENTS, MOMENTS_KEY, PART_LABEL, PARTS
from cocon.client.index.catalogue.places import stamp_of
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.core.printable import unescaped

__all__ = ["IndexOverview", "StoredFile", "files_of", "num_listed", "overview_of"]

_KEYS = "SELECT DISTINCT m.key FROM places, json_each(places.metadata) AS m WHERE m.key <> ? ORDER BY m.key"
_LABELS = f"""
(SELECT label, path FROM places UNION SELECT {PART_LABEL}, places.path FROM places JOIN {PARTS} WHERE {HAS_MOMENTS})
WHERE label <> ''
"""


@dataclass(frozen=True, slots=True)
class IndexOverview:
    """An index in a few figures.

    Attributes:
        num_videos: Contents.
        num_places: Paths.
        num_clips: Of the contents.
        labels: Label → places that have it, themselves or in a part; the most frequent first.
        num_labelled: Places that have one, themselves or in a part.
        metadata_keys: In alphabetical order.
    """

    num_videos: int
    num_places: int
    num_clips: int
    labels: Mapping[str, int]
    num_labelled: int
    metadata_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a content as it was when it was read.

    Attributes:
        path: Absolute.
        content_sha256: Of it.
        stamp: Of the file while it has this content; None where only reading it again tells.
    """

    path: str
    content_sha256: str
    stamp: FileStamp | None


def overview_of(snapshot: Snapshot) -> IndexOverview:
    """Count what a snapshot holds."""
    select = snapshot.select
    counts = select(f"SELECT label, count(*) FROM {_LABELS} GROUP BY label ORDER BY 2 DESC, 1", [])
    ((num_labelled,),) = select(f"SELECT count(DISTINCT path) FROM {_LABELS}", [])
    return IndexOverview(
        num_videos=len(snapshot.rows.video_ids),
        num_places=num_listed(snapshot, NO_FILTERS),
        num_clips=snapshot.rows.num_live,
        labels=dict(counts),
        num_labelled=num_labelled,
        metadata_keys=tuple(key for (key,) in select(_KEYS, [MOMENTS_KEY])),
    )


def num_listed(snapshot: Snapshot, filters: Filters) -> int:
    """How many videos `listed` would give in all."""
    if filters == NO_FILTERS:
        ((number,),) = snapshot.select("SELECT count(*) FROM places")
        return int(number)
    return len(filters.timely_places(snapshot.select))


def files_of(snapshot: Snapshot, video_id: int) -> list[StoredFile]:
    """The files that hold a content, by path; none if the index does not have it."""
    found = snapshot.select(
        "SELECT path, content_sha256, file FROM places JOIN videos USING (video_id) WHERE video_id = ? ORDER BY path",
        [video_id],
    )
    return [StoredFile(unescaped(path), sha256, stamp_of(file)) for path, sha256, file in found]
