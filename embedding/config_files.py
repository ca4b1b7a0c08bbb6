"""Configurations of models, `config.pbtxt`: who exports writes them, who serves reads and changes them.

    config = read_config(folder / CONFIG_FILE)
    parameter(config, version_key("contract", 3))

The one in a model's folder is what Triton reads. The one in a version's folder, without parameters, is the tensors, and
for an ensemble the steps, which that version has: two versions may differ in them.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cocon.core.errors import MismatchError
from cocon.embedding.repository import CONFIG_FILE, ENSEMBLE, version_folders, version_key

if TYPE_CHECKING:
    from tritonclient.grpc import model_config_pb2 as triton

__all__ = [
    "CURRENT_KEY",
    "PREVIOUS_KEY",
    "PROBE_TIMEOUT_KEY",
    "STEPS_KEY",
    "current_version",
    "parameter",
    "read_config",
    "recorded_texts",
    "served_by_policy",
    "steps_of",
    "steps_text",
    "take_tensors",
    "tensors_of",
    "version_number",
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

# What reading steps raises where they are no object of whole numbers: lists too deep, a number too large among them.
_DAMAGED = (AttributeError, TypeError, ValueError, RecursionError, OverflowError)


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
    return _texts(_read_lightly(path))


def current_version(root: Path, name: str) -> int | None:
    """The version of a model that callers are to take: what a server that serves this repository would give them.

    That is the one which the ensemble of all views calls, else the one that was promoted, else the newest of those that
    are served.

    Args:
        root: the repository folder.
        name: of the model.

    Returns:
        The version, which has a folder; None where there is none.

    Raises:
        MismatchError: the model's configuration cannot be read.
    """
    versions = sorted(version_folders(root / name))
    called = _called_together(root).get(name, 0) if name != ENSEMBLE else 0
    return called if called in versions else _own_current(root / name, versions)


def served_by_policy(config: Any, present: Collection[int]) -> list[int]:  # noqa: ANN401  # of either class
    """The versions that a server loads by the `version_policy` of a configuration; without one, the newest.

    Args:
        config: it.
        present: versions that have a folder, ascending.
    """
    policy, present = config.version_policy, list(present)
    if policy.HasField("specific"):
        return [version for version in policy.specific.versions if version in present]
    return present if policy.HasField("all") else present[-(policy.latest.num_versions or 1) :]


def version_number(text: str | None) -> int:
    """A version as a parameter says it; 0 where it says none."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() else 0


def _own_current(model: Path, versions: Collection[int]) -> int | None:
    """The current version of a model, whatever calls it."""
    if not versions:
        return None
    config = _read_lightly(model / CONFIG_FILE)
    served = served_by_policy(config, versions) or versions  # where none of those named is there, what there is
    named = version_number(_texts(config).get(CURRENT_KEY))
    return named if named in served else max(served)


def _called_together(root: Path) -> Mapping[str, int]:
    """Model → its version that the current ensemble of all views calls by number; a damaged one calls nothing."""
    folder = root / ENSEMBLE
    try:
        version = _own_current(folder, sorted(version_folders(folder)))
        texts = {} if version is None else recorded_texts(folder / CONFIG_FILE)
        return _steps(texts.get(version_key(STEPS_KEY, version or 0)))
    except (*_DAMAGED, MismatchError):
        return {}


def _texts(config: Any) -> dict[str, str]:  # noqa: ANN401  # of the class that is made below
    return {each.key: each.value.string_value for each in config.parameters}


def _read_lightly(path: Path) -> Any:  # noqa: ANN401  # of the class that is made below
    """Parameters and `version_policy` of a `config.pbtxt`; none of them where there is no such file."""
    from google.protobuf import text_format

    try:
        return text_format.Parse(path.read_text("utf-8"), _light_class()(), allow_unknown_field=True)
    except FileNotFoundError:
        return _light_class()()
    except OSError as error:
        raise MismatchError(f"'{path}' cannot be read: {error.strerror}; export the model again") from error
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise MismatchError(f"'{path}' is no model configuration: {error}; export the model again") from error


# Message → its fields: type, and whether there may be several. As text, a map is a list of keys and values.
_LIGHT_FIELDS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "Value": {"string_value": ("string", False)},
    "Entry": {"key": ("string", False), "value": ("Value", False)},
    "Latest": {"num_versions": ("int64", False)},
    "All": {},
    "Specific": {"versions": ("int64", True)},
    "Policy": {"latest": ("Latest", False), "all": ("All", False), "specific": ("Specific", False)},
    "Config": {"parameters": ("Entry", True), "version_policy": ("Policy", False)},
}


@cache
def _light_class() -> Any:  # noqa: ANN401  # a class that is made here
    """A message with two fields of Triton's `ModelConfig`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    types = {"string": field.TYPE_STRING, "int64": field.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="cocon_light_config.proto", package="cocon")
    for message, fields in _LIGHT_FIELDS.items():
        added = file.message_type.add(name=message)
        for number, (name, (kind, is_repeated)) in enumerate(fields.items(), start=1):
            label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            of_type = {"type": types[kind]} if kind in types else {"type_name": f".cocon.{kind}"}
            added.field.add(name=name, number=number, label=label, **of_type)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cocon.Config"))


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
    key = version_key(STEPS_KEY, version)
    try:
        return _steps(parameter(config, key))
    except _DAMAGED as error:
        raise MismatchError(f"parameter '{key}' of model '{config.name}' names no versions: {error}") from error


def _steps(text: str | None) -> dict[str, int]:
    return {} if text is None else {str(model): int(number) for model, number in json.loads(text).items()}
