"""The map of an index: a point for each clip, with what it is coloured by."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cocon.client.index.labelling.clusters import clusters_of
from cocon.client.index.projection.stored_map import StoredMap
from cocon.client.pipeline.video_embedding import Row
from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import asked_json, number_of
from cocon.client.web.problems import RefusedError
from cocon.client.web.services import WebServices

__all__ = ["MapAnswers"]

_CLUSTERS, _MOST_CLUSTERS = 12, 200
# That a code of two bytes tells apart; the rarest of more have none.
_MOST_LABELS = 1 << 15


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What the page draws of one map, which is another one when the index is, with one number of clusters."""

    of: tuple[StoredMap, int]
    facts: Row
    points: bytes


class MapAnswers(Subject):
    """Answers of the map."""

    def __init__(self, services: WebServices) -> None:
        super().__init__(services)
        self._drawn: _Drawing | None = None
        self._lock = Lock()

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [
            Route("/api/map", self.start, methods=["POST"]),
            Route("/api/map", self.map),
            Route("/api/map/points", self.points),
        ]

    async def start(self, request: Request) -> Response:
        """Begin to lay it out."""
        await asked_json(request)
        self._services.map_maker.start()
        return JSONResponse({"map": "computing"}, 202)

    async def map(self, request: Request) -> Response:
        """What the points mean."""
        drawn = await self._services.questions.run(request, lambda: self._drawing(request))
        return JSONResponse(drawn.facts)

    async def points(self, request: Request) -> Response:
        """The points, in columns."""
        drawn = await self._services.questions.run(request, lambda: self._drawing(request))
        return Response(drawn.points, media_type="application/octet-stream")

    def _drawing(self, request: Request) -> _Drawing:
        count = min(_MOST_CLUSTERS, max(1, int(number_of(request.query_params, "clusters") or _CLUSTERS)))
        found, message = self._services.index.map(), self._services.map_maker.message
        if found is None:
            raise RefusedError(404, f"the index has no map{f' ({message})' if message else ''}; have it laid out")
        with self._lock:
            of = found, count
            if self._drawn is None or self._drawn.of != of:
                self._drawn = self._draw(of)
            return self._drawn

    def _draw(self, of: tuple[StoredMap, int]) -> _Drawing:
        (found, count), index = of, self._services.index
        shown = index.labels_at(found.video_ids, found.clips)
        counts = Counter(label for label in shown if label).most_common(_MOST_LABELS)
        labels = sorted(label for label, _ in counts)
        code_of = {label: code for code, label in enumerate(labels)}
        clusters = clusters_of(index, count)
        groups = {each: number for number, cluster in enumerate(clusters) for each in cluster.video_ids}
        columns = [
            found.xy[:, 0].astype("<f4"),
            found.xy[:, 1].astype("<f4"),
            found.video_ids.astype("<i4"),
            found.clips.astype("<i4"),
            np.array([-1 if label is None else code_of.get(label, -1) for label in shown], "<i2"),
            _codes(found.video_ids, groups),
        ]
        facts = {
            "num_points": len(found),
            "method": found.method,
            "is_stale": found.is_stale,
            "labels": labels,
            "clusters": [{"cluster": each.number, "num_videos": len(each.video_ids)} for each in clusters],
        }
        return _Drawing(of, facts, b"".join(column.tobytes() for column in columns))


def _codes(video_ids: NDArray[np.int64], code_of: Mapping[int, int]) -> NDArray[np.int16]:
    """The code of each point's video; -1 where it has none."""
    found, places = np.unique(video_ids, return_inverse=True)
    codes = np.array([code_of.get(video_id, -1) for video_id in found.tolist()], "<i2")
    return codes[places]
