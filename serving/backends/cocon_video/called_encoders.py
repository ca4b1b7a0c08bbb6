"""The encoders of the same server, called from within it: no wire, and the versions that the record names."""

import time
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, ServerError, UsageError
from cocon.core.printable import in_one_line
from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel
from cocon.embedding.videos.call_record import VIDEO_MODEL, CalledEncoder, CallRecord

__all__ = ["CalledEncoders", "CalledSession"]

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])

# An encoder whose queue is full, or that is being loaded again, is asked again for so long.
_PATIENCE_S = 20.0
# What Triton says of a model whose worker has died; who watches the server starts another.
_UNHEALTHY = "is not healthy"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class CalledSession(Generic[_Contract]):
    """A `Session` over one version of an encoder of this server. Safe for several threads.

    Args:
        called: What is called.
        contract: Its contract.
        max_batch_size: Most rows of one call.
    """

    def __init__(self, called: CalledEncoder, contract: _Contract, max_batch_size: int) -> None:
        self.name, self.version, self.contract = called.model, str(called.version), contract
        self.max_batch_size, self.output_names = max_batch_size, called.outputs
        (self._input,) = contract.input_shapes

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """See `Session.run`.

        Raises:
            ServerError: The encoder is away, or has no room for so long.
            MismatchError: It refuses the request.
        """
        deadline_s, pause_s = time.monotonic() + _PATIENCE_S, _FIRST_PAUSE_S
        while True:
            response, is_away = self._once(values)
            if response is not None:
                return response
            if time.monotonic() + pause_s > deadline_s:
                raise ServerError(f"model '{self.name}' version {self.version} {is_away}; try again later")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Nothing is held."""

    def _once(self, values: NDArray[Any]) -> tuple[dict[str, NDArray[np.float32]] | None, str]:
        """The answer, or why there is none now and may be later."""
        import triton_python_backend_utils as triton  # exists only in Triton's worker

        request = triton.InferenceRequest(
            model_name=self.name,
            model_version=int(self.version),
            inputs=[triton.Tensor(self._input, np.ascontiguousarray(values))],
            requested_output_names=list(self.output_names),
            preferred_memory=triton.PreferredMemory(triton.TRITONSERVER_MEMORY_CPU),
        )
        response = request.exec()
        if response.has_error():
            code, message = response.error().code(), in_one_line(response.error().message())
            if code in (triton.TritonError.UNAVAILABLE, triton.TritonError.NOT_FOUND) or _UNHEALTHY in message:
                return None, f"is not ready ({message})"
            raise MismatchError(f"model '{self.name}' version {self.version} refuses the request: {message}")
        # Copied: what Triton gives lies in memory that all requests of this worker share.
        tensors = {tensor.name(): tensor.as_numpy().copy() for tensor in response.output_tensors()}
        return tensors, ""


class CalledEncoders:
    """An `EncoderHost`: the encoders that a record names.

    Args:
        record: Which.
    """

    def __init__(self, record: CallRecord) -> None:
        self._record = record

    @property
    def url(self) -> str:
        """The model that calls them."""
        return VIDEO_MODEL

    @property
    def views(self) -> tuple[str, ...]:
        """Views that it can be asked for, in alphabetical order."""
        return tuple(sorted(self._record.encoders))

    def open(self, kind: ModelKind[_Contract, _Model], view: str) -> _Model:
        """The encoder of a view.

        Raises:
            UsageError: There is none.
            MismatchError: Its contract is none of this kind.
        """
        called = self._record.encoders.get(view)
        if called is None:
            raise UsageError(f"model '{VIDEO_MODEL}' has no view '{view}'; it has: {', '.join(self.views)}")
        contract = kind.read(called.contract.to_json(), source=f"the contract of model '{called.model}'")
        return kind.model(CalledSession(called, contract, self._record.max_batch_size))

    def fusion(self) -> FusionRecord:
        """How the views are fused."""
        return self._record.fusion

    def joint(self, models: Mapping[str, ModelEmbedder]) -> None:
        """None: a call within the server costs little."""
