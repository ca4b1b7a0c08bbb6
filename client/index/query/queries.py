"""What asks: examples, which are clips of a video or vectors of a file, and queries, which are made of them.

query = Query.of(embedder.embed("a.mp4"))
query = Query.of_examples(liked=[a, b], unliked=[c])      # several examples, and what is not wanted
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.query.vectors_files import VectorsQuery
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import UsageError

__all__ = ["UNLIKED_WEIGHT", "Example", "Query"]

UNLIKED_WEIGHT = -0.5
"""Of all that is not wanted together; what is wanted has 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The clips of one example, of which the most similar one counts.

    Attributes:
        name: What it is called in answers: a path, or whatever it was named by.
        vectors: Of unit length, `float32 [J, D]`, J ≥ 1.
        spans: Start and end of the clips in seconds, `float64 [J, 2]`; None where they are not known.
        blocks: Likewise of each clip's N blocks, `float32 [J, N, D]`; None where they are not known.
        video: Path of the video, or of the file of vectors.
        content_sha256: Of the video; None where it is not known.
        fingerprint: Of the model; None where nothing says it.
        view: Views that were fused; empty where nothing says it.
    """

    name: str
    vectors: NDArray[np.float32] = field(repr=False)
    spans: NDArray[np.float64] | None = field(repr=False)
    blocks: NDArray[np.float32] | None = field(repr=False)
    video: str
    content_sha256: str | None
    fingerprint: str | None = None
    view: str = ""

    @classmethod
    def of(cls, video: VideoEmbedding, name: str | None = None) -> Self:
        """A video as an example.

        Raises:
            MissingViewError: It lacks a view.
        """
        video.check_complete()
        spans = np.stack([video.start_seconds, video.end_seconds], axis=1)
        return cls(
            video.video if name is None else name,
            video.embedding,
            spans,
            video.blocks,
            video.video,
            video.content_sha256,
            video.fingerprint,
            video.view,
        )

    @classmethod
    def of_vectors(cls, vectors: VectorsQuery) -> Self:
        """Vectors of a file as an example."""
        spans = None
        if vectors.start_seconds is not None and vectors.end_seconds is not None:
            spans = np.stack([vectors.start_seconds, vectors.end_seconds], axis=1)
        return cls(vectors.video, vectors.embedding, spans, None, vectors.video, vectors.content_sha256)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One query: a moment scores by the sum over the examples of their weight times the most similar clip's cosine.

    Attributes:
        name: What it is called in answers.
        examples: At least one.
        weights: Of each; negative for what is not wanted.
    """

    name: str
    examples: tuple[Example, ...]
    weights: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, video: VideoEmbedding | Example) -> Self:
        """The usual query: one example; raises like `Example.of`."""
        example = video if isinstance(video, Example) else Example.of(video)
        return cls(example.name, (example,))

    @classmethod
    def of_examples(
        cls, liked: Sequence[VideoEmbedding | Example], unliked: Sequence[VideoEmbedding | Example] = ()
    ) -> Self:
        """A query by several examples: each that is wanted has the same weight, and each that is not.

        Raises:
            UsageError: Nothing is wanted.
            MissingViewError: As `Example.of`.
        """
        if not liked:
            raise UsageError(
                "a query needs an example of what is wanted (--like); what is not wanted alone finds nothing"
            )
        wanted, unwanted = (
            [each if isinstance(each, Example) else Example.of(each) for each in videos] for videos in (liked, unliked)
        )
        weights = [1.0 / len(wanted)] * len(wanted) + [UNLIKED_WEIGHT / max(1, len(unwanted))] * len(unwanted)
        name = ", ".join(example.name for example in wanted)
        return cls(name, (*wanted, *unwanted), tuple(weights))

    def example_at(self, position: int) -> tuple[Example, int]:
        """Whose clip it is that a number, counted through all examples, names; and its number there."""
        for example in self.examples:
            if position < len(example.vectors):
                return example, position
            position -= len(example.vectors)
        raise IndexError(position)
