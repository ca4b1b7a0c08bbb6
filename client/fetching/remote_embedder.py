"""An embedder that fetches what lies elsewhere, and knows it by its URL."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from cocon.client.fetching.remote_files import RemoteFiles
from cocon.client.fetching.urls import is_remote
from cocon.client.pipeline.embedder_settings import AroundSettings, EmbedderSettings
from cocon.client.pipeline.many_videos import ManyVideosEmbedder
from cocon.client.pipeline.video_embedding import FailedVideo, VideoEmbedding
from cocon.core.closing import Closing
from cocon.core.errors import VideoError
from cocon.core.printable import printable
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["RemoteEmbedder", "RemoteSettings"]


@dataclass(frozen=True, slots=True)
class RemoteSettings(AroundSettings):
    """What an embedder is to be like, and where it finds what lies elsewhere.

    Attributes:
        settings: Of the embedder.
        files: That are elsewhere.
    """

    settings: EmbedderSettings
    files: RemoteFiles

    def open(self) -> "RemoteEmbedder":
        """Connect; raises like `VideoEmbedder`."""
        return RemoteEmbedder(self.settings.open(), self.files)


class RemoteEmbedder(Closing):
    """Embeds files and URLs; a URL is fetched when its turn comes, a few ahead.

    Args:
        embedder: Of files; closed with this.
        files: That are elsewhere.
    """

    def __init__(self, embedder: ManyVideosEmbedder, files: RemoteFiles) -> None:
        with ExitStack() as held:
            self._embedder = held.enter_context(embedder)
            self._held = held.pop_all()
        self._files = files

    @property
    def model(self) -> FusedModel:
        """The encoders, asked as one."""
        return self._embedder.model

    def refer_to(self, made_by: Mapping[str, tuple[str, ...]]) -> None:
        """See `VideoEmbedder.refer_to`."""
        self._embedder.refer_to(made_by)

    def embed_many(self, paths: Iterable[str | PathLike[str]]) -> Iterator[VideoEmbedding | FailedVideo]:
        """See `VideoEmbedder.embed_many`; a URL that cannot be fetched is a failed video."""
        turns: deque[tuple[str, Path | None, FailedVideo | None]] = deque()
        results = self._embedder.embed_many(self._here((fspath(path) for path in paths), turns))
        while True:
            result = next(results, None)
            while turns and (failed := turns[0][2]) is not None:
                turns.popleft()
                yield failed
            if result is None:
                return
            name, here, _ = turns.popleft()
            if here is not None:
                self._files.let_go(here)
                result = _named(result, name, here)
            yield result

    def close(self) -> None:
        """Close the embedder."""
        self._held.close()

    def _here(
        self, names: Iterable[str], turns: "deque[tuple[str, Path | None, FailedVideo | None]]"
    ) -> Iterator[str | Path]:
        """Files to embed; what turns are taken in goes along."""
        for name in names:
            if not is_remote(name):
                turns.append((name, None, None))
                yield name
                continue
            try:
                here = self._files.fetch(name)
            except VideoError as error:
                turns.append((name, None, FailedVideo(name, error)))
                continue
            turns.append((name, here, None))
            yield here


def _named(result: VideoEmbedding | FailedVideo, name: str, here: Path) -> VideoEmbedding | FailedVideo:
    """A result by the name that the user has for it."""
    if isinstance(result, FailedVideo):
        message = str(result.error).replace(printable(here), printable(name))
        return FailedVideo.told(name, type(result.error).__name__, message)
    missing = {view: reason.replace(printable(here), printable(name)) for view, reason in result.missing.items()}
    return replace(result, video=name, missing=missing)
