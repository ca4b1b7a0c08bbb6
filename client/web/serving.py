"""A server for one person on this machine: from a port to the last request."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from cocon.client.index.folder import VideoIndex
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.client.web.access import Access, Guard
from cocon.client.web.app import web_app
from cocon.client.web.services import WebServices
from cocon.core.errors import ServerError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.store.private_folder import private_folder

__all__ = ["serve_index"]

_HOST = "127.0.0.1"
# Browsers keep a connection open for a film that has been paused.
_GRACE_S = 2


def serve_index(
    index: VideoIndex,
    index_name: str,
    settings: EmbedderSettings,
    limits: MediaLimits,
    *,
    port: int = 0,
    on_ready: Callable[[Access], None],
) -> None:
    """Serve an index until the process is told to end.

    Args:
        index: That is shown.
        index_name: Of it, as on a command line.
        settings: Of the embedder for what is uploaded, with the limits of uploads.
        limits: Of indexed videos that are decoded for pictures.
        port: On 127.0.0.1; 0 for any that is free.
        on_ready: Called when the server listens.

    Raises:
        UsageError: The index does not exist.
        MismatchError: It is damaged.
        ServerError: The port is in use.
    """
    index.snapshot()
    with _listening(port) as listener, private_folder("web") as folder:
        access = Access(listener.getsockname()[1])
        with WebServices(index, index_name, settings, folder, limits) as services:
            app = web_app(services, access, on_ready=lambda: on_ready(access))
            uvicorn.Server(_config(app)).run(sockets=[listener])


def _config(app: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",  # what nobody expected is told by `problems`,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands between
        timeout_graceful_shutdown=_GRACE_S,
    )


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as error:
            raise ServerError(f"port {port} of {_HOST} cannot be had: {error.strerror}; name another --port") from error
        listener.listen()  # who comes before the first answer waits for it
        yield listener
