"""Beginning with what another run learned in place of untrained networks (`training.init_from`).

A recurrent classifier begins with the aggregator of pre-training, as in the released code.
"""

import dataclasses
import logging

from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.run import Config
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.method import Method
from cocon.training.run_folder.view_files import ViewFiles

__all__ = ["aggregators_of", "method_names", "pretrained_aggregators", "restore_encoders", "source_files"]

_logger = logging.getLogger(__name__)


def source_files(config: Config) -> dict[str, ViewFiles]:
    """What a training starts from, by view; empty without `training.init_from`.

    Only the folder `views` of the run is read, so that of an exported or an imported one will do.

    Raises:
        UsageError: the run has no encoder of any of the configured views.
        MismatchError: an encoder has another architecture; all differences are named.
    """
    source = config.training.init_from
    if source is None:
        return {}
    known = {view: ViewFiles(source / "views" / view) for view in config.views}
    kept = {view: files for view, files in known.items() if files.has_encoder}
    if not kept:
        raise UsageError(
            f"training.init_from is '{source}', which has no encoder of the views {', '.join(config.views)}; "
            "name the folder of a run"
        )
    wanted = config.encoder_spec()
    for view, files in kept.items():
        if different := _differences(files.contract().encoder, wanted):
            raise MismatchError(
                f"the encoder of view '{view}' in '{source}' cannot be started from: {'; '.join(different)}"
            )
    return kept


def restore_encoders(method: Method, config: Config) -> list[str]:
    """Copy weights and normalisation of `training.init_from` into the method; a classifier on top stays behind.

    Returns:
        The views whose encoders were restored; the others are left as they are, and said.

    Raises:
        UsageError, MismatchError: see `source_files`.
    """
    sources = source_files(config)
    for view, encoder in method.encoders.items():
        if view in sources:
            source, _ = sources[view].encoder()
            source.classifier = None
            encoder.load_state_dict(source.state_dict())
            encoder.normalise_by(source.normalisation)
        elif sources:
            _logger.warning("view '%s' starts untrained: '%s' has no encoder of it", view, config.training.init_from)
    return list(sources)


def method_names(config: Config) -> dict[str, str]:
    """How each view's encoder was pre-trained, for its contract: here, in the run it started from, or not at all."""
    if config.training.epochs:
        return dict.fromkeys(config.views, config.method)
    sources = source_files(config)
    return {view: sources[view].contract().method if view in sources else "random" for view in config.views}


def pretrained_aggregators(config: Config, method: Method) -> dict[str, dict[str, Tensor]]:
    """State of each view's `ConvGRU`: the method's own, or without pre-training that of `training.init_from`.

    Views whose aggregator was not kept, or that start untrained, are not in it.

    Raises:
        MismatchError: a file cannot be read.
    """
    if config.training.epochs:
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
    names = [name for name in ours if name != "classifier" and theirs[name] != ours[name]]
    return [f"{name} is {theirs[name]}, configured {ours[name]}" for name in names]
