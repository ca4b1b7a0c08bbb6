"""Labels from the page: groups of like videos, what to label next, and labels for videos and parts of them."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.index.labelling.clusters import clusters_of
from cocon.client.index.labelling.suggestions import suggestions
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.answers.listing import video_row
from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import Fields, asked_filters, asked_json, number_of
from cocon.client.web.examples import asked_span
from cocon.core.errors import UsageError

__all__ = ["Labelling"]

_MOST_LABELLED, _MOST_CLUSTERS, _MOST_SUGGESTED = 100_000, 200, 200
_WAIT_S = 5.0  # for another writer


class Labelling(Subject):
    """Answers of labels."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [
            Route("/api/labels", self.label, methods=["POST"]),
            Route("/api/clusters", self.clusters, methods=["POST"]),
            Route("/api/suggestions", self.suggested),
        ]

    async def label(self, request: Request) -> Response:
        """Label videos, or parts of them."""
        asked = await asked_json(request)
        return JSONResponse(await self._services.changes.run(request, lambda: self._label(asked)))

    async def clusters(self, request: Request) -> Response:
        """Groups of like videos."""
        asked = await asked_json(request)
        return JSONResponse(await self._services.changes.run(request, lambda: self._clusters(asked)))

    async def suggested(self, request: Request) -> Response:
        """Videos that are worth a label."""
        budget = int(number_of(request.query_params, "budget", 20.0) or 0)
        if budget > _MOST_SUGGESTED:
            raise UsageError(f"'budget' ({budget}) must be at most {_MOST_SUGGESTED}; label those first")
        return JSONResponse(await self._services.changes.run(request, lambda: self._suggested(request, budget)))

    def _label(self, asked: Fields) -> Row:
        chosen = asked.members("videos")
        if not 0 < len(chosen) <= _MOST_LABELLED:
            raise UsageError(f"'videos' ({len(chosen)}) must be from 1 to {_MOST_LABELLED}; choose some")
        names = [_name(each) for each in chosen]
        for video_id in {each.integer("video_id") for each in chosen}:
            self._services.files.known(video_id)
        self._services.index.label(names, asked.text("label"), wait_s=_WAIT_S)
        return {"labelled": len(names)}

    def _clusters(self, asked: Fields) -> Row:
        count = asked.integer("count", least=1, most=_MOST_CLUSTERS)
        filters = asked_filters(asked.member("filters") if asked.has("filters") else Fields({}))
        found = clusters_of(self._services.index, count, filters)
        return {
            "clusters": [
                {
                    "cluster": cluster.number,
                    "num_videos": len(cluster.video_ids),
                    "typical": [video_row(self._services, video) for video in cluster.typical],
                    "video_ids": list(cluster.video_ids),
                }
                for cluster in found
            ]
        }

    def _suggested(self, request: Request, budget: int) -> Row:
        found = suggestions(self._services.index, budget, asked_filters(request.query_params))
        return {
            "videos": [
                video_row(self._services, suggestion.video) | {"reason": suggestion.reason} for suggestion in found
            ]
        }


def _name(asked: Fields) -> str:
    """As the index knows what is meant: `id:12`, `id:12#1.5-3`."""
    span, video_id = asked_span(asked), asked.integer("video_id")
    if span is None:
        return f"id:{video_id}"
    end = "" if span.end_seconds == float("inf") else f"{span.end_seconds:.6f}"
    return f"id:{video_id}#{span.start_seconds:.6f}-{end}"
