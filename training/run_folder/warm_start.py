"""Beginning with what another run learned in place of untrained networks (`training.init_from`).

A recurrent classifier begins with the aggregator of pre-training, as in the released code.
"""

import dataclasses
import logging

from torch import Tensor

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.training.config.run import Config
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.method import Method
from cocon.training.run_folder.view_files import ViewFiles

__all__ = ["aggregators_of", "method_names", "pretrained_aggregators", "restore_encoders", "source_contracts"]

_logger = logging.getLogger(__name__)


def source_contracts(config: Config) -> dict[str, ModelContract]:
    """Contracts of the encoders that a training starts from, by view; empty without `training.init_from`.

    Only the folder `views` of the run is read, so that of an exported or an imported one will do.

    Raises:
        UsageError: the run has no encoder of any of the configured views.
        MismatchError: an encoder has another architecture; all differences are named.
    """
    source = config.training.init_from
    if source is None:
        return {}
    kept = {view: ViewFiles(source / "views" / view) for view in config.views}
    contracts = {view: files.contract() for view, files in kept.items() if files.has_encoder}
    if not contracts:
        raise UsageError(
            f"training.init_from is '{source}', which has no encoder of the views {', '.join(config.views)}; "
            "name the folder of a run"
        )
    wanted = config.encoder_spec()
    for view, contract in contracts.items():
        if different := _differences(contract.encoder, wanted):
            raise MismatchError(
                f"the encoder of view '{view}' in '{source}' cannot be started from: {'; '.join(different)}"
            )
    return contracts


def restore_encoders(method: Method, config: Config) -> list[str]:
    """Copy weights and normalisation of `training.init_from` into the method; a classifier on top stays behind.

    Returns:
        The views whose encoders were restored; the others are left as they are, and said.

    Raises:
        UsageError, MismatchError: see `source_contracts`.
    """
    contracts, encoders = source_contracts(config), method.encoders
    for view, encoder in encoders.items():
        if view in contracts:
            assert config.training.init_from is not None
            source, _ = ViewFiles(config.training.init_from / "views" / view).encoder()
            source.classifier = None
            encoder.load_state_dict(source.state_dict())
            encoder.normalise_by(source.normalisation)
        elif contracts:
            _logger.warning("view '%s' starts untrained: '%s' has no encoder of it", view, config.training.init_from)
    return list(contracts)


def method_names(config: Config) -> dict[str, str]:
    """How each view's encoder was pre-trained, for its contract: here, in the run it started from, or not at all."""
    if config.training.epochs:
        return dict.fromkeys(config.views, config.method)
    contracts = source_contracts(config)
    return {view: contracts[view].method if view in contracts else "random" for view in config.views}


def pretrained_aggregators(config: Config, method: Method) -> dict[str, dict[str, Tensor]]:
    """State of each view's `ConvGRU`: the method's own, or without pre-training that of `training.init_from`.

    Views whose aggregator was not kept, or that start untrained, are not in it.

    Raises:
        MismatchError: a file cannot be read.
    """
    if config.training.epochs:
        return aggregators_of(method)
    found = {}
    for view in source_contracts(config):
        assert config.training.init_from is not None
        aggregator = ViewFiles(config.training.init_from / "views" / view).aggregator()
        if aggregator is not None:
            found[view] = aggregator
    return found


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
