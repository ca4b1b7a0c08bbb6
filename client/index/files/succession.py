"""Whether one state of an index came after another, or is one that was restored: then ids and rows are given anew."""

from collections.abc import Mapping

from cocon.client.index.catalogue.schema import Select

__all__ = ["continues", "last_records"]

# Of which not all will have been removed since.
_NUM_LAST = 16


def last_records(select: Select) -> Mapping[int, int]:
    """The last videos of an index: id → checksum of its record, in which its content and rows are.

    Args:
        select: Asks the catalogue.
    """
    found = select("SELECT video_id, checksum FROM videos ORDER BY video_id DESC LIMIT ?", [_NUM_LAST])
    return dict(found)


def continues(before: Mapping[int, int], select: Select) -> bool:
    """Whether an index has, of the last videos that another state of it had, any, and each as it was.

    Args:
        before: Those of the other state.
        select: Asks the catalogue of the index.
    """
    wanted = ", ".join("?" * len(before))
    found = select(f"SELECT video_id, checksum FROM videos WHERE video_id IN ({wanted})", list(before))
    return bool(found) and all(before[video_id] == checksum for video_id, checksum in found)
