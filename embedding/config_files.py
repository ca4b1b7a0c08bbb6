"""Configurations of models, `config.pbtxt`: who exports writes them, who serves reads and changes them.

    config = read_config(folder / CONFIG_FILE)
    parameter(config, version_key("contract", 3))

The one in a model's folder is what Triton reads. The one in a version's folder, without parameters, is the tensors, and
for an ensemble the steps, which that version has: two versions may differ in them.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cocon.core.errors import MismatchError
from cocon.embedding.repository import CONFIG_FILE, version_key

if TYPE_CHECKING:
    from tritonclient.grpc import model_config_pb2 as triton

__all__ = [
    "CURRENT_KEY",
    "PREVIOUS_KEY",
    "PROBE_TIMEOUT_KEY",
    "STEPS_KEY",
    "parameter",
    "read_config",
    "recorded_texts",
    "steps_of",
    "steps_text",
    "take_tensors",
    "tensors_of",
    "write_config",
]

CURRENT_KEY = "current_version"
"""Of the parameter that says which version callers are to take; the newest one where there is none."""
PREVIOUS_KEY = "previous_version"
"""Of the parameter that says which version was current before the last promotion."""
PROBE_TIMEOUT_KEY = "probe_timeout_s"
"""Of the parameter that says how long a supervisor waits for an answer before it takes the model for hung."""
STEPS_KEY = "steps"
"""Of the parameter that says which versions of other models one version calls, before that version."""


def read_config(path: Path) -> "triton.ModelConfig":
    """Read a `config.pbtxt`.

    Raises:
        MismatchError: it is no model configuration.
    """
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2 as triton

    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), triton.ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise MismatchError(f"'{path}' is no model configuration: {error}; export with --overwrite") from error


def write_config(config: "triton.ModelConfig", path: Path) -> None:
    """Write a `config.pbtxt`."""
    from google.protobuf import text_format

    path.write_text(text_format.MessageToString(config, as_utf8=True), encoding="utf-8")


def parameter(config: "triton.ModelConfig", key: str) -> str | None:
    """A parameter's text; None when it is not there."""
    # Indexing a protobuf map would add the key.
    return str(config.parameters[key].string_value) if key in config.parameters else None


def recorded_texts(path: Path) -> dict[str, str]:
    """The parameters of a `config.pbtxt`, without the classes of Triton, which take a quarter of a second to import.

    Raises:
        MismatchError: it cannot be read, or is no text of a message.
    """
    from google.protobuf import text_format

    try:
        config = text_format.Parse(path.read_text("utf-8"), _parameters_class()(), allow_unknown_field=True)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise MismatchError(f"'{path}' cannot be read: {error.strerror}; export the model again") from error
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise MismatchError(f"'{path}' is no model configuration: {error}; export the model again") from error
    return {each.key: each.value.string_value for each in config.parameters}


@cache
def _parameters_class() -> Any:  # noqa: ANN401  # a class that is made here
    """A message with the field `parameters` of Triton's `ModelConfig`; as text, a map is a list of keys and values."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="cocon_parameters.proto", package="cocon")
    value, entry, whole = (file.message_type.add(name=name) for name in ("Value", "Entry", "Parameters"))
    text: dict[str, Any] = {"type": field.TYPE_STRING, "label": field.LABEL_OPTIONAL}
    value.field.add(name="string_value", number=1, **text)
    entry.field.add(name="key", number=1, **text)
    entry.field.add(name="value", number=2, label=field.LABEL_OPTIONAL, type_name=".cocon.Value")
    whole.field.add(name="parameters", number=1, label=field.LABEL_REPEATED, type_name=".cocon.Entry")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cocon.Parameters"))


def tensors_of(model: Path, version: int) -> "triton.ModelConfig":
    """The configuration that has the tensors and steps of a version: its own, or the model's where it has none.

    Raises:
        MismatchError: it is no model configuration.
    """
    own = model / str(version) / CONFIG_FILE
    return read_config(own if own.is_file() else model / CONFIG_FILE)


def take_tensors(config: "triton.ModelConfig", other: "triton.ModelConfig") -> None:
    """Give a configuration the tensors and the steps of another one."""
    for name in ("input", "output", "ensemble_scheduling"):
        config.ClearField(name)
        if name != "ensemble_scheduling":
            getattr(config, name).extend(getattr(other, name))
        elif other.HasField(name):
            config.ensemble_scheduling.CopyFrom(other.ensemble_scheduling)


def steps_text(steps: Mapping[str, int]) -> str:
    """Model → version that is called, as the parameter says it."""
    return json.dumps(dict(steps), sort_keys=True)


def steps_of(config: "triton.ModelConfig", version: int) -> dict[str, int]:
    """Which versions of other models a version calls; none where it calls none, or does not say.

    Raises:
        MismatchError: what is said cannot be read.
    """
    text = parameter(config, version_key(STEPS_KEY, version))
    if text is None:
        return {}
    try:
        return {str(model): int(number) for model, number in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError) as error:
        key = version_key(STEPS_KEY, version)
        raise MismatchError(f"parameter '{key}' of model '{config.name}' names no versions: {error}") from error
