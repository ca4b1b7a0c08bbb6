"""Is every version the model that it says it is?

What a version claims stands in the parameters of its `config.pbtxt`: a contract, whose fingerprint goes into every
index, and the sha256 of the file. Who claims the one must say the other.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import CoconError
from cocon.core.printable import printable
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion_record import FUSION_KEY
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, outputs_given
from cocon.embedding.repository import LABELS_FILE, SHA256_KEY, ModelFormat, labels_text
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS
from cocon.embedding.videos.call_record import VIDEO_KEY
from cocon.serving.checking.calling_rules import says_the_same
from cocon.serving.checking.configured_model import ConfiguredModel
from cocon.serving.checking.faults import Faults, Matter, idle, in_model

__all__ = ["content_faults", "contract_faults"]

_Kind: TypeAlias = ModelKind[Any, Any]

_KINDS: tuple[_Kind, ...] = (ENCODER, BOUNDARY_MODEL, FEATURE_MAPS)
_CLAIMS = (*(kind.contract_key for kind in _KINDS), FUSION_KEY, VIDEO_KEY)
_TYPES = {"uint8": triton.TYPE_UINT8, "float32": triton.TYPE_FP32}


def content_faults(model: ConfiguredModel) -> Faults:
    """Files that are not those whose sha256 the configuration records; every recorded file is read."""
    for version, folder in model.versions.items():
        faults = _content_faults(model, version, folder)
        yield from faults if version in model.served_versions else idle(faults)


def _content_faults(model: ConfiguredModel, version: int, folder: Path) -> Faults:
    recorded = model.parameter(SHA256_KEY, version)
    claims = [key for key in _CLAIMS if model.parameter(key, version) is not None]
    if recorded is None and claims:
        what = f"its version {version} has the parameter '{claims[0]}.{version}', and no '{SHA256_KEY}.{version}'"
        yield in_model(model.name, f"{what} that says of which file", Matter.IDENTITY)
    elif recorded is not None:
        yield from _file_faults(model, folder / model.file_name, recorded)


def _file_faults(model: ConfiguredModel, path: Path, recorded: str) -> Faults:
    named = f"its file '{printable(path.relative_to(model.folder))}'"
    if not path.is_file():
        yield in_model(model.name, f"{named} is missing", Matter.IDENTITY)
    elif (found := _sha256(path)) != recorded:
        what = f"{named} has the sha256 {found[:12]}…, and its configuration records {printable(recorded[:12])}…"
        yield in_model(model.name, f"{what}: it is another file than was exported", Matter.IDENTITY)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contract_faults(model: ConfiguredModel) -> Faults:
    """Contracts that are not those of the model's name, tensors or labels, or not the ones beside its files."""
    for version, folder in model.versions.items():
        faults = _contract_faults(model, version, folder)
        yield from faults if version in model.served_versions else idle(faults)


def _contract_faults(model: ConfiguredModel, version: int, folder: Path) -> Faults:
    for kind in _KINDS:
        if (text := model.parameter(kind.contract_key, version)) is None:
            continue
        try:
            contract = kind.read(text, source=f"its parameter '{kind.contract_key}.{version}'")
            is_same = says_the_same(folder / kind.contract_file, text)
        except CoconError as error:
            yield in_model(model.name, str(error), Matter.IDENTITY)
            continue
        except RecursionError:
            what = f"its parameter '{kind.contract_key}.{version}' is no contract: it is nested too deeply"
            yield in_model(model.name, what, Matter.IDENTITY)
            continue
        for what in (
            *([] if is_same else [_not_beside(kind, version)]),
            *_differences(model, version, kind, contract),
        ):
            yield in_model(model.name, f"its version {version} {what}", Matter.IDENTITY)


def _not_beside(kind: _Kind, version: int) -> str:
    return f"has another {kind.contract_file} than its parameter '{kind.contract_key}.{version}'"


def _differences(model: ConfiguredModel, version: int, kind: _Kind, contract: Contract) -> Iterator[str]:
    """In what a model is not what its contract says."""
    formats = {kind.name(contract.view, each): each for each in kind.formats}
    model_format = formats.get(model.name)
    if model_format is None or model_format.backend != model.config.backend:
        backend = printable(model.config.backend)
        yield f"has the contract of {' or '.join(map(repr, formats))}, and is '{printable(model.name)}' of {backend}"
        return
    if version not in model.served_versions:
        return  # it is looked at when it is promoted
    yield from _tensor_differences(model.of_version(version), kind, contract, model_format)
    labels: tuple[str, ...] = getattr(contract, "labels", ())
    told = model.folder / LABELS_FILE
    if labels and told.is_file() and told.read_bytes() != labels_text(labels).encode():
        yield f"has other labels in {LABELS_FILE} than in its contract"


def _tensor_differences(
    model: ConfiguredModel, kind: _Kind, contract: Contract, model_format: ModelFormat
) -> Iterator[str]:
    inputs = [(name, kind.input_type, shape) for name, shape in contract.input_shapes.items()]
    configured = [output.name.partition("__")[0] for output in model.config.output]
    given = outputs_given(contract, configured).items()
    outputs = [
        (model_format.output_name(name, position), "float32", shape) for position, (name, shape) in enumerate(given)
    ]
    for role, tensors, expected in (
        ("inputs", model.config.input, inputs),
        ("outputs", model.config.output, outputs),
    ):
        found = [(str(each.name), each.data_type, tuple(each.dims)) for each in tensors]
        if found != [(name, _TYPES[number], shape) for name, number, shape in expected]:
            told = ", ".join(f"{name} {list(shape)}" for name, _, shape in found)
            wanted = ", ".join(f"{name} {list(shape)}" for name, _, shape in expected)
            yield f"has the {role} {printable(told)}, and by its contract {wanted}"
        elif any(each.HasField("reshape") for each in tensors):
            yield f"reshapes its {role}"
