"""Beginning with what other runs learned in place of untrained networks (`training.init_from`, `init_from_of`).

A recurrent classifier begins with the aggregator of pre-training, as in the released code.
"""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.core.paths import check_folder
from cocon.core.printable import printable
from cocon.embedding.contract import LEARNED_POOLING, EncoderSpec
from cocon.training.config.learning_sections import TrunkSection
from cocon.training.config.run import Config
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.method import Method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles

__all__ = [
    "RANDOM",
    "aggregators_of",
    "architecture_settings",
    "method_names",
    "named_sources",
    "pretrained_aggregators",
    "restore_encoders",
    "source_files",
    "vectors_settings",
]

# Method of an encoder that nothing was pre-trained in.
RANDOM = "random"

_logger = logging.getLogger(__name__)


def named_sources(config: Config) -> dict[str, Path]:
    """The run that each view is said to start from: its own in `training.init_from_of`, else `training.init_from`."""
    training = config.training
    runs = {view: training.init_from_of.get(view, training.init_from) for view in config.views}
    return {view: run for view, run in runs.items() if run is not None}


def source_files(config: Config) -> dict[str, ViewFiles]:
    """What a training starts from, by view; empty where no run is named.

    Only the folder `views` of a run is read, so that of an exported or an imported one will do.

    Raises:
        UsageError: there is no folder of a run, or it has no encoder of the view that it is named for, or of any of
            the configured views.
        MismatchError: an encoder has another architecture; all differences are named. Or its pooling is not the learned
            one that is configured, which training does not learn.
    """
    sources, kept = named_sources(config), _kept(config)
    _check_pooling(config, kept)
    for view, run in sources.items():
        key = f"training.init_from_of.{view}" if view in config.training.init_from_of else "training.init_from"
        check_folder(run, key, remedy="name the folder of a run")
    for view in config.training.init_from_of.keys() - kept.keys():
        problem = "has no encoder of it" if view in config.views else f"views has only {', '.join(config.views)}"
        raise UsageError(
            f"training.init_from_of has '{config.training.init_from_of[view]}' for view '{view}', but {problem}"
        )
    if sources and not kept:
        raise UsageError(
            f"training.init_from is '{config.training.init_from}', which has no encoder of the views "
            f"{', '.join(config.views)}; name the folder of a run"
        )
    for view, files in kept.items():
        if different := _differences(files.contract().encoder, config.encoder_spec(view=view)):
            raise MismatchError(
                f"the encoder of view '{view}' in '{sources[view]}' cannot be started from: {'; '.join(different)}"
            )
    return kept


def _check_pooling(config: Config, kept: Mapping[str, ViewFiles]) -> None:
    """A learned pooling is fitted to encoders that are trained, and comes with them."""
    wanted = {view: config.vectors_of(view) for view in config.views}
    learned = {view: vectors for view, vectors in wanted.items() if vectors[0] == LEARNED_POOLING}
    remedy = "train with pooling mean, then: cocon pool RUN --pooling learned --output ANOTHER"
    if learned and config.training.epochs:
        raise UsageError(f"pooling 'learned' is fitted to encoders that are trained already: {remedy}")
    for view, vectors in learned.items():
        found = kept[view].contract().encoder if view in kept else None
        if found is None or (found.pooling, found.cells) != vectors:
            raise MismatchError(f"view '{view}' has no encoder with a learned pooling to start from: {remedy}")


def architecture_settings(config: Config, begun: Config | None) -> dict[str, str]:
    """The architectures of the encoders to start from, by view, where the configuration says another one.

    Args:
        config: as read.
        begun: of a run that is to go on; where that started from the same encoders, which need not be there any more,
            its architectures are taken.

    Returns:
        View → an override such as `trunk.rgb={...}`.

    Raises:
        MismatchError: a contract cannot be read, or has an architecture that no configuration can say.
    """
    sources = named_sources(config)
    if begun is not None and sources and named_sources(begun) == sources:
        return {view: _as_setting(view, trunk) for view, trunk in begun.trunk.items()}
    specs = {view: files.contract().encoder for view, files in _kept(config).items()}
    return {
        view: _as_setting(view, _trunk(spec, f"the encoder of view '{view}' in '{sources[view]}'"))
        for view, spec in specs.items()
        if _differences(spec, config.encoder_spec(view=view))
    }


