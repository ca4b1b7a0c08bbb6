"""Every request for vectors by a name of its own: in the log of the client, and in Triton's, see docs/serving.md."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tritonclient.utils import InferenceServerException

from cocon.client.models.failures import said, status
from cocon.core.telling.logs import fields

__all__ = ["asked"]

_logger = logging.getLogger(__name__)

# Of this process, so that the clients of a server can be told apart; and what tells its requests apart.
_PROCESS = secrets.token_hex(4)
_numbers = count(1)


@contextmanager
def asked(server: str, model: str, version: str) -> Iterator[str]:
    """Log a request that is made in the block, and how it ended; yields its name, to be sent along."""
    name, begin_s = f"{_PROCESS}-{next(_numbers)}", time.monotonic()
    outcome = "stopped"
    try:
        yield name
        outcome = "answered"
    except InferenceServerException as error:
        outcome = f"{status(error)}: {said(error)}"
        raise
    finally:
        if _logger.isEnabledFor(logging.DEBUG):
            took_ms = round(1000 * (time.monotonic() - begin_s), 3)
            told = {"request_id": name, "server": server, "model": model, "version": version}
            _logger.debug(
                "request %s to model '%s' version %s on %s: %s after %.1f ms",
                *(name, model, version, server, outcome, took_ms),
                extra=fields(**told, outcome=outcome, milliseconds=took_ms),
            )
