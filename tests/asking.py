"""Triton asked directly, as programs of others ask it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput

__all__ = ["infer"]


def infer(
    client: InferenceServerClient, model: str, inputs: Mapping[str, NDArray[np.uint8]]
) -> dict[str, NDArray[np.float32]]:
    """All outputs of a model, by their names."""
    tensors = []
    for name, array in inputs.items():
        tensors.append(InferInput(name, list(array.shape), "UINT8"))
        tensors[-1].set_data_from_numpy(array)
    result = client.infer(model, tensors)
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
