"""The answer to a video that is dropped on the page."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.answers.subject import Subject
from cocon.client.web.uploads import Upload

__all__ = ["Receiving"]

_SHOWN_SECONDS = 10.0


class Receiving(Subject):
    """Answers of uploads."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [Route("/api/uploads", self.upload, methods=["POST"])]

    async def upload(self, request: Request) -> Response:
        """Take in the body as a video, and begin to embed it."""
        upload = await self._services.uploads.receive(request)
        return JSONResponse(await self._services.questions.run(request, lambda: self._row(upload)))

    def _row(self, upload: Upload) -> Row:
        links = self._services.links(
            self._services.uploaded(upload), 0.0, min(upload.duration_seconds or _SHOWN_SECONDS, _SHOWN_SECONDS)
        )
        return {
            "upload_id": upload.upload_id,
            "name": upload.name,
            "bytes": upload.num_bytes,
            "duration_seconds": upload.duration_seconds,
            **links,
        }
