"""The former names of what is in `batches`."""

from collections.abc import Sequence

import numpy as np

from cocon.serving.backends.batches import Arrays, Infer, Signature

__all__ = ["Arrays", "Infer", "Signature", "infer_together", "respond"]


def infer_together(requests: Sequence[Arrays], infer: Infer, *, is_batched: bool) -> list[Arrays | Exception]:
    """Run several requests as one batch.

    When the batch fails, each request is run alone, so that only the guilty ones get the error.

    Args:
        requests: For each request its inputs, each `[B_i, …]`.
        infer: The model: inputs `[ΣB_i, …]` to outputs `[ΣB_i, …]`.
        is_batched: False when tensors have no batch axis; every request is then run alone.

    Returns:
        For each request its outputs, each `[B_i, …]`, or the error it caused.
    """
    if len(requests) > 1 and is_batched:
        try:
            return list(_infer_batch(requests, infer))
        except Exception:
            return [answer for request in requests for answer in infer_together([request], infer, is_batched=True)]
    answers: list[Arrays | Exception] = []
    for request in requests:
        try:
            answers.append(_infer_batch([request], infer)[0] if is_batched else infer(request))
        except Exception as error:  # whatever the library raises belongs to this request, not to the server
            answers.append(error)
    return answers


def respond(requests: Sequence[object], signature: Signature, infer: Infer) -> list[object]:
    """Answer the `InferenceRequest`s of one `execute` call with as many `InferenceResponse`s."""
    import triton_python_backend_utils as triton  # exists only in Triton's worker

    arrays = [
        [triton.get_input_tensor_by_name(request, name).as_numpy() for name in signature.inputs] for request in requests
    ]
    dtypes = [np.dtype(triton.triton_string_to_numpy(name)) for name in signature.output_types]

    def response(answer: Arrays | Exception) -> object:
        if isinstance(answer, Exception):
            return triton.InferenceResponse([], triton.TritonError(str(answer)))
        for name, dtype, array in zip(signature.outputs, dtypes, answer, strict=True):
            if array.dtype != dtype:  # the C++ backends refuse it too
                error = f"output '{name}' is {array.dtype}, the configuration says {dtype}"
                return triton.InferenceResponse([], triton.TritonError(error))
        return triton.InferenceResponse(list(map(triton.Tensor, signature.outputs, answer)))

    return [response(answer) for answer in infer_together(arrays, infer, is_batched=signature.is_batched)]


def _infer_batch(requests: Sequence[Arrays], infer: Infer) -> list[Arrays]:
    joined = [parts[0] if len(parts) == 1 else np.concatenate(parts) for parts in zip(*requests, strict=True)]
    ends = np.cumsum([len(request[0]) for request in requests])
    outputs = infer(joined)
    for output in outputs:
        if len(output) != ends[-1]:
            raise ValueError(f"an output has {len(output)} rows for a batch of {ends[-1]}")
    split = [np.split(output, ends[:-1]) for output in outputs]
    return [list(parts) for parts in zip(*split, strict=True)]
