"""`config.pbtxt`: what Triton must know of a model, and what a client must know of its versions.

Written with Triton's own protobuf classes. Under `parameters`, besides thread counts, every version has:

    contract.<version>    the `ModelContract` as JSON; a client reads the one of the version that it was served
    sha256.<version>      of the model file
    weights.<version>     sha256 of all trained tensors, the classifier's too: what decides whether an export is news
    parity.<version>      figures of the parity gate as JSON
"""

from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import MismatchError
from cocon.embedding.contract import CLIP, LOGITS, ModelContract
from cocon.embedding.repository import LABELS_FILE, ModelFormat, is_version, model_name, version_key

__all__ = [
    "MAX_BATCH_SIZE",
    "add_version",
    "encoder_config",
    "parameter",
    "read_config",
    "write_config",
]

MAX_BATCH_SIZE = 16

# Each new batch size costs seconds on a GPU (cuDNN's search); the sizes between are padded by nobody, but rare.
_WARM_UP_SIZES = (1, 2, 4, 8, 16)


def encoder_config(contract: ModelContract, model_format: ModelFormat, *, num_threads: int) -> triton.ModelConfig:
    """Configuration of one view's encoder, without any version yet.

    Args:
        contract: the encoder's.
        model_format: ONNX or TorchScript.
        num_threads: threads of one inference.
    """
    config = triton.ModelConfig(
        name=model_name(contract.view, model_format.suffix),
        backend=model_format.backend,
        default_model_filename=model_format.file_name,
        max_batch_size=MAX_BATCH_SIZE,
    )
    config.input.add(name=CLIP, data_type=triton.TYPE_UINT8, dims=contract.clip_shape)
    for position, (name, shape) in enumerate(contract.output_shapes.items()):
        output = config.output.add(
            name=model_format.output_name(name, position),
            data_type=triton.TYPE_FP32,
            dims=shape,
        )
        if name == LOGITS:
            output.label_filename = LABELS_FILE
    # One instance: on a GPU where the server has one, else on the CPU, where a second would fight for the cores.
    config.instance_group.add(count=1, kind=triton.ModelInstanceGroup.KIND_AUTO)
    config.dynamic_batching.SetInParent()
    for size in _WARM_UP_SIZES:
        warm_up = config.model_warmup.add(name=f"batch {size}", batch_size=size)
        clip = triton.ModelWarmup.Input(data_type=triton.TYPE_UINT8, dims=contract.clip_shape, zero_data=True)
        warm_up.inputs[CLIP].CopyFrom(clip)
    config.parameters[model_format.threads_parameter].string_value = str(num_threads)
    return config


def add_version(
    config: triton.ModelConfig, version: int, record: Mapping[str, str], earlier: triton.ModelConfig | None = None
) -> None:
    """Record a version in the parameters.

    Args:
        config: the new configuration.
        version: its number.
        record: what to write under `<key>.<version>`.
        earlier: configuration of the same model whose versions stay; their records are taken over.
    """
    for key, value in (earlier.parameters if earlier else {}).items():
        if is_version(key.rpartition(".")[2]):
            config.parameters[key].string_value = value.string_value
    for key, text in record.items():
        config.parameters[version_key(key, version)].string_value = text


def parameter(config: triton.ModelConfig, key: str) -> str | None:
    """A parameter's text; None when it is not there."""
    # Indexing a protobuf map would add the key.
    return str(config.parameters[key].string_value) if key in config.parameters else None


def read_config(path: Path) -> triton.ModelConfig:
    """Read a `config.pbtxt`.

    Raises:
        MismatchError: it is no model configuration.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), triton.ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise MismatchError(f"'{path}' is no model configuration: {error}; export with --overwrite") from error


def write_config(config: triton.ModelConfig, path: Path) -> None:
    """Write a `config.pbtxt`."""
    path.write_text(text_format.MessageToString(config, as_utf8=True), encoding="utf-8")
