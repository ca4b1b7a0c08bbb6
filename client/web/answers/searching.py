"""Searches: moments like those of stored and uploaded videos, and what the query shows."""

import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.classify import Prediction, classify_by_index, top_actions
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.search.hits import Hit
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import Fields, asked_filters, asked_json
from cocon.client.web.examples import Asking, asked_example, embedded_uploads
from cocon.core.errors import UsageError
from cocon.core.printable import escaped

__all__ = ["Searching"]

_TOP, _MOST_TOP, _MOST_OFFSET, _MOST_EXAMPLES, _CLASSES = 20, 200, 10_000, 50, 5


class Searching(Subject):
    """Answers of searches."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [Route("/api/search", self.search, methods=["POST"])]

    async def search(self, request: Request) -> Response:
        """Hits of a query, and the classes of it."""
        begun = time.perf_counter()
        asked = await asked_json(request)
        wanted, unwanted = [asked.member("query"), *asked.members("liked")], asked.members("unliked")
        if len(wanted) + len(unwanted) > _MOST_EXAMPLES:
            raise UsageError(f"a query has at most {_MOST_EXAMPLES} examples; leave some out")
        options = _options(asked)
        uploads = await embedded_uploads(self._services, [*wanted, *unwanted])

        def found() -> Row:
            liked, unliked = (
                [asked_example(self._services, each, uploads) for each in several] for several in (wanted, unwanted)
            )
            return self._found(liked, unliked, options)

        answer = await self._services.questions.run(request, found)
        return JSONResponse(answer | {"seconds": round(time.perf_counter() - begun, 4)})

    def _found(self, liked: list[Asking], unliked: list[Asking], options: SearchOptions) -> Row:
        query = Query.of_examples([each.example for each in liked], [each.example for each in unliked])
        (hits,) = self._services.index.search_many([query], options)
        return {
            "query": liked[0].row(self._services),
            "hits": [self._hit_row(hit) for hit in hits],
            "classes": [{"label": found.label, "probability": found.probability} for found in self._classes(liked[0])],
        }

    def _classes(self, asking: Asking) -> list[Prediction]:
        """By the model's classifier, or else by the labels of the index; none without both."""
        labels, embedding = self._services.embedder.state().labels, asking.embedding
        if labels and embedding is not None and embedding.probabilities is not None:
            return top_actions(embedding, labels, top=_CLASSES)
        try:
            return classify_by_index(self._services.index, asking.example, top=_CLASSES)
        except UsageError:  # nothing has a label
            return []

    def _hit_row(self, hit: Hit) -> Row:
        source = self._services.stored(hit.video_id)
        return {
            "rank": hit.rank,
            "video_id": hit.video_id,
            "clip": hit.clip,
            "name": escaped(Path(hit.video).name),
            "path": escaped(hit.video),
            "label": hit.label,
            "start_seconds": hit.start_seconds,
            "end_seconds": hit.end_seconds,
            "score": hit.score,
            "query_start_seconds": hit.query_start_seconds,
            "query_end_seconds": hit.query_end_seconds,
            "also": [escaped(path) for path in hit.also],
            "empty_views": list(hit.empty_views),
            **self._services.links(source, hit.start_seconds, hit.end_seconds),
        }


def _options(asked: Fields) -> SearchOptions:
    filters = asked.member("filters") if asked.has("filters") else Fields({})
    return SearchOptions(
        top=asked.integer("top", _TOP, least=1, most=_MOST_TOP),
        offset=asked.integer("offset", 0, most=_MOST_OFFSET),
        grouping="moment" if asked.flag("all_moments", False) else "video",
        filters=asked_filters(filters),
        exclude_self=asked.flag("exclude_self", asked.member("query").has("video_id")),
    )
