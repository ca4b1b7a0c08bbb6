"""`config.pbtxt`: what Triton must know of a model, and what a client must know of its versions.

Written with Triton's own protobuf classes. Under `parameters`, besides thread counts, every version has:

    <contract>.<version>  its contract as JSON, under the key of its kind; a client reads that of the version it asks
    sha256.<version>      of the model file
    weights.<version>     sha256 of all trained tensors, the classifier's too: what decides whether an export is news
    parity.<version>      figures of the parity gate as JSON; of a variant
    fidelity.<version>    those of its gate
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np
from tritonclient.grpc import model_config_pb2 as triton

from cocon.embedding.config_files import CURRENT_KEY, parameter, take_tensors
from cocon.embedding.contract import LOGITS, PROBABILITIES
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract
from cocon.embedding.repository import ENSEMBLE_PLATFORM, LABELS_FILE, ModelFormat, is_version, version_key
from cocon.export.repository.deployment import ONE_THREAD, WARM_UP_SIZES, Deployment
from cocon.export.repository.queueing import bound_queue

__all__ = [
    "MAX_BATCH_SIZE",
    "EnsembleStep",
    "add_version",
    "ensemble_config",
    "kind_config",
    "model_config",
    "take_records",
]

MAX_BATCH_SIZE = WARM_UP_SIZES[-1]

_Contract = TypeVar("_Contract", bound=Contract)

# Blocks of a video of a quarter of an hour, or pictures of a size, where the configuration leaves it open.
_LONG = 1024

_TYPES = {"uint8": triton.TYPE_UINT8, "float32": triton.TYPE_FP32}
_LABELLED = (LOGITS, PROBABILITIES)


def kind_config(
    kind: ModelKind[_Contract, Any], contract: _Contract, model_format: ModelFormat, deployment: Deployment
) -> triton.ModelConfig:
    """Configuration of a model of one view, as its kind and its contract say; see `model_config`."""
    return model_config(
        kind.name(contract.view, model_format),
        contract.input_shapes,
        contract.output_shapes,
        input_type=kind.input_type,
        model_format=model_format,
        deployment=deployment,
        is_light=kind.is_light,
        is_warmed_up=kind.is_warmed_up,
    )


def model_config(
    name: str,
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    *,
    input_type: str = "uint8",
    model_format: ModelFormat,
    deployment: Deployment = ONE_THREAD,
    is_light: bool = False,
    is_warmed_up: bool = False,
) -> triton.ModelConfig:
    """Configuration of a model, without any version yet.

    Args:
        name: of the model.
        inputs: name → shape of a row; -1 is any number.
        outputs: likewise, float32.
        input_type: of all inputs: `uint8` or `float32`.
        model_format: of its file.
        deployment: where and how it is to run.
        is_light: sending its tensors to a GPU would take longer than computing them; one thread is enough.
        is_warmed_up: whether it computes zeros before it is called ready.
    """
    config = _described(name, inputs, outputs, input_type)
    config.backend, config.default_model_filename = model_format.backend, model_format.file_name
    for position, output in enumerate(config.output):
        output.name = model_format.output_name(output.name, position)
    if is_light:
        config.instance_group.add(count=1, kind=triton.ModelInstanceGroup.KIND_CPU)
        config.parameters[model_format.threads_parameter].string_value = "1"
    else:
        deployment.describe(config, model_format, inputs)
    if any(-1 in shape for shape in inputs.values()):  # rows of different lengths cannot wait for each other
        del config.dynamic_batching.preferred_batch_size[:]
        config.dynamic_batching.preferred_batch_size.append(1)
    bound_queue(config, row_bytes=_row_bytes(inputs, input_type))
    for size in WARM_UP_SIZES if is_warmed_up else ():
        warm_up = config.model_warmup.add(name=f"batch {size}", batch_size=size)
        for tensor, shape in inputs.items():
            zeros = triton.ModelWarmup.Input(data_type=_TYPES[input_type], dims=shape, zero_data=True)
            warm_up.inputs[tensor].CopyFrom(zeros)
    return config


def _row_bytes(inputs: Mapping[str, Sequence[int]], input_type: str) -> int:
    values = sum(prod(_LONG if size == -1 else size for size in shape) for shape in inputs.values())
    return values * np.dtype(input_type).itemsize


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """A model that an ensemble calls.

    Attributes:
        model: its name.
        inputs: name of an input → what the ensemble calls the tensor.
        outputs: name of an output → likewise.
    """

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def ensemble_config(
    name: str,
    inputs: Mapping[str, Sequence[int]],
    outputs: Mapping[str, Sequence[int]],
    steps: Sequence[EnsembleStep],
    versions: Mapping[str, int],
    *,
    input_type: str = "uint8",
) -> triton.ModelConfig:
    """Configuration of an ensemble, which hands tensors from model to model.

    Args:
        name: as of `model_config`, as are the tensors.
        inputs: likewise.
        outputs: likewise.
        steps: the models that it calls.
        versions: model → its version that is called.
        input_type: likewise.
    """
    config = _described(name, inputs, outputs, input_type)
    config.platform = ENSEMBLE_PLATFORM
    for step in steps:
        added = config.ensemble_scheduling.step.add(model_name=step.model, model_version=versions[step.model])
        added.input_map.update(step.inputs)
        added.output_map.update(step.outputs)
    return config


def _described(
    name: str, inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]], input_type: str
) -> triton.ModelConfig:
    config = triton.ModelConfig(name=name, max_batch_size=MAX_BATCH_SIZE)
    for tensor, shape in inputs.items():
        config.input.add(name=tensor, data_type=_TYPES[input_type], dims=shape)
    for tensor, shape in outputs.items():
        labels = LABELS_FILE if tensor in _LABELLED else ""
        config.output.add(name=tensor, data_type=triton.TYPE_FP32, dims=shape, label_filename=labels)
    return config


def add_version(config: triton.ModelConfig, version: int, record: Mapping[str, str]) -> None:
    """Record a version in the parameters.

    Args:
        config: is written to.
        version: its number.
        record: what to write under `<key>.<version>`.
    """
    for key, text in record.items():
        config.parameters[version_key(key, version)].string_value = text


def take_records(config: triton.ModelConfig, earlier: triton.ModelConfig, versions: Collection[int]) -> None:
    """Take over what another configuration of the same model has recorded of the versions that are still there.

    Where it says which versions are served, that stays so, and so do their tensors: `cocon serve promote` changes both.
    """
    for key, value in earlier.parameters.items():
        number = key.rpartition(".")[2]
        if is_version(number) and int(number) in versions:
            config.parameters[key].string_value = value.string_value
    current = parameter(earlier, CURRENT_KEY)
    if current is not None and int(current) in versions:
        config.parameters[CURRENT_KEY].string_value = current
        served = [version for version in earlier.version_policy.specific.versions if version in versions]
        config.version_policy.specific.versions.extend(served)
        take_tensors(config, earlier)
