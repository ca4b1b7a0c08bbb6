"""A model behind a Triton server, asked over the client's own channel."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from tritonclient.utils import triton_to_np_dtype

from cocon.client.bench.measured_model import Request, TensorSpec
from cocon.client.models.channel import TritonChannel
from cocon.client.models.connections.credentials import NO_CREDENTIALS, Credentials
from cocon.client.models.served_work import ServedWork
from cocon.client.models.target import Target
from cocon.client.models.versions.offered import DescribedVersion
from cocon.core.errors import UsageError
from cocon.embedding.repository import FORMATS

__all__ = ["ServedModel"]

# A session is opened for each of them to compare with.
_MOST_INSTANCES = 64


class ServedModel:
    """A `MeasuredModel` on a server, any model of it by its name.

    Attributes:
        steps: Of an ensemble, messages of Triton's protocol; empty for other models.

    Args:
        url: As `Target.parse` takes it.
        name: Of the model; its newest version is measured.
        timeout_s: Deadline of every request.
        shares_memory: As of `TritonChannel`.
        credentials: Likewise.

    Raises:
        ServerError: The server does not answer.
        UsageError: It has no such model, or one whose rows have no fixed shape.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        timeout_s: float,
        shares_memory: bool,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        self._connected = partial(
            TritonChannel,
            Target.parse(url),
            timeout_s=timeout_s,
            shares_memory=shares_memory,
            credentials=credentials,
        )
        self._channel = self._connected()
        try:
            self._described = self._channel.described(name, "")
            self.name, self.version = name, self._described.version
            self.software = self._channel.software
            self.inputs = _input_specs(self._described)
        except BaseException:
            self.close()
            raise
        config = self._described.config
        self.max_batch_size = max(1, config.max_batch_size)
        self.num_instances = min(_MOST_INSTANCES, sum(group.count for group in config.instance_group) or 1)
        keys = {each.threads_parameter for each in FORMATS.values() if each.backend == config.backend}
        self.num_threads = max((_number(config.parameters, key) for key in keys), default=0)
        self.steps: tuple[Any, ...] = tuple(config.ensemble_scheduling.step)

    def caller(self) -> "_ServedCaller":
        """A new caller, with a channel of its own."""
        return _ServedCaller(self._connected(), self._described)

    def work(self) -> Mapping[str, ServedWork]:
        """See `MeasuredModel.work`."""
        whole = {self.name: self._channel.statistics(self.name, self.version)}
        return whole | {step.model_name: self._channel.statistics(step.model_name, "") for step in self.steps}

    def contract(self, key: str) -> str:
        """Text of its contract of a kind; empty where it carries none."""
        return self._channel.described(self.name, key, version=int(self.version)).contract

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class _ServedCaller:
    def __init__(self, channel: TritonChannel, described: DescribedVersion) -> None:
        self._channel, self._described = channel, described
        self._outputs = {tensor.name: tensor.name for tensor in described.config.output}

    def call(self, request: Request) -> None:
        self._channel.infer(self._described, request, self._outputs)

    def close(self) -> None:
        self._channel.close()


def _input_specs(described: DescribedVersion) -> dict[str, TensorSpec]:
    from tritonclient.grpc import model_config_pb2

    specs = {}
    for tensor in described.config.input:
        type_name = model_config_pb2.DataType.Name(tensor.data_type).removeprefix("TYPE_")
        if min(tensor.dims) < 1:
            shape = list(tensor.dims)
            raise UsageError(
                f"input '{tensor.name}' of model '{described.name}' has any length {shape}; measure an encoder"
            )
        specs[tensor.name] = TensorSpec(np.dtype(triton_to_np_dtype(type_name)), tuple(tensor.dims))
    return specs


def _number(parameters: Any, key: str) -> int:  # noqa: ANN401  # generated, untyped
    """A parameter of a configuration; 0 where it has none, or no number of threads."""
    text = str(parameters[key].string_value) if key in parameters else ""
    return int(text) if re.fullmatch("[0-9]{1,3}", text) else 0
