"""What the page shows before anything is asked: the index as a whole, and its videos."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.index.records import IndexedVideo
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.asked import asked_filters, number_of
from cocon.client.web.links import MediaLinks
from cocon.client.web.services import WebServices
from cocon.client.web.uploads import MAX_UPLOAD_BYTES, MAX_UPLOAD_SECONDS
from cocon.core.printable import escaped

__all__ = ["Listing", "video_row"]

_TOP, _MOST = 60, 500
# Of a film in place of a whole video that browsers do not play.
_PREVIEW_SECONDS = 10.0


class Listing:
    """Answers of lists.

    Args:
        services: Of the server.
    """

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @property
    def routes(self) -> list[Route]:
        """Theirs."""
        return [Route("/api/index", self.index), Route("/api/videos", self.videos)]

    async def index(self, request: Request) -> Response:
        """What the index is and holds, whether videos can be embedded, and what may be uploaded."""
        return JSONResponse(await self._services.questions.run(request, self._index))

    async def videos(self, request: Request) -> Response:
        """Videos by filters, in pages."""
        return JSONResponse(await self._services.questions.run(request, lambda: self._videos(request)))

    def _index(self) -> Row:
        index, state = self._services.index, self._services.embedder.state()
        facts, overview = index.facts, index.overview()
        return {
            "name": escaped(index.folder.resolve().name),
            "views": list(facts.views),
            "model": facts.model,
            "embedding_dim": facts.embedding_dim,
            "num_videos": overview.num_videos,
            "num_places": overview.num_places,
            "num_clips": overview.num_clips,
            "labels": [{"label": label, "count": count} for label, count in overview.labels.items()],
            "metadata_keys": list(overview.metadata_keys),
            "has_labels": bool(overview.labels),
            "map": "absent",
            "embedder": {"ready": state.is_ready, "url": state.url, "message": state.message},
            "limits": {"max_upload_bytes": MAX_UPLOAD_BYTES, "max_upload_seconds": MAX_UPLOAD_SECONDS},
        }

    def _videos(self, request: Request) -> Row:
        asked, index = request.query_params, self._services.index
        filters = asked_filters(asked)
        top = min(_MOST, int(number_of(asked, "top", _TOP) or 0))
        offset = int(number_of(asked, "offset", 0) or 0)
        videos = index.videos(filters, top=top, offset=offset)
        return {"total": index.num_videos(filters), "videos": [video_row(video) for video in videos]}


def video_row(video: IndexedVideo) -> Row:
    """An indexed video as the page knows it."""
    links = MediaLinks.of_stored(video.video_id, video.video)
    return {
        "video_id": video.video_id,
        "name": escaped(Path(video.video).name),
        "path": escaped(video.video),
        "label": video.label,
        "duration_seconds": round(video.duration_seconds, 6),
        "num_clips": video.num_clips,
        "metadata": dict(video.metadata),
        "moments": [],
        **links.row(0.0, min(video.duration_seconds, _PREVIEW_SECONDS)),
    }
