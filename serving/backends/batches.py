"""What the stand-in backends share: join the requests of one Triton `execute` call, run them, split the answer.

    batcher = Batcher(Signature.from_config(config), infer)
    responses = batcher.respond(requests)

A request that comes alone is given to the model where Triton has put it, without a copy; those that come together are
copied once, into memory that the next batch uses again. Answers are views of what the model gives. Only `respond` needs
Triton's Python worker; the rest is plain NumPy.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress, pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Batcher", "Infer", "Signature"]

Arrays = Sequence[NDArray[Any]]
Infer = Callable[[Arrays], Arrays]


# To ask Triton whether a request is still wanted takes a tenth of a millisecond: worth it where computing takes longer.
_LONG_S = 0.02

_TYPES = {
    np.dtype(name.lower().replace("fp", "float")): f"TYPE_{name}"
    for name in ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")
} | {np.dtype(bool): "TYPE_BOOL"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The tensors of a `config.pbtxt`, in its order.

    Attributes:
        inputs: Input names.
        outputs: Output names.
        output_types: Triton type of each output, such as `TYPE_FP32`.
        is_batched: Whether the first axis of every tensor is the batch (`max_batch_size` > 0).
        warm_up_sizes: Rows of the batches that the model computes before it is called ready, in ascending order.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output_types: tuple[str, ...]
    is_batched: bool
    warm_up_sizes: tuple[int, ...] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the signature from a model configuration in Triton's JSON form."""
        return cls(
            inputs=tuple(tensor["name"] for tensor in config["input"]),
            outputs=tuple(tensor["name"] for tensor in config["output"]),
            output_types=tuple(tensor["data_type"] for tensor in config["output"]),
            is_batched=config["max_batch_size"] > 0,
            warm_up_sizes=tuple(sorted(each["batch_size"] for each in config.get("model_warmup", ()))),
        )

    def fault(self, outputs: Arrays) -> str | None:
        """What is wrong with the types of a model's outputs, in the words of the C++ backends; None if nothing is."""
        for name, expected, array in zip(self.outputs, self.output_types, outputs, strict=True):
            found = _TYPES.get(array.dtype, str(array.dtype))
            if found != expected:
                return f"output '{name}' is {found}, the configuration says {expected}"
        return None


class Batcher:
    """Runs the requests of one `execute` call as one batch. Not safe for several threads.

    Args:
        signature: Of the model.
        infer: The model: inputs `[ΣB_i, …]` to outputs `[ΣB_i, …]`. It keeps nothing of its inputs.
        sizes: Rows that batches are filled up to with zeros, ascending; a batch of another number goes as it is.
    """

    def __init__(self, signature: Signature, infer: Infer, *, sizes: Sequence[int] = ()) -> None:
        self._signature = signature
        self._infer = infer
        self._stacks = [_Stack(sizes) for _ in signature.inputs]
        self._took_s = 0.0

    def infer_together(self, requests: Sequence[Arrays]) -> list[Arrays | Exception]:
        """Run several requests as one batch.

        When the batch fails, each request is run alone, so that only the guilty ones get the error. Without a batch
        axis every request is run alone.

        Args:
            requests: For each request its inputs, each `[B_i, …]`.

        Returns:
            For each request its outputs, each `[B_i, …]`, or the error it caused.
        """
        if len(requests) > 1 and self._signature.is_batched:
            try:
                return list(self._infer_batch(requests))
            except Exception:
                return [answer for request in requests for answer in self.infer_together([request])]
        answers: list[Arrays | Exception] = []
        for request in requests:
            try:
                answers.append(self._infer_batch([request])[0] if self._signature.is_batched else self._infer(request))
            except Exception as error:  # whatever the library raises belongs to this request, not to the server
                answers.append(error)
        return answers

    def respond(self, requests: Sequence[Any]) -> list[object]:
        """Answer the `InferenceRequest`s of one `execute` call with as many `InferenceResponse`s.

        Where the model takes long, nothing is computed for clients that have gone or have called their requests off.
        """
        import triton_python_backend_utils as triton  # exists only in Triton's worker

        is_asking = self._took_s > _LONG_S
        wanted = [not (is_asking and each.is_cancelled()) for each in requests]
        names = self._signature.inputs
        arrays = [
            [triton.get_input_tensor_by_name(each, name).as_numpy() for name in names]
            for each in compress(requests, wanted)
        ]
        begin_s = time.perf_counter()
        answers = iter(self.infer_together(arrays))
        self._took_s = time.perf_counter() - begin_s if arrays else self._took_s

        def response(request: Any, is_wanted: bool) -> object:  # noqa: ANN401  # of Triton's worker
            if not is_wanted:
                triton.Logger.log_info(f"request '{request.request_id()}' was called off; nothing is computed for it")
                return triton.InferenceResponse([], triton.TritonError("called off", triton.TritonError.CANCELLED))
            answer = next(answers)
            if isinstance(answer, Exception):
                return triton.InferenceResponse([], triton.TritonError(str(answer)))
            if fault := self._signature.fault(answer):
                return triton.InferenceResponse([], triton.TritonError(fault))
            asked = set(request.requested_output_names())  # a tensor that nobody asked for would be made and dropped
            named = zip(self._signature.outputs, answer, strict=True)
            return triton.InferenceResponse([triton.Tensor(*each) for each in named if each[0] in asked])

        return list(map(response, requests, wanted))

    def _infer_batch(self, requests: Sequence[Arrays]) -> list[Arrays]:
        joined = [stack.join(parts) for stack, parts in zip(self._stacks, zip(*requests, strict=True), strict=True)]
        outputs, num_rows = self._infer(joined), len(joined[0])
        for output in outputs:
            if len(output) != num_rows:
                raise ValueError(f"an output has {len(output)} rows for a batch of {num_rows}")
        if len(requests) == 1 and len(requests[0][0]) == num_rows:
            return [outputs]
        ends = list(accumulate((len(request[0]) for request in requests), initial=0))
        return [[output[start:end] for output in outputs] for start, end in pairwise(ends)]


class _Stack:
    """Memory in which the rows of one input become a batch."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._rows: NDArray[Any] = np.empty(0)

    def join(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The parts one after the other, filled up; valid until the next call."""
        if len(parts) == 1 and not self._sizes:
            return parts[0]
        end = sum(map(len, parts))
        num_rows = next((size for size in self._sizes if size >= end), end)
        if len(parts) == 1 and num_rows == end:
            return parts[0]
        shape, dtype = parts[0].shape[1:], parts[0].dtype
        if (self._rows.shape[1:], self._rows.dtype) != (shape, dtype) or len(self._rows) < num_rows:
            self._rows = np.empty((num_rows, *shape), dtype)
        np.concatenate(parts, out=self._rows[:end])
        self._rows[end:num_rows] = 0
        return self._rows[:num_rows]
