"""Videos that the person drops on the page: taken in within bounds, kept for a while, decoded as any stranger's."""

__all__ = ["MAX_UPLOAD_BYTES", "MAX_UPLOAD_SECONDS"]

MAX_UPLOAD_BYTES = 512 << 20
MAX_UPLOAD_SECONDS = 600.0
"""Of the video."""
