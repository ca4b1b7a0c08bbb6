"""Videos of an index as a list, by filters and in pages."""

import json

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.filters import NO_FILTERS, Filters
from cocon.client.index.records import IndexedVideo

__all__ = ["listed"]


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
