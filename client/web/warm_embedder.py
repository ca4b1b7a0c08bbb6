"""An embedder that is opened before anybody asks, and kept: in one thread, as it is not safe for several.

The server may be away: then what is stored still asks, and the next video that must be embedded tries again.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cocon.client.index.reader import IndexReader
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.closing import Closing
from cocon.core.errors import ServerError, VideoError
from cocon.core.printable import in_one_line
from cocon.core.proxies import without_credentials
from cocon.video.clips import ClipSpec

__all__ = ["EmbedderState", "WarmEmbedder"]

_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """Whether videos can be embedded now.

    Attributes:
        is_ready: They can.
        url: Where the models are, without credentials.
        message: Why not; empty where they can, or where it is not known yet.
        labels: Classes that the model can tell apart.
        clip: How it cuts clips; None until it has been open once.
    """

    is_ready: bool
    url: str
    message: str = ""
    labels: tuple[str, ...] = ()
    clip: ClipSpec | None = None


class WarmEmbedder(Closing):
    """Embeds videos one after the other. Safe for several threads.

    Args:
        index: Whose model it must have.
        settings: Of the embedder.
        warm_up_video: By which decoders and models are warmed up.
    """

    def __init__(self, index: IndexReader, settings: EmbedderSettings, warm_up_video: Path) -> None:
        self._index, self._settings, self._warm_up_video = index, settings, warm_up_video
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self._embedder: VideoEmbedder | None = None
        self._tried_s = -_RETRY_AFTER_S
        self._is_closed = False
        self._state = EmbedderState(False, without_credentials(settings.url))

    def start(self) -> None:
        """Begin to open it."""
        self._tried_s = time.monotonic()
        self._thread.submit(self._warm_up)

    def state(self) -> EmbedderState:
        """How it stands; one that could not be opened is tried again, seldom."""
        if not self._state.is_ready and self._state.message and time.monotonic() - self._tried_s > _RETRY_AFTER_S:
            self.start()
        return self._state

    def embed(self, path: Path) -> "Future[VideoEmbedding]":
        """The vectors of a video, when its turn has come; raises like `VideoEmbedder.embed` and `open`."""
        return self._thread.submit(self._embedded, path)

    def close(self) -> None:
        """Stop what it does."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._embedder is not None:
            self._embedder.close()

    def _warm_up(self) -> None:
        embedder = self._opened()
        with suppress(VideoError, OSError):  # whoever asks next hears of it
            embedder.embed(self._warm_up_video)

    def _embedded(self, path: Path) -> VideoEmbedding:
        embedder = self._opened()
        try:
            return embedder.embed(path)
        except VideoError:
            raise
        except Exception as error:  # connections may be of no use any more
            self._let_go(error)
            raise

    def _opened(self) -> VideoEmbedder:
        if self._embedder is None:
            self._tried_s = time.monotonic()
            try:
                self._embedder = embedder = self._settings.open()
                if self._is_closed:
                    raise ServerError("the embedder is closed; start 'client web' again")
                self._index.check_model(embedder.model)
                embedder.refer_to(self._index.made_by)
            except Exception as error:
                self._let_go(error)
                raise
            model = embedder.model
            self._state = EmbedderState(True, self._state.url, "", model.labels, model.clip)
        return self._embedder

    def _let_go(self, error: Exception) -> None:
        if self._embedder is not None:
            self._embedder.close()
        self._embedder = None
        self._state = EmbedderState(False, self._state.url, in_one_line(error), clip=self._state.clip)
