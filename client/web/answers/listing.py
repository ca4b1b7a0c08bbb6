"""What the page shows before anything is asked: the index as a whole, and its videos."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.index.records import IndexedVideo
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import asked_filters, number_of, whole_number
from cocon.client.web.problems import RefusedError
from cocon.client.web.services import WebServices
from cocon.core.printable import escaped

__all__ = ["Listing", "video_row"]

_TOP, _MOST = 60, 500
# Of a film in place of a whole video that browsers do not play.
_PREVIEW_SECONDS = 10.0


class Listing(Subject):
    """Answers of lists."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [Route("/api/index", self.index), Route("/api/videos", self.videos), Route("/api/moments", self.moment)]

    async def index(self, request: Request) -> Response:
        """What the index is and holds, whether videos can be embedded, and what may be uploaded."""
        return JSONResponse(await self._services.questions.run(request, self._index))

    async def videos(self, request: Request) -> Response:
        """Videos by filters, in pages; or those that parameters `id` name, in that order."""
        ids = [whole_number(text, "id") for text in request.query_params.getlist("id")]
        answer = (lambda: self._named(ids)) if ids else (lambda: self._videos(request))
        return JSONResponse(await self._services.questions.run(request, answer))

    async def moment(self, request: Request) -> Response:
        """One clip of a video: `?video_id=12&clip=3`."""
        asked = request.query_params
        video_id, clip = (whole_number(asked.get(name, ""), name) for name in ("video_id", "clip"))
        return JSONResponse(await self._services.questions.run(request, lambda: self._moment(video_id, clip)))

    def _index(self) -> Row:
        index, state = self._services.index, self._services.embedder.state()
        facts, overview, limits = index.facts, index.overview(), self._services.uploads.limits
        return {
            "name": escaped(index.folder.absolute().name),
            "views": list(facts.views),
            "model": facts.model,
            "embedding_dim": facts.embedding_dim,
            "num_videos": overview.num_videos,
            "num_places": overview.num_places,
            "num_clips": overview.num_clips,
            "num_labelled": overview.num_labelled,
            "labels": [{"label": label, "count": count} for label, count in overview.labels.items()],
            "metadata_keys": list(overview.metadata_keys),
            "has_labels": bool(overview.labels),
            "map": self._services.map_maker.state(),
            "map_message": self._services.map_maker.message,
            "embedder": {"ready": state.is_ready, "url": state.url, "message": state.message},
            "limits": {"max_upload_bytes": limits.max_bytes, "max_upload_seconds": limits.max_seconds},
        }

    def _videos(self, request: Request) -> Row:
        asked, index = request.query_params, self._services.index
        filters = asked_filters(asked)
        top = min(_MOST, int(number_of(asked, "top", _TOP) or 0))
        offset = int(number_of(asked, "offset", 0) or 0)
        videos = index.videos(filters, top=top, offset=offset)
        rows = [video_row(self._services, video) for video in videos]
        return {"total": index.num_videos(filters), "videos": rows}

    def _named(self, video_ids: Sequence[int]) -> Row:
        videos = self._services.index.videos_of(video_ids[:_MOST])
        return {"total": len(videos), "videos": [video_row(self._services, video) for video in videos]}

    def _moment(self, video_id: int, clip: int) -> Row:
        index = self._services.index
        spans = index.example(video_id).spans
        if spans is None or clip >= len(spans):
            raise RefusedError(404, f"video {video_id} has no clip {clip}; read the map again")
        begin, end = spans[clip].tolist()
        row = video_row(self._services, index.videos_of([video_id])[0])
        times = {"clip": clip, "start_seconds": begin, "end_seconds": end}
        links = self._services.links(self._services.stored(video_id), begin, end)
        return {"moment": row | times | links}


def video_row(services: WebServices, video: IndexedVideo) -> Row:
    """An indexed video as the page knows it."""
    links = services.links(services.stored(video.video_id), 0.0, min(video.duration_seconds, _PREVIEW_SECONDS))
    return {
        "video_id": video.video_id,
        "name": escaped(Path(video.video).name),
        "path": escaped(video.video),
        "label": video.label,
        "duration_seconds": round(video.duration_seconds, 6),
        "num_clips": video.num_clips,
        "metadata": dict(video.metadata),
        "moments": [asdict(moment) for moment in video.moments],
        **links,
    }
