"""The operator's way to a running server: Triton's administrative verbs, which the operator's key unlocks.

with OperatorClient(record.address) as server:
    server.load("cocon_rgb")
    states = server.index()
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from tritonclient.grpc import InferenceServerClient
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException

from cocon.core.errors import ServerError
from cocon.core.proxies import DIRECT
from cocon.embedding.server_keys import OPERATOR_KEY
from cocon.serving.address import Address

__all__ = ["OperatorClient"]

_CALL_TIMEOUT_S = 10.0
_LOADING_TIMEOUT_S = 120.0

_Answer = TypeVar("_Answer")


class OperatorClient:
    """A connection to a server of this user's on this machine: a context manager. Not safe for several threads.

    Attributes:
        connection: tritonclient's, for what needs no key, such as `infer`.
        headers: What unlocks the verbs that need it; the key is read when the connection is made.

    Args:
        address: Where the server listens.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self.headers: Mapping[str, str] = OPERATOR_KEY.headers(address.grpc_port)
        tls, options = address.tls.operator_credentials() if address.tls else (None, [])
        self.connection = InferenceServerClient(
            address.url, ssl=tls is not None, creds=tls, channel_args=[*DIRECT, *options]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def index(self) -> Sequence[Any]:
        """Every model of the repository: messages with `name`, `version`, `state` and `reason`.

        Raises:
            ServerError: The server does not answer, or does not take the key.
        """
        found = self._ask(
            lambda: self.connection.get_model_repository_index(self.headers, client_timeout=_CALL_TIMEOUT_S)
        )
        models: Sequence[Any] = found.models
        return models

    def config(self, model: str, version: int | None = None) -> ModelConfig:
        """The configuration that a model is served with.

        Args:
            model: Its name.
            version: One that is loaded; None for the newest of those.

        Raises:
            ServerError: The server does not answer, or has no such model.
        """
        named = "" if version is None else str(version)
        found = self._ask(lambda: self.connection.get_model_config(model, named, client_timeout=_CALL_TIMEOUT_S))
        config: ModelConfig = found.config
        return config

    def load(
        self, model: str, *, config: Mapping[str, Any] | None = None, timeout_s: float = _LOADING_TIMEOUT_S
    ) -> None:
        """Load a model, or load it anew as its files are now; what is served meanwhile goes on until then.

        Args:
            model: Its name.
            config: A configuration in place of that in the repository, in Triton's JSON form.
            timeout_s: How long it may take, in seconds.

        Raises:
            ServerError: It does not load, in Triton's words; the server does not answer, or does not take the key.
        """
        text = None if config is None else json.dumps(config)
        self._ask(lambda: self.connection.load_model(model, self.headers, text, client_timeout=timeout_s))

    def unload(self, model: str, *, timeout_s: float = _LOADING_TIMEOUT_S) -> None:
        """Have the server let go of a model; requests that it has are answered first.

        Raises:
            ServerError: The server does not answer, or does not take the key.
        """
        self._ask(lambda: self.connection.unload_model(model, self.headers, client_timeout=timeout_s))

    def _ask(self, request: Callable[[], _Answer]) -> _Answer:
        try:
            return request()
        except InferenceServerException as error:
            said = " ".join((error.message() or "").split())
            where = f"the server at {self._address.url}"
            if "protocol is restricted" in said:
                path = OPERATOR_KEY.path(self._address.grpc_port)
                raise ServerError(
                    f"{where} does not take the key in '{path}'; ask as the user who started it"
                ) from error
            raise ServerError(f"{where} does not answer: {said}") from error
