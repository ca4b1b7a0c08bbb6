"""Answers that are media: the files of videos, and stills of them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cocon.client.web.asked import asked_id, number_of
from cocon.client.web.media import OpenedFileResponse
from cocon.client.web.services import WebServices
from cocon.video.pictures.stills import stills_at

__all__ = ["MediaAnswers"]

_PX, _LEAST_PX, _MOST_PX = 160, 32, 960


class MediaAnswers:
    """Answers of media.

    Args:
        services: Of the server.
    """

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @property
    def routes(self) -> list[Route]:
        """Theirs."""
        return [Route("/media/videos/{video_id}", self.video), Route("/media/videos/{video_id}/still", self.still)]

    async def video(self, request: Request) -> Response:
        """The file of an indexed video, or the parts of it that are asked for."""
        video_id = asked_id(request)
        opened = await self._services.questions.run(request, lambda: self._services.files.open(video_id))
        return OpenedFileResponse(opened, opened.path.name)

    async def still(self, request: Request) -> Response:
        """A frame of it as JPEG."""
        video_id = asked_id(request)
        at = number_of(request.query_params, "at") or 0.0
        px = min(_MOST_PX, max(_LEAST_PX, int(number_of(request.query_params, "px") or _PX)))
        content = await self._services.pictures.run(request, lambda: self._still(video_id, at, px))
        return Response(content, media_type="image/jpeg")

    def _still(self, video_id: int, at: float, px: int) -> bytes:
        import cv2

        with self._services.files.held(video_id) as path:
            (pixels,) = stills_at(self._services.pool, path, self._services.limits, [at], side_px=px)
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return encoded.tobytes()
