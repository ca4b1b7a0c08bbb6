"""The aggregators of pre-training: a recurrent classifier starts from them, as in the released code.

    run/views/<view>/aggregator.safetensors

The file is optional, and no part of the contract: an encoder is whole without it.
"""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from cocon.core.atomic import replacing
from cocon.core.errors import MismatchError
from cocon.training.config.run import Config
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.method import Method
from cocon.training.run_folder.warm_start import source_contracts

__all__ = ["pretrained_aggregators", "save_aggregators"]

_FILE = "aggregator.safetensors"


def save_aggregators(run: Path, method: Method) -> None:
    """Write every view's aggregator beside its encoder."""
    for view, tensors in _aggregators_of(method).items():
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with replacing(run / "views" / view / _FILE) as partial:
            save_file(on_cpu, partial)


def pretrained_aggregators(config: Config, method: Method) -> dict[str, dict[str, Tensor]]:
    """State of each view's `ConvGRU`: the method's own, or without pre-training that of `training.init_from`.

    Views whose aggregator was not kept, or that start untrained, are not in it.

    Raises:
        MismatchError: a file cannot be read.
    """
    if config.training.epochs:
        return _aggregators_of(method)
    found = {}
    for view in source_contracts(config):
        assert config.training.init_from is not None
        path = config.training.init_from / "views" / view / _FILE
        if path.is_file():
            found[view] = _read(path)
    return found


def _aggregators_of(method: Method) -> dict[str, dict[str, Tensor]]:
    """Only CoCon and CPC have any."""
    return {
        view: network.aggregator.state_dict()
        for view, network in method.networks.items()
        if isinstance(network, PredictiveNetwork)
    }


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own error class
        raise MismatchError(f"'{path}' cannot be read: {error}; train its run again, or remove the file") from error
