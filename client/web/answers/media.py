"""Videos as browsers ask for them: files, in parts too (`Range`), stills, and films of moments."""

import os
import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import asked_id, number_of
from cocon.client.web.previews import MAX_FILM_SECONDS, MediaSource
from cocon.client.web.services import Lane
from cocon.client.web.stored_files import OpenedFile
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["MediaAnswers", "OpenedFileResponse"]

# Nothing that a browser would take for a page. What it can play it knows by its first bytes.
_TYPES = {
    ".jpg": "image/jpeg",
    ".m4v": "video/mp4",
    ".mkv": "video/x-matroska",
    ".mov": "video/mp4",
    ".mp4": "video/mp4",
    ".ogv": "video/ogg",
    ".png": "image/png",
    ".webm": "video/webm",
}
_UNKNOWN_TYPE = "application/octet-stream"
_PX, _LEAST_PX, _MOST_PX = 320, 32, 1280
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)-(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)


class OpenedFileResponse(FileResponse):
    """A file that is open already: what is sent is what was looked at, whatever its name leads to now.

    Args:
        file: Closed when it has been sent.
    """

    def __init__(self, file: OpenedFile) -> None:
        self._descriptor = file.descriptor
        kind = _TYPES.get(file.path.suffix.lower(), _UNKNOWN_TYPE)
        super().__init__(f"/dev/fd/{file.descriptor}", media_type=kind, stat_result=file.found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or the parts that are asked for."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


class MediaAnswers(Subject):
    """Answers of media."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [
            Route("/media/videos/{video_id}", self.stored),
            Route("/media/videos/{video_id}/still", self.stored_still),
            Route("/media/uploads/{upload_id}", self.uploaded),
            Route("/media/uploads/{upload_id}/still", self.uploaded_still),
        ]

    async def stored(self, request: Request) -> Response:
        """The file of an indexed video, or a film of a part of it."""
        video_id = asked_id(request)
        if "preview" in request.query_params:
            return await self._film(request, lambda: self._services.stored(video_id))
        return await self._made(request, self._services.questions, lambda: self._services.files.open(video_id))

    async def uploaded(self, request: Request) -> Response:
        """The same of an uploaded one."""
        upload = self._services.uploads.at(request.path_params["upload_id"])
        if "preview" in request.query_params:
            return await self._film(request, lambda: self._services.uploaded(upload))
        return await self._made(request, self._services.questions, lambda: OpenedFile.at(upload.path))

    async def stored_still(self, request: Request) -> Response:
        """A frame of an indexed video."""
        video_id = asked_id(request)
        return await self._still(request, lambda: self._services.stored(video_id))

    async def uploaded_still(self, request: Request) -> Response:
        """A frame of an uploaded one."""
        upload = self._services.uploads.at(request.path_params["upload_id"])
        return await self._still(request, lambda: self._services.uploaded(upload))

    async def _still(self, request: Request, source: Callable[[], MediaSource]) -> Response:
        at = number_of(request.query_params, "at") or 0.0
        px = min(_MOST_PX, max(_LEAST_PX, int(number_of(request.query_params, "px") or _PX)))
        previews = self._services.previews
        return await self._made(request, self._services.stills, lambda: OpenedFile.at(previews.still(source(), at, px)))

    async def _film(self, request: Request, source: Callable[[], MediaSource]) -> Response:
        begin, end = _asked_part(request.query_params["preview"])
        previews = self._services.previews
        return await self._made(
            request, self._services.films, lambda: OpenedFile.at(previews.film(source(), begin, end))
        )

    async def _made(self, request: Request, lane: Lane, make: Callable[[], OpenedFile]) -> Response:
        return OpenedFileResponse(await lane.run(request, make))


def _asked_part(text: str) -> tuple[float, float]:
    found = _SPAN.fullmatch(text)
    begin, end = map(float, found.groups()) if found else (0.0, 0.0)
    if not begin < end <= begin + MAX_FILM_SECONDS + 1e-3:
        raise UsageError(
            f"'preview' ({printable(text[:80])}) must be START-END in seconds, {MAX_FILM_SECONDS:g} at most; change it"
        )
    return begin, end
