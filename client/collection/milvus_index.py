"""An index in Milvus."""

from cocon.client.collection.urls import CollectionUrl
from cocon.client.index.folder import VideoIndex
from cocon.core.errors import UsageError

__all__ = ["MilvusIndex"]


class MilvusIndex(VideoIndex):
    """An index in Milvus, asked and kept as a folder is.

    Args:
        url: See `collection/urls.py`.

    Raises:
        UsageError: It is none.
    """

    def __init__(self, url: str) -> None:
        raise UsageError(f"index '{CollectionUrl.parse(url)}' cannot be opened by this version; name a folder")
