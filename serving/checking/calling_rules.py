"""Does a model that calls others, an ensemble or that of videos, call those whose fingerprints it gives for its own?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from cocon.core.errors import CoconError, MismatchError
from cocon.core.printable import printable
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion_record import FUSION_KEY, FusionRecord
from cocon.embedding.repository import FUSE, FUSION_FILE
from cocon.embedding.videos.call_record import VIDEO_BACKEND, VIDEO_FILE, VIDEO_KEY, CallRecord
from cocon.serving.checking.configured_model import MAX_TEXT_BYTES, ConfiguredModel
from cocon.serving.checking.faults import Faults, Matter, in_model

__all__ = ["calling_faults", "says_the_same"]

_Record = TypeVar("_Record", covariant=True)


class _Reader(Protocol[_Record]):
    def __call__(self, text: str, *, source: str) -> _Record: ...


def calling_faults(model: ConfiguredModel, others: Mapping[str, ConfiguredModel]) -> Faults:
    """Calls of what is not served, and records of other models than are called.

    Args:
        model: any model; most call none.
        others: name → every model of the repository.
    """
    try:
        if model.is_ensemble:
            yield from _ensemble_faults(model, others)
        elif model.config.backend == VIDEO_BACKEND:
            yield from _video_faults(model, others)
    except MismatchError as error:
        yield in_model(model.name, str(error), Matter.IDENTITY)


def says_the_same(path: Path, text: str) -> bool:
    """Whether the JSON file of a version says what the parameter does; one that is not there says nothing else."""
    try:
        if not path.is_file():
            return True
        return path.stat().st_size <= MAX_TEXT_BYTES and bool(json.loads(path.read_bytes()) == json.loads(text))
    except (ValueError, RecursionError):
        return False


def _ensemble_faults(model: ConfiguredModel, others: Mapping[str, ConfiguredModel]) -> Faults:
    for version in model.served_versions:
        steps: dict[str, int] = {}
        for step in model.of_version(version).config.ensemble_scheduling.step:
            steps[step.model_name] = _resolved(step.model_version, others.get(step.model_name))
            yield from _call_faults(model, step.model_name, steps[step.model_name], others)
        record = _record(model, version, FUSION_KEY, FUSION_FILE, FusionRecord.from_json)
        if record is None:
            continue
        for view, fingerprint in record.fingerprints.items():
            name = ENCODER.name(view)
            yield from _fingerprint_faults(model, version, (name, steps.get(name, 0)), fingerprint, others)
        yield from _weight_faults(model, record, others.get(FUSE), steps.get(FUSE, 0))


def _video_faults(model: ConfiguredModel, others: Mapping[str, ConfiguredModel]) -> Faults:
    for version in model.served_versions:
        record = _record(model, version, VIDEO_KEY, VIDEO_FILE, CallRecord.from_json)
        for encoder in record.encoders.values() if record is not None else ():
            called = (encoder.model, encoder.version)
            yield from _call_faults(model, *called, others)
            yield from _fingerprint_faults(model, version, called, encoder.contract.fingerprint, others)


def _record(model: ConfiguredModel, version: int, key: str, file_name: str, read: _Reader[_Record]) -> _Record | None:
    """What a version says that it calls; None where it says nothing.

    Raises:
        MismatchError: it cannot be read, or the file beside says something else.
    """
    text, source = model.parameter(key, version), f"its parameter '{key}.{version}'"
    if text is None:
        return None
    if not says_the_same(model.folder / str(version) / file_name, text):
        raise MismatchError(f"{source} is not what its file '{version}/{file_name}' says")
    try:
        return read(text, source=source)
    except RecursionError as error:
        raise MismatchError(f"{source} is nested too deeply") from error


def _resolved(version: int, called: ConfiguredModel | None) -> int:
    """The version that a step means; -1 is the newest that is served."""
    return max(called.served_versions, default=0) if called is not None and version == -1 else version


def _call_faults(model: ConfiguredModel, name: str, version: int, others: Mapping[str, ConfiguredModel]) -> Faults:
    if name not in others or version not in others[name].served_versions:
        yield in_model(
            model.name, f"it calls version {version} of '{printable(name)}', which is not served", Matter.IDENTITY
        )


def _fingerprint_faults(
    model: ConfiguredModel,
    version: int,
    called: tuple[str, int],
    fingerprint: str,
    others: Mapping[str, ConfiguredModel],
) -> Faults:
    name, number = called
    text = others[name].parameter(ENCODER.contract_key, number) if name in others else None
    try:
        found = ENCODER.read(text, source=name).fingerprint if text is not None else ""
    except (CoconError, RecursionError):
        found = ""  # that contract has a fault of its own
    if found != fingerprint:
        what = f"its version {version} has the vectors of {fingerprint[:12]}… for those of '{printable(name)}'"
        is_called = f"and calls {found[:12]}…" if found else "and calls no encoder of that name"
        yield in_model(model.name, f"{what}, {is_called}", Matter.IDENTITY)


def _weight_faults(model: ConfiguredModel, record: FusionRecord, fuse: ConfiguredModel | None, version: int) -> Faults:
    formula = fuse.parameter("formula", version) if fuse is not None else None
    try:
        weights = json.loads(formula)["weights"] if formula is not None else record.weights
    except (ValueError, KeyError, TypeError, RecursionError):
        weights = None
    if weights != record.weights:
        what = f"its record weighs the views {dict(record.weights)}, and version {version} of '{FUSE}' {weights}"
        yield in_model(model.name, what, Matter.IDENTITY)
