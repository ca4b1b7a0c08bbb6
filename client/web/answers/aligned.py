"""A query and a video of the index beside each other, as a picture: of the vectors that are there already."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cocon.client.aligning.picture import drawn_alignment
from cocon.client.aligning.spans import Alignment, BlockTrack
from cocon.client.index.query.queries import Example
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.client.web.answers.media import OpenedFileResponse
from cocon.client.web.answers.subject import Subject
from cocon.client.web.asked import asked_json
from cocon.client.web.examples import Asking, asked_example, embedded_uploads
from cocon.client.web.stored_files import OpenedFile
from cocon.core.errors import ServerError, UsageError
from cocon.video.clips import ClipSpec
from cocon.video.moments.cache import preview_key
from cocon.video.pictures.encode import write_png

__all__ = ["Aligning"]


class Aligning(Subject):
    """Answers of alignments."""

    @property
    def routes(self) -> list[Route]:
        """See `Subject`."""
        return [Route("/api/alignment", self.aligned, methods=["POST"])]

    async def aligned(self, request: Request) -> Response:
        """Draw how two videos go together."""
        asked = await asked_json(request)
        query, video_id = asked.member("query"), asked.integer("video_id")
        uploads = await embedded_uploads(self._services, [query])

        def draw() -> OpenedFile:
            first = asked_example(self._services, query, uploads)
            return OpenedFile.at(self._picture(first, Asking.of_stored(self._services, video_id, None)))

        return OpenedFileResponse(await self._services.films.run(request, draw))

    def _picture(self, first: Asking, second: Asking) -> Path:
        spec = self._services.embedder.state().clip
        if spec is None:
            message = self._services.embedder.state().message or "its server has not answered yet"
            raise ServerError(f"only the model knows how it cuts videos into clips: {message}; try again")
        alignment = Alignment.of(_track(first, spec), _track(second, spec))

        assert first.example.spans is not None  # or else there were no tracks

        def make(path: Path) -> None:
            services = self._services
            with first.source.held() as video_a, second.source.held() as video_b:
                view = "+".join(services.index.facts.views)
                drawn = drawn_alignment(alignment, (video_a, video_b), view, services.pool, services.limits)
            write_png(path, drawn)

        part = (float(first.example.spans[0, 0]), float(first.example.spans[-1, 1]))
        key = preview_key("alignment", first.source.content, part, second.source.content, first.name, second.name)
        return self._services.cache.file(key, ".png", make)


def _track(asking: Asking, spec: ClipSpec) -> BlockTrack:
    return BlockTrack.of(_as_embedding(asking.example, asking.name, spec), spec)


def _as_embedding(example: Example, name: str, spec: ClipSpec) -> VideoEmbedding:
    """An example as that which it was made of, as far as its blocks tell.

    Raises:
        UsageError: Its blocks are not known.
    """
    if example.blocks is None or example.spans is None:
        raise UsageError(f"the index does not hold the blocks of '{name}'; index its videos anew to align them")
    starts, ends = example.spans[:, 0], example.spans[:, 1]
    return VideoEmbedding(
        video=name,
        content_sha256=example.content_sha256 or "",
        view=example.view,
        start_seconds=starts,
        end_seconds=ends,
        embedding=example.vectors,
        blocks=example.blocks,
        probabilities=None,
        num_frames=_num_frames(starts, ends, spec),
        truncated=False,
        model="",
        version="",
        fingerprint=example.fingerprint or "",
    )


def _num_frames(starts: NDArray[np.float64], ends: NDArray[np.float64], spec: ClipSpec) -> int:
    """Of the video up to the last clip, where clips are so many frames long: a clip has as many as it has."""
    frames = spec.num_frames * (spec.step_frames or 1)
    return max(1, round(float(ends[-1]) * frames / float(ends[0] - starts[0])))
