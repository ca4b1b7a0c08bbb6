"""What a configuration, a run or a model repository takes of videos: its clip, its views, what its flow measures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.training.config.files import AUTO, load_config
from cocon.training.config.run import Config
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.reading.live import ViewRequest, needed_views
from cocon.video.views import VIEWS

__all__ = ["DEFAULT_PRESET", "configured_clip", "configured_views"]

DEFAULT_PRESET = AUTO


def configured_clip(
    preset: str | None, method: str | None, settings: Sequence[str], model: Path | None = None
) -> ClipSpec:
    """The clip that videos must be long enough for; arguments and errors as of `configured_views`."""
    found = _named(preset, method, settings, model)
    return found.clip.spec() if isinstance(found, Config) else found[0].clip


def configured_views(
    preset: str | None, method: str | None, settings: Sequence[str], model: Path | None = None
) -> Mapping[str, FlowSpec | None]:
    """The views of a configuration or of a model; `cocon views make` finds this function by its entry point.

    Args:
        preset: name of a preset, or a TOML file; the default preset if None.
        method: pre-training that it is for; its own if None.
        settings: `section.key=value`.
        model: folder of a run or a model repository, in place of all of these.

    Returns:
        View → what it measures; None for all but flow. The view by which people are followed is among them.

    Raises:
        UsageError: there is no such preset or model, a value is wrong, or both are named.
        MismatchError: the contract of a model cannot be read.
    """
    found = _named(preset, method, settings, model)
    if isinstance(found, Config):
        return needed_views({view: ViewRequest(found.geometry(view), found.flow_spec(view)) for view in found.views})
    return needed_views({contract.view: ViewRequest(contract.geometry, contract.flow) for contract in found})


def _named(
    preset: str | None, method: str | None, settings: Sequence[str], model: Path | None
) -> Config | list[ModelContract]:
    """The configuration that is meant, or the contracts of a model repository, at least one."""
    if model is None:
        return load_config(preset or DEFAULT_PRESET, [*([f"method={method}"] if method else []), *settings])
    if preset or method or settings:
        raise UsageError("--model says all by itself; leave --preset, --method and --set out")
    if (model / "config.toml").is_file():
        return load_config(str(model / "config.toml"))
    current = (ENCODER.current(model, view) for view in VIEWS)
    if contracts := [version.contract() for version in current if version]:
        return contracts
    raise UsageError(f"'{model}' is neither a run nor a model repository: it has no config.toml and no cocon_<view>")
