"""From a configuration to the untrained networks of a method."""

import torch

from cocon.training.config import Config
from cocon.training.methods.cocon import CoCon
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

__all__ = ["build_method", "encoders_of"]


def build_method(config: Config) -> CoCon:
    """The untrained networks of every view, drawn from torch's global generator."""
    networks = {}
    for view in config.views:
        encoder = build_encoder(config.encoder_spec(), view_named(view))
        # Clips arrive with channels last; weights stored alike spare a copy per convolution (1.4× as fast on the CPU).
        encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
        encoder.backbone.checkpoint_activations = config.training.checkpoint_activations
        networks[view] = PredictiveNetwork(encoder, num_predicted=config.model.num_predicted)
    return CoCon(networks, config.loss.weights(), is_gathered=config.loss.gathered)


def encoders_of(method: CoCon) -> dict[str, Encoder]:
    """View → its encoder, which is what training is for."""
    encoders = {}
    for view, network in method.networks.items():
        assert isinstance(network, PredictiveNetwork)
        encoders[view] = network.encoder
    return encoders
