"""What went wrong as an answer: `{"error": {"class", "message", "remedy"}}` with the status of HTTP that fits."""

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from cocon.core.errors import (
    CoconError,
    MismatchError,
    ServerError,
    StorageError,
    TooLargeError,
    UsageError,
    VideoError,
)
from cocon.core.printable import in_one_line
from cocon.core.storage import cause_of_storage

__all__ = ["HANDLERS", "RefusedError", "problem"]

_logger = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[CoconError], int], ...] = (
    (TooLargeError, 413),
    (VideoError, 422),
    (UsageError, 400),
    (ServerError, 503),
    (MismatchError, 409),
    (StorageError, 507),
)


class RefusedError(CoconError):
    """A request that is not served.

    Args:
        status: Of HTTP.
        message: One line; what stands behind its last `; ` is the remedy.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem(status: int, kind: str, sentence: str) -> JSONResponse:
    """The answer to a request that failed.

    Args:
        status: Of HTTP.
        kind: Class of the error.
        sentence: One line of name, value and rule; behind its last `; ` the remedy.
    """
    message, _, remedy = sentence.rpartition("; ")
    found = {"class": kind, "message": message or remedy, "remedy": remedy if message else ""}
    return JSONResponse({"error": found}, status)


def _of_ours(request: Request, error: Exception) -> Response:
    if isinstance(error, RefusedError):
        answer = problem(error.status, _phrase(error.status), in_one_line(error))
        if error.status == HTTPStatus.REQUEST_TIMEOUT:
            answer.headers["connection"] = "close"  # what is still to come is not waited for
        return answer
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return problem(status, type(error).__name__, in_one_line(error))


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, _phrase(error.status_code), error.detail)


def _of_system(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    status = 507 if cause_of_storage(error) is not None else 500
    _logger.warning("%s: %s", request.scope["path"], in_one_line(error))
    return problem(status, type(error).__name__, f"the system refused: {error.strerror or type(error).__name__}")


def _unexpected(request: Request, error: Exception) -> Response:
    """Say no more than that: what it says may be of anything. Who started the server reads the rest."""
    _logger.error("%s: unexpected %s", request.scope["path"], type(error).__name__, exc_info=error)
    return problem(500, "InternalError", "this should not have happened; see what the server has printed")


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


HANDLERS = {
    ClientDisconnect: _gone,
    CoconError: _of_ours,
    HTTPException: _of_http,
    OSError: _of_system,
    Exception: _unexpected,
}
"""By which an application answers."""
