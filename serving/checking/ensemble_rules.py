"""Does an ensemble call the models whose fingerprints it gives for its own?"""

import json

from cocon.core.errors import CoconError
from cocon.core.printable import printable
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion_record import FUSION_KEY, FusionRecord
from cocon.embedding.repository import FUSE
from cocon.serving.checking.configured_model import ConfiguredModel
from cocon.serving.checking.faults import Faults, Matter, in_model

__all__ = ["ensemble_faults"]


def ensemble_faults(model: ConfiguredModel, others: dict[str, ConfiguredModel]) -> Faults:
    """Steps that name what is not there, and records of a fusion that are not of the models that its steps name.

    Args:
        model: the ensemble.
        others: name → every model of the repository.
    """
    steps: dict[str, int] = {}
    for step in model.config.ensemble_scheduling.step:
        called = others.get(step.model_name)
        steps[step.model_name] = version = _resolved(step.model_version, called)
        if called is None or version not in called.versions:
            what = f"it calls version {step.model_version} of '{printable(step.model_name)}', which is not here"
            yield in_model(model.name, what, Matter.IDENTITY)
    for version in model.served_versions:
        if (text := model.parameter(FUSION_KEY, version)) is not None:
            yield from _record_faults(model, version, text, steps, others)


def _resolved(version: int, called: ConfiguredModel | None) -> int:
    """The version that a step means; -1 is the newest that is served."""
    return max(called.served_versions, default=0) if called is not None and version == -1 else version


def _record_faults(
    model: ConfiguredModel, version: int, text: str, steps: dict[str, int], others: dict[str, ConfiguredModel]
) -> Faults:
    try:
        record = FusionRecord.from_json(text, source=f"its parameter '{FUSION_KEY}.{version}'")
    except CoconError as error:
        yield in_model(model.name, str(error), Matter.IDENTITY)
        return
    except RecursionError:
        what = f"its parameter '{FUSION_KEY}.{version}' is no record: it is nested too deeply"
        yield in_model(model.name, what, Matter.IDENTITY)
        return
    for view, fingerprint in record.fingerprints.items():
        name = ENCODER.name(view)
        found = _fingerprint(others.get(name), steps.get(name, 0))
        if found != fingerprint:
            what = f"its version {version} fuses the encoder {fingerprint[:12]}… of view '{printable(view)}'"
            called = f"its steps call {found[:12]}…" if found else f"no step calls an encoder of '{printable(name)}'"
            yield in_model(model.name, f"{what}, and {called}", Matter.IDENTITY)
    yield from _weight_faults(model, record, others.get(FUSE), steps.get(FUSE, 0))


def _fingerprint(encoder: ConfiguredModel | None, version: int) -> str:
    """What the contract of a version says of itself; empty where it has none. That it is whole has its own rule."""
    text = encoder.parameter(ENCODER.contract_key, version) if encoder is not None else None
    try:
        return str(json.loads(text or "{}").get("fingerprint", ""))
    except (ValueError, AttributeError, RecursionError):
        return ""


def _weight_faults(model: ConfiguredModel, record: FusionRecord, fuse: ConfiguredModel | None, version: int) -> Faults:
    formula = fuse.parameter("formula", version) if fuse is not None else None
    try:
        weights = json.loads(formula)["weights"] if formula is not None else record.weights
    except (ValueError, KeyError, TypeError, RecursionError):
        weights = None
    if weights != record.weights:
        what = f"its record weighs the views {dict(record.weights)}, and version {version} of '{FUSE}' {weights}"
        yield in_model(model.name, what, Matter.IDENTITY)
