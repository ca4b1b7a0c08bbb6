"""Text for a terminal."""

__all__ = ["printable"]


def printable(text: object) -> str:
    """As text that every UTF-8 stream takes: file names may be bytes that are no text, which are written out."""
    return str(text).encode(errors="backslashreplace").decode()
