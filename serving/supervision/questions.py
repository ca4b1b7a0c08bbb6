"""A real question to a model: the smallest request that its configuration allows, all of it zeros."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig
from tritonclient.utils import triton_to_np_dtype

from cocon.embedding.config_files import PROBE_TIMEOUT_KEY
from cocon.embedding.videos.call_record import DEADLINE_KEY, VIDEO_BACKEND, VIDEO_DEADLINE_S

__all__ = ["instance_count", "patience_s", "question"]

# How long one request may take, in seconds: parameters that say so, and backends of which it is known.
_PATIENCE_PARAMETERS = (PROBE_TIMEOUT_KEY, DEADLINE_KEY)
_PATIENCE_S = {VIDEO_BACKEND: float(VIDEO_DEADLINE_S)}


def question(config: ModelConfig) -> list[InferInput]:
    """Inputs for one row of a model: what is of any length has one element, a text is empty."""
    rows = [1] if config.max_batch_size > 0 else []
    return [
        _zeros(tensor.name, [*rows, *(max(size, 1) for size in tensor.dims)], DataType.Name(tensor.data_type))
        for tensor in config.input
        if not tensor.optional
    ]


def instance_count(config: ModelConfig) -> int:
    """How many instances answer for a model: as many questions at once reach each of them."""
    return max(1, sum(group.count for group in config.instance_group))


def patience_s(config: ModelConfig, default_s: float) -> float:
    """How long a model may take for one request, in seconds: by its parameters or backend, at least the default."""
    said = [config.parameters[name].string_value for name in _PATIENCE_PARAMETERS if name in config.parameters]
    numbers = [float(text) for text in said if re.fullmatch(r"\d{1,6}(\.\d+)?", text)]
    return max(default_s, *(numbers or [_PATIENCE_S.get(config.backend, 0.0)]))


def _zeros(name: str, shape: Sequence[int], type_name: str) -> InferInput:
    datatype = {"TYPE_STRING": "BYTES"}.get(type_name, type_name.removeprefix("TYPE_"))
    dtype: Any = triton_to_np_dtype(datatype)
    values = np.full(shape, b"", dtype=object) if datatype == "BYTES" else np.zeros(shape, dtype)
    tensor = InferInput(name, list(shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor
