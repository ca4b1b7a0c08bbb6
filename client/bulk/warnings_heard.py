"""What is logged while somebody listens, so that it can be told elsewhere, and nothing twice."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["heard_warnings"]


@contextmanager
def heard_warnings() -> Iterator[dict[str, None]]:
    """Listen to this project; yields the sentences in order, each once, as they come."""
    told: dict[str, None] = {}
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.update({record.getMessage(): None})  # type: ignore[method-assign]
    logger = logging.getLogger("cocon")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