def vectors_settings(config: Config, begun: Config | None) -> dict[str, str]:
    """What the vectors of the encoders to start from keep, by view, where the configuration says something else.

    A learned pooling is not taken where encoders are trained: it is fitted to what they were. Of pictures with fewer
    places than the vectors keep, so many are taken as there are.

    Args:
        config: as read, with the architectures that are taken.
        begun: see `architecture_settings`; a run of before vectors were taken goes on with its own.

    Returns:
        View → an override such as `vectors.rgb={...}`.

    Raises:
        MismatchError: a contract cannot be read.
    """
    sources, found = named_sources(config), dict[str, tuple[str, int]]()
    if begun is not None and sources and named_sources(begun) == sources:
        found = {view: begun.vectors_of(view) for view in config.views}
    else:
        specs = {view: files.contract().encoder for view, files in _kept(config).items()}
        found = {view: (spec.pooling, min(spec.cells, config.most_cells(view))) for view, spec in specs.items()}
    trains = config.training.epochs > 0
    return {
        view: f'vectors.{view}={{pooling = "{pooling}", cells = {cells}}}'
        for view, (pooling, cells) in found.items()
        if (pooling, cells) != config.vectors_of(view) and not (trains and pooling == LEARNED_POOLING)
    }


def _trunk(spec: EncoderSpec, whose: str) -> TrunkSection:
    try:
        return TrunkSection.of(spec)
    except ValueError as error:
        raise MismatchError(
            f"{whose} cannot be started from: nothing here builds a {printable(spec.backbone)} of width {spec.width}"
        ) from error


def _as_setting(view: str, trunk: TrunkSection) -> str:
    parts = ", ".join(f"{name} = {json.dumps(value)}" for name, value in trunk.model_dump().items())
    return f"trunk.{view}={{{parts}}}"


def _kept(config: Config) -> dict[str, ViewFiles]:
    files = {view: ViewFiles(run / "views" / view) for view, run in named_sources(config).items()}
    return {view: each for view, each in files.items() if each.has_encoder}


def restore_encoders(method: Method, config: Config) -> list[str]:
    """Copy weights and normalisation of the named runs into the method; a classifier on top stays behind.

    Returns:
        The views whose encoders were restored; the others are left as they are, and said.

    Raises:
        UsageError, MismatchError: see `source_files`.
    """
    sources, named = source_files(config), named_sources(config)
    for view, encoder in method.encoders.items():
        if view in sources:
            source, _ = sources[view].encoder()
            source.classifier = None
            encoder.normalise_by(source.normalisation)
            own = encoder.state_dict()
            encoder.load_state_dict(own | {name: each for name, each in source.state_dict().items() if name in own})
        elif sources:
            why = f"'{named[view]}' has no encoder of it" if view in named else "no run is named for it"
            _logger.warning("view '%s' starts untrained: %s", view, why)
    return list(sources)


def method_names(config: Config, *, is_trained: bool) -> dict[str, str]:
    """How each view's encoder was pre-trained, for its contract: here, in the run it started from, or not at all.

    One that another run has trained by labels alone is `supervised`.

    Args:
        config: of the run.
        is_trained: whether the encoders are those that it pre-trained.
    """
    if is_trained:
        return dict.fromkeys(config.views, config.method)
    sources, named = source_files(config), named_sources(config)
    return {view: _method(sources[view], named[view]) if view in sources else RANDOM for view in config.views}


def _method(files: ViewFiles, run: Path) -> str:
    method = files.contract().method
    if method != RANDOM or not (run / "config.toml").is_file():  # some have nothing but views
        return method
    classifier = RunFolder.open(run).config.classifier
    return "supervised" if classifier.mode == "finetune" and classifier.head != "none" else method


def pretrained_aggregators(config: Config, method: Method, *, is_trained: bool) -> dict[str, dict[str, Tensor]]:
    """State of each view's `ConvGRU`: the method's own, or without pre-training that of the run it started from.

    Views whose aggregator was not kept, or that start untrained, are not in it.

    Args:
        config: of the run.
        method: its networks.
        is_trained: whether their encoders are those that it pre-trained.

    Raises:
        MismatchError: a file cannot be read.
    """
    if is_trained:
        return aggregators_of(method)
    found = {view: files.aggregator() for view, files in source_files(config).items()}
    return {view: aggregator for view, aggregator in found.items() if aggregator is not None}


def aggregators_of(method: Method) -> dict[str, dict[str, Tensor]]:
    """State of each view's `ConvGRU`; only CoCon and CPC have any."""
    return {
        view: network.aggregator.state_dict()
        for view, network in method.networks.items()
        if isinstance(network, PredictiveNetwork)
    }


def _differences(found: EncoderSpec, wanted: EncoderSpec) -> list[str]:
    theirs, ours = dataclasses.asdict(found), dataclasses.asdict(wanted)
    # Vectors are made of the maps afterwards, as configured; weights go with any way of it.
    left_out = {"classifier", "pooling", "cells"}
    names = [name for name in ours if name not in left_out and theirs[name] != ours[name]]
    return [f"{name} is {theirs[name]}, configured {ours[name]}" for name in names]
