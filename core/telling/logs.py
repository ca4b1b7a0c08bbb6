"""What a command says on standard error besides its progress: lines for people, or a JSON object a line for programs.

    prepare_log()               # once, at the start: warnings, a line each
    say_all()                   # -v: all that cocon says, requests to servers too, with the time
    write_json()                # --log json: {"time": …, "level": "debug", "logger": …, "message": …, …}
    _logger.debug("request %s", name, extra=fields(request_id=name))

What `fields` gives stands beside the message in JSON, by its own name.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from cocon.core.printable import printable
from cocon.core.texts.json_text import json_text

__all__ = ["LogForm", "fields", "prepare_log", "say_all", "says_json", "tell_error", "write_json"]

LogForm = Literal["text", "json"]

_FIELDS = "cocon_fields"
_ROOM = logging.getLogger("cocon")
_LINE, _LINE_WITH_TIME = "%(levelname)s: %(message)s", "%(asctime)s %(levelname)s: %(message)s"


class _PrintableFormatter(logging.Formatter):
    """Writes each message as one line of what can be printed; tracebacks keep theirs."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging calls it so
        return printable(super().formatMessage(record))


class _JsonFormatter(logging.Formatter):
    """Writes each record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json_text(said | getattr(record, _FIELDS, {}), sys.stderr, default=str)


class _ToStandardError(logging.Handler):
    """Writes to standard error, whatever that is by then."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # as the library's own handlers: no message ends a command
            self.handleError(record)


# Ours among the handlers of the root, to which others may belong.
_handler = _ToStandardError()


def fields(**values: object) -> dict[str, object]:
    """What a record tells by name besides its message: for `extra`."""
    return {_FIELDS: values}


def prepare_log() -> None:
    """Have warnings written to standard error, unless who runs this has the log written elsewhere."""
    _handler.setFormatter(_PrintableFormatter(_LINE))
    _ROOM.setLevel(logging.NOTSET)
    logging.basicConfig(handlers=[_handler], level=logging.WARNING)


def say_all() -> None:
    """Have all of it written, from now on, with the time unless that is there already."""
    _ROOM.setLevel(logging.DEBUG)
    if not says_json():
        _handler.setFormatter(_PrintableFormatter(_LINE_WITH_TIME))


def write_json() -> None:
    """Have a JSON object a line written, from now on, in place of text; what goes on as well as what is wrong."""
    _ROOM.setLevel(min(_ROOM.level or logging.INFO, logging.INFO))
    _handler.setFormatter(_JsonFormatter())


def says_json() -> bool:
    """Whether it does."""
    return isinstance(_handler.formatter, _JsonFormatter)


def tell_error(message: str, exit_code: int) -> None:
    """Say why a command ends, on one line."""
    if says_json():
        _ROOM.error("%s", message, extra=fields(exit_code=exit_code))
    else:
        sys.stderr.write(f"error: {message}\n")
