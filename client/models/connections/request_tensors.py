"""Tensors of a request over the wire, and the shapes of those of its answer."""

from collections.abc import Mapping
from typing import Any

import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as triton
from tritonclient.utils import np_to_triton_dtype

from cocon.client.models.versions.offered import DescribedVersion

__all__ = ["answer_shapes", "sent_inputs"]


def sent_inputs(inputs: Mapping[str, NDArray[Any]]) -> list[grpc_client.InferInput]:
    """Tensors that go over the wire."""
    given = []
    for name, values in inputs.items():
        given.append(grpc_client.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype)))
        given[-1].set_data_from_numpy(values)
    return given


def answer_shapes(
    model: DescribedVersion, outputs: Mapping[str, str], num_rows: int
) -> dict[str, tuple[int, ...]] | None:
    """Shapes of the outputs of a batch; None where the configuration does not say, or they are no `float32`."""
    rows = {
        tensor.name: tuple(tensor.dims)
        for tensor in model.config.output
        if tensor.data_type == triton.TYPE_FP32 and -1 not in tensor.dims
    }
    is_known = model.config.max_batch_size > 0 and rows.keys() >= set(outputs.values())
    return {name: (num_rows, *rows[name]) for name in outputs.values()} if is_known else None
