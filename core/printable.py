"""Text for a terminal."""

__all__ = ["in_one_line", "printable"]


def in_one_line(error: Exception) -> str:
    """What an error says, without its line breaks; its class where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(text: object) -> str:
    """As text that every UTF-8 stream takes: file names may be bytes that are no text, which are written out."""
    return str(text).encode(errors="backslashreplace").decode()
