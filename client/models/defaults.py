"""Where things are unless something else is said."""

__all__ = ["DEFAULT_INDEX", "DEFAULT_URL"]

DEFAULT_URL = "127.0.0.1:8001"
DEFAULT_INDEX = "index"
