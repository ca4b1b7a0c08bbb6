"""Searches: moments like those of stored and uploaded videos, and what the query shows."""

import time
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.index.query.queries import Example, Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.query.spans import TimeSpan
from cocon.client.index.search.hits import Hit
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.asked import Fields, asked_filters, asked_json
from cocon.client.web.links import MediaLinks
from cocon.client.web.services import WebServices
from cocon.core.errors import UsageError
from cocon.core.printable import escaped

__all__ = ["Searching"]

_TOP, _MOST_TOP, _MOST_OFFSET, _MOST_EXAMPLES = 20, 200, 10_000, 50


class Searching:
    """Answers of searches.

    Args:
        services: Of the server.
    """

    def __init__(self, services: WebServices) -> None:
        self._services = services

    @property
    def routes(self) -> list[Route]:
        """Theirs."""
        return [Route("/api/search", self.search, methods=["POST"])]

    async def search(self, request: Request) -> Response:
        """Hits of a query."""
        asked = await asked_json(request)
        return JSONResponse(await self._services.questions.run(request, lambda: self._search(asked)))

    def _search(self, asked: Fields) -> Row:
        begun = time.perf_counter()
        options = _options(asked)
        wanted = [asked.member("query"), *asked.members("liked")]
        unwanted = asked.members("unliked")
        if len(wanted) + len(unwanted) > _MOST_EXAMPLES:
            raise UsageError(f"a query has at most {_MOST_EXAMPLES} examples; leave some out")
        liked, unliked = ([self._example(each) for each in several] for several in (wanted, unwanted))
        (hits,) = self._services.index.search_many([Query.of_examples(liked, unliked)], options)
        return {
            "query": self._query_row(wanted[0], liked[0]),
            "seconds": round(time.perf_counter() - begun, 4),
            "hits": [_hit_row(hit) for hit in hits],
            "classes": [],
        }

    def _example(self, asked: Fields) -> Example:
        return self._services.index.example(asked.integer("video_id"), _span(asked))

    def _query_row(self, asked: Fields, example: Example) -> Row:
        assert example.spans is not None
        links = MediaLinks.of_stored(asked.integer("video_id"), example.video)
        begin, end = float(example.spans.min()), float(example.spans.max())
        whole = self._services.index.example(asked.integer("video_id")).spans
        assert whole is not None
        return {
            "name": escaped(Path(example.video).name),
            "path": escaped(example.video),
            "duration_seconds": round(float(whole.max()), 6),
            **links.row(begin, end),
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


def _span(asked: Fields) -> TimeSpan | None:
    begin, end = asked.seconds("start_seconds"), asked.seconds("end_seconds")
    if begin is None and end is None:
        return None
    span = TimeSpan(begin or 0.0, float("inf") if end is None else end)
    if span.start_seconds >= span.end_seconds:
        raise UsageError(f"the part of the query ends ({end:g} s) before it begins; name a later end")
    return span


def _hit_row(hit: Hit) -> Row:
    links = MediaLinks.of_stored(hit.video_id, hit.video)
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
        **links.row(hit.start_seconds, hit.end_seconds),
    }
