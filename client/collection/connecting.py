"""Connections to Milvus: one for each server or file of this process. What the library says becomes our errors.

The token of a server is read from COCON_MILVUS_TOKEN, a file of certificates to trust from COCON_MILVUS_CA.
"""

import importlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from cocon.client.collection.urls import CollectionUrl
from cocon.core.errors import ServerError, UsageError
from cocon.core.printable import in_one_line

if TYPE_CHECKING:
    from pymilvus import MilvusClient

__all__ = ["TIMEOUT_S", "answering", "connected", "disconnect"]

TIMEOUT_S = 30.0
"""Of one request."""

_CONNECT_S = 10.0
_TOKEN, _CERTIFICATES = "COCON_MILVUS_TOKEN", "COCON_MILVUS_CA"

_LOGGERS = ("pymilvus", "milvus_lite")

_lock = Lock()
_clients: dict[str, "MilvusClient"] = {}


def connected(url: CollectionUrl) -> "MilvusClient":
    """The client of a server or a file, which may be used by several threads.

    Raises:
        ServerError: The server does not answer.
        UsageError: The file is in use by another process, or none of Milvus Lite.
    """
    place = _place(url)
    with _lock:
        if place not in _clients:
            _clients[place] = _opened(url, place)
        return _clients[place]


def disconnect(url: CollectionUrl) -> None:
    """Close the client of a server or a file, if there is one; others may open the file then."""
    with _lock:
        client = _clients.pop(_place(url), None)
    if client is None:
        return
    client.close()
    if url.file is not None:
        importlib.import_module("milvus_lite.server_manager").server_manager_instance.release_server(_place(url))


@contextmanager
def answering(url: CollectionUrl) -> Iterator[None]:
    """What Milvus and its library say of a request, in our words: raises `ServerError`."""
    from grpc import RpcError
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, RpcError) as error:
        told = getattr(error, "message", None) or error
        raise ServerError(f"index '{url}': Milvus does not answer as it should: {in_one_line(str(told))}") from error


def _place(url: CollectionUrl) -> str:
    if url.file is not None:
        return os.path.abspath(url.file)  # noqa: PTH100  # Path.resolve follows links
    return f"{'http' if url.is_plain else 'https'}://{url.address}"


def _opened(url: CollectionUrl, place: str) -> "MilvusClient":
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

    _silence()
    given: dict[str, str] = {}
    if url.file is None:
        given["token"] = os.environ.get(_TOKEN, "")
        if certificates := os.environ.get(_CERTIFICATES):
            given["server_pem_path"] = certificates
    else:
        importlib.import_module("milvus_lite.server_manager")
        _silence()
    try:
        if url.address is not None:  # the library asks a port that nobody listens at again and again
            host, _, port = url.address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        return MilvusClient(place, timeout=_CONNECT_S, **given)
    except (MilvusException, OSError, ValueError) as error:
        if url.file is not None:
            raise UsageError(
                f"index '{url}' cannot be opened: its file is in use by another process, cannot be written, or is none "
                "of Milvus Lite 3; end the other process, or name another file"
            ) from error
        how = "" if url.is_plain else ", by TLS (milvus+plain:// goes without)"
        raise ServerError(
            f"index '{url}': no Milvus answers at {url.address}{how}; start it, or see {_TOKEN} if it asks for one"
        ) from error


def _silence() -> None:
    """The library writes every error on standard error before it raises it, and Milvus Lite what it does not know."""
    libraries = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOGGERS]
    for name in [*libraries, "grpc._server"]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
