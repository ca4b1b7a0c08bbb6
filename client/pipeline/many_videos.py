"""What works through many videos has in common, whoever embeds them: this process, or many at once."""

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import Protocol, Self

from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.decoding.limits import MediaLimits

__all__ = ["ManyVideosEmbedder", "ManyVideosSettings"]


class ManyVideosEmbedder(Protocol):
    """Embeds many videos. `VideoEmbedder` does so in this process."""

    @property
    def model(self) -> FusedModel:
        """The encoders, asked as one."""
        ...

    def embed_many(self, paths: Iterable[str | PathLike[str]]) -> Iterator[VideoEmbedding | FailedVideo]:
        """One result per path, in order; see `VideoEmbedder.embed_many`."""
        ...

    def refer_to(self, made_by: Mapping[str, tuple[str, ...]]) -> None:
        """See `VideoEmbedder.refer_to`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class ManyVideosSettings(Protocol):
    """What such an embedder is to be like, before one is needed. `EmbedderSettings` are the other one's."""

    @property
    def overlap(self) -> float:
        """Share of a clip that the next one repeats."""
        ...

    @property
    def limits(self) -> MediaLimits:
        """How much of a video is read before it is refused."""
        ...

    @property
    def is_strict(self) -> bool:
        """Whether damaged videos are refused."""
        ...

    @property
    def has_all_views(self) -> bool:
        """Whether it is left to the server which views there are."""
        ...

    def named_views(self) -> tuple[str, ...]:
        """Names of the views, in alphabetical order."""
        ...

    def open(self) -> ManyVideosEmbedder:
        """Connect; raises like `VideoEmbedder`."""
        ...
