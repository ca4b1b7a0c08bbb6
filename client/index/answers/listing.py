"""Videos of an index as a list, by filters and in pages."""

import json
from collections.abc import Iterable

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo

__all__ = ["listed", "listed_by_id"]


def listed(snapshot: Snapshot, filters: Filters, *, top: int | None, offset: int) -> list[IndexedVideo]:
    """Videos that meet filters, by path.

    Args:
        snapshot: Of the index.
        filters: Of a time, a video meets them with one of its moments.
        top: Most to return; None for all.
        offset: Videos left out before them.
    """
    if filters == NO_FILTERS:
        return snapshot.videos(top=-1 if top is None else top, offset=offset)
    places = filters.timely_places(snapshot.select)[offset : None if top is None else offset + top]
    wanted = json.dumps([path for path, _ in places])
    return snapshot.videos("WHERE path IN (SELECT value FROM json_each(?))", [wanted])


def listed_by_id(snapshot: Snapshot, video_ids: Iterable[int]) -> list[IndexedVideo]:
    """Videos of contents, in the order of `video_ids`, each at the first of its places; unknown ids are left out."""
    wanted = list(dict.fromkeys(video_ids))
    found = snapshot.videos("WHERE video_id IN (SELECT value FROM json_each(?))", [json.dumps(wanted)])
    first = {video.video_id: video for video in reversed(found)}
    return [first[video_id] for video_id in wanted if video_id in first]
