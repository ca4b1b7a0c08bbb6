"""From a configuration to the untrained networks of a method."""

import torch

from cocon.training.config.run import Config
from cocon.training.methods.cocon import CoCon
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.cycle import CycleContrast, CycleNetwork
from cocon.training.methods.method import Method
from cocon.training.methods.vclr import Vclr, VclrNetwork
from cocon.training.methods.vicc import StreamNetwork, Vicc
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

__all__ = ["build_method"]


def build_method(config: Config) -> Method:
    """The untrained networks of every view, drawn from torch's global generator."""
    match config.method:
        case "vicc":
            streams = {v: StreamNetwork(_encoder(config, v), config.vicc.projection_dim) for v in config.views}
            return Vicc(streams, config.vicc)
        case "vclr":
            segments = {v: VclrNetwork(_encoder(config, v), config.vclr.projection_dim) for v in config.views}
            return Vclr(segments, config.vclr)
        case "cycle":
            cycles = {v: CycleNetwork(_encoder(config, v), config.cycle.projection_dim) for v in config.views}
            return CycleContrast(cycles, config.cycle)
        case method:
            networks = {
                view: PredictiveNetwork(_encoder(config, view), num_predicted=config.model.num_predicted)
                for view in config.views
            }
            return CoCon(networks, config.loss.weights(method), is_gathered=config.loss.gathered)


def _encoder(config: Config, view: str) -> Encoder:
    encoder = build_encoder(config.encoder_spec(), view_named(view))
    # Clips arrive with channels last; weights stored alike spare a copy per convolution (1.4× as fast on the CPU).
    encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
    encoder.backbone.checkpoint_activations = config.training.checkpoint_activations
    return encoder
