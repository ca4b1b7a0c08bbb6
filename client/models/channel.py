"""A channel to a Triton server, over the KServe v2 protocol (gRPC): what can be asked, and what its errors mean."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.repository import version_key

__all__ = ["DescribedVersion", "TritonChannel"]

_MIB = 2**20
_SERVICE = "inference.GRPCInferenceService"
# UNAVAILABLE is the only status that says that the request was not worked on, so nothing else is tried again.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    # gRPC's own default of 4 MiB is less than three clips.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 1),
    # A request larger than this buffer (256 KiB by default) would not be tried again.
    ("grpc.per_rpc_retry_buffer_size", 256 * _MIB),
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{"service": _SERVICE}], "retryPolicy": _RETRY}]})),
]


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """The newest version of a model, as its server tells of it.

    Attributes:
        version: Its number.
        config: Its configuration, a message of Triton's protocol.
        contract: Text of its contract.
        source: Where that is from, in words.
    """

    version: str
    config: Any
    contract: str
    source: str


class TritonChannel:
    """Holds a channel; not safe for several threads.

    Args:
        url: `host:port`.
        timeout_s: Deadline of every request, its retries included.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.url = url
        self._timeout_s = timeout_s
        # One client and one channel per object: tritonclient shares neither between threads.
        self._client = grpc_client.InferenceServerClient(url, channel_args=_CHANNEL_OPTIONS)

    @property
    def software(self) -> str:
        """Triton and its version."""
        with self._translated():
            metadata = self._client.get_server_metadata(client_timeout=self._timeout_s)
        return f"{metadata.name} {metadata.version}"

    def model_names(self) -> list[str]:
        """Models that are ready, in alphabetical order."""
        with self._translated():
            models = self._client.get_model_repository_index(client_timeout=self._timeout_s).models
        return sorted({model.name for model in models if model.state == "READY"})

    def newest(self, name: str, contract_key: str, *, remedy: str = "") -> DescribedVersion:
        """The newest version of a model.

        Args:
            name: Model.
            contract_key: Of the parameter that carries the contract, before the version.
            remedy: Ends the message where there is no such model.

        Raises:
            ServerError: The server does not answer.
            UsageError: It has no such model; the message names those it has.
            MismatchError: The model carries no contract of that kind.
        """
        if name not in (known := self.model_names()):
            listed = "; ".join(filter(None, (", ".join(known) or "none", remedy)))
            raise UsageError(f"server {self.url} has no model '{name}'; it has: {listed}")
        with self._translated():
            versions = self._client.get_model_metadata(name, client_timeout=self._timeout_s).versions
            version = str(max(map(int, versions)))
            config = self._client.get_model_config(name, version, client_timeout=self._timeout_s).config
        key = version_key(contract_key, version)
        if key not in config.parameters:
            raise MismatchError(f"model '{name}' on {self.url} carries no '{key}'; export it with 'cocon export'")
        source = f"the contract of model '{name}' version {version} on {self.url}"
        return DescribedVersion(version, config, config.parameters[key].string_value, source)

    def infer(
        self, name: str, version: str, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, str]
    ) -> dict[str, NDArray[np.float32]]:
        """One request.

        Args:
            name: Model.
            version: Its version.
            inputs: Name of a tensor → its values `[B, ...]`.
            outputs: Contract's name of a tensor wanted → the model's name of it.

        Returns:
            Contract's name → `float32 [B, ...]`.

        Raises:
            MismatchError: The server gave other tensors than those wanted, or refuses the request.
            ServerError: It does not answer in time.
        """
        given = []
        for tensor_name, values in inputs.items():
            given.append(grpc_client.InferInput(tensor_name, list(values.shape), np_to_triton_dtype(values.dtype)))
            given[-1].set_data_from_numpy(values)
        wanted = [grpc_client.InferRequestedOutput(tensor_name) for tensor_name in outputs.values()]
        with self._translated():
            result = self._client.infer(
                name, given, model_version=version, outputs=wanted, client_timeout=self._timeout_s
            )
        tensors = {output: result.as_numpy(tensor_name) for output, tensor_name in outputs.items()}
        num_rows = len(next(iter(inputs.values())))
        for output, values in tensors.items():
            if values is None or values.dtype != np.float32 or len(values) != num_rows:
                raise MismatchError(f"model '{name}' on {self.url} gave no sound '{output}'; export it again")
        return tensors

    def close(self) -> None:
        """Close the channel."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The one place where tritonclient's errors become ours."""
        try:
            yield
        except InferenceServerException as error:
            raise _ours(error, self.url, self._timeout_s) from error


def _ours(error: InferenceServerException, url: str, timeout_s: float) -> ServerError | MismatchError:
    message = " ".join((error.message() or "").split())
    match (error.status() or "").removeprefix("StatusCode."):
        case "UNAVAILABLE" if "connect" in message or "Socket closed" in message or "name resolution" in message:
            remedy = "start it with 'cocon serve', or work without one: --url local:model_repository"
            return ServerError(f"no Triton server answers at {url}; {remedy}")
        case "DEADLINE_EXCEEDED":
            return ServerError(f"server {url} did not answer within {timeout_s:g} s; raise --timeout-s")
        case "NOT_FOUND" | "INVALID_ARGUMENT":
            return MismatchError(f"server {url} refuses the request: {message}")
        case status:
            return ServerError(f"server {url} failed: {message} ({status})")
