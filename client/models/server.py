"""Encoders behind a Triton server, over the KServe v2 protocol (gRPC).

    with TritonServer("127.0.0.1:8001") as server:
        model = server.open("rgb")
        outputs = model.embedder.embed(clips)

The client keeps no constants: what a model takes and gives is read from the contract in its configuration.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from cocon.client.models.boundaries import TritonBoundaries
from cocon.client.models.connect import ModelFormat, OpenModel
from cocon.client.models.feature_maps import TritonFeatureMaps
from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.embedding.contract import CLIP, ModelContract
from cocon.embedding.embedder import Outputs, check_clips
from cocon.video.views import VIEWS

__all__ = ["TritonEmbedder", "TritonServer"]

_SUFFIXES: dict[ModelFormat, str] = {"onnx": "", "torchscript": "_torchscript"}

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


class TritonEmbedder:
    """An `Embedder` over one version of one model of a server.

    The version is fixed when it is opened: one run never mixes two trainings. Not safe for several threads.
    """

    def __init__(
        self, server: "TritonServer", name: str, version: str, contract: ModelContract, outputs: dict[str, str]
    ) -> None:
        self._server = server
        self._name = name
        self._version = version
        self._contract = contract
        self._outputs = outputs

    @property
    def contract(self) -> ModelContract:
        """What goes in and what comes out."""
        return self._contract

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Raises:
            MismatchError: `clips` is not what the contract takes, or the model is gone.
            ServerError: The server does not answer in time.
        """
        check_clips(clips, self._contract)
        tensors = self._server.infer(self._name, self._version, {CLIP: clips}, self._outputs)
        return Outputs.of(tensors)


class TritonServer:
    """A Triton server, as far as encoders go. Holds a channel; not safe for several threads.

    Args:
        url: `host:port` or `grpc://host:port`.
        timeout_s: Deadline of every request, its retries included.
        model_format: Which export of a view is used.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, model_format: ModelFormat = "onnx") -> None:
        self.url = url.removeprefix("grpc://")
        self._timeout_s = timeout_s
        self._suffix = _SUFFIXES[model_format]
        # One client and one channel per object: tritonclient shares neither between threads.
        self._client = grpc_client.InferenceServerClient(self.url, channel_args=_CHANNEL_OPTIONS)

    @property
    def num_lanes(self) -> int:
        """Two: one batch is packed and sent while the other is computed."""
        return 2

    @property
    def software(self) -> str:
        """Triton and its version."""
        with self._translated():
            metadata = self._client.get_server_metadata(client_timeout=self._timeout_s)
        return f"{metadata.name} {metadata.version}"

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here, in the order of the view table."""
        names = self._model_names()
        return tuple(view for view in VIEWS if self._name(view) in names)

    def open(self, view: str) -> OpenModel:
        """Look up the newest encoder of a view and check that its contract describes it.

        Raises:
            ServerError: The server does not answer.
            UsageError: It has no such model; the message names those it has.
            MismatchError: The model carries no contract, a damaged one, or one of another model.
        """
        name = self._name(view)
        version, config, text, source = self.newest(name, "contract")
        contract = ModelContract.from_json(text, source=source)
        # Triton's PyTorch backend finds outputs by position, in names like `embedding__0`.
        outputs = {tensor.name.partition("__")[0]: tensor for tensor in config.output}
        shapes = {tensor.name: tuple(tensor.dims) for tensor in config.input}
        shapes |= {name: tuple(tensor.dims) for name, tensor in outputs.items()}
        if shapes != {CLIP: contract.clip_shape} | contract.output_shapes or contract.view != view:
            raise MismatchError(f"{source} is of another model: its tensors are {shapes}; export it again")
        names = {name: tensor.name for name, tensor in outputs.items()}
        embedder = TritonEmbedder(self, name, version, contract, names)
        return OpenModel(embedder, name, version, max(1, config.max_batch_size))

    def open_feature_maps(self, view: str) -> TritonFeatureMaps:
        """Look up the newest model of a view's feature maps; raises as `TritonFeatureMaps`."""
        return TritonFeatureMaps(self, view)

    def open_boundaries(self, view: str) -> TritonBoundaries:
        """Look up the newest boundary model of a view; raises as `TritonBoundaries`."""
        return TritonBoundaries(self, view)

    def newest(self, name: str, kind: str, *, remedy: str = "") -> tuple[str, Any, str, str]:
        """The newest version of a model, its configuration, the text of its contract, and where that is from, in words.

        The configuration is a message of Triton's protocol.

        Args:
            name: Model.
            kind: Of the contract: the parameter that carries it is `<kind>.<version>`.
            remedy: Ends the message where there is no such model.

        Raises:
            ServerError: The server does not answer.
            UsageError: It has no such model; the message names those it has.
            MismatchError: The model carries no contract of that kind.
        """
        if name not in (known := self._model_names()):
            raise UsageError(f"server {self.url} has no model '{name}'; it has: {', '.join(known) or 'none'}{remedy}")
        with self._translated():
            versions = self._client.get_model_metadata(name, client_timeout=self._timeout_s).versions
            version = str(max(map(int, versions)))
            config = self._client.get_model_config(name, version, client_timeout=self._timeout_s).config
        key = f"{kind}.{version}"
        if key not in config.parameters:
            raise MismatchError(f"model '{name}' on {self.url} carries no '{key}'; export it with 'cocon export'")
        source = f"the contract of model '{name}' version {version} on {self.url}"
        return version, config, config.parameters[key].string_value, source

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _name(self, view: str) -> str:
        return f"cocon_{view}{self._suffix}"

    def _model_names(self) -> list[str]:
        with self._translated():
            models = self._client.get_model_repository_index(client_timeout=self._timeout_s).models
        return sorted({model.name for model in models if model.state == "READY"})

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
