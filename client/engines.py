"""Where an index is kept: in a folder, or in Milvus. Both are asked in the same way.

index = open_index("index")
index = open_index("milvus://127.0.0.1:19530/videos")
"""

import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from cocon.client.collection.urls import is_collection_url

if TYPE_CHECKING:
    from cocon.client.index.folder import VideoIndex

__all__ = ["files_of", "open_index"]


def open_index(name: str | PathLike[str]) -> "VideoIndex":
    """The index of a name, which need not exist. Nothing is opened until it is used.

    Args:
        name: Of a folder, or a URL, see `collection/urls.py`.

    Raises:
        UsageError: The URL is none.
    """
    text = os.fspath(name)
    if not is_collection_url(text):
        from cocon.client.index.folder import VideoIndex  # commands without an index do not wait for it

        return VideoIndex(text)
    from cocon.client.collection.milvus_index import MilvusIndex  # its library is an extra

    return MilvusIndex(text)


def files_of(name: str | PathLike[str] | None) -> list[Path]:
    """Files of an index that nothing else may be written over; none where there is no index, or it is elsewhere."""
    return [] if name is None or is_collection_url(os.fspath(name)) else [*Path(name).glob("*")]
