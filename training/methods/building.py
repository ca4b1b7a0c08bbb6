"""From a configuration to the untrained networks of a method: where sections become a method's arguments."""

from collections.abc import Mapping
from types import MappingProxyType

import torch

from cocon.training.config.learning_sections import LossSection
from cocon.training.config.method_sections import MethodName
from cocon.training.config.run import Config
from cocon.training.methods.cocon import CoCon, LossWeights
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.cycle import CycleContrast, CycleNetwork, CycleSettings
from cocon.training.methods.method import Method
from cocon.training.methods.vclr import Vclr, VclrNetwork, VclrSettings
from cocon.training.methods.vicc import StreamNetwork, Vicc, ViccSettings
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import view_named

__all__ = ["COOPERATION", "build_method", "loss_weights"]

# Which cooperative terms each row of the paper's ablation has: (sim, sync).
COOPERATION: Mapping[MethodName, tuple[bool, bool]] = MappingProxyType(
    {"cpc": (False, False), "cpc+sim": (True, False), "cpc+sync": (False, True), "cocon": (True, True)}
)


def build_method(config: Config) -> Method:
    """The untrained networks of every view, drawn from torch's global generator."""
    match config.method:
        case "vicc":
            streams = {v: StreamNetwork(_encoder(config, v), config.vicc.projection_dim) for v in config.views}
            num_turns = config.vicc.num_turns(len(config.views))
            return Vicc(streams, ViccSettings(num_turns=num_turns, **config.vicc.model_dump(exclude={"cycles"})))
        case "vclr":
            segments = {v: VclrNetwork(_encoder(config, v), config.vclr.projection_dim) for v in config.views}
            return Vclr(segments, VclrSettings(**config.vclr.model_dump()))
        case "cycle":
            cycles = {v: CycleNetwork(_encoder(config, v), config.cycle.projection_dim) for v in config.views}
            return CycleContrast(cycles, CycleSettings(**config.cycle.model_dump()))
        case method:
            networks = {
                view: PredictiveNetwork(_encoder(config, view), num_predicted=config.model.num_predicted)
                for view in config.views
            }
            return CoCon(networks, loss_weights(config.loss, method), is_gathered=config.loss.gathered)


def loss_weights(section: LossSection, method: MethodName) -> LossWeights:
    """How CoCon, CPC or what lies between them combines its terms; those that it leaves out have weight zero."""
    has_sim, has_sync = COOPERATION[method]
    return LossWeights(
        temperature=section.temperature**2 if section.temperature_twice else section.temperature,
        sim=section.sim if has_sim else 0.0,
        sync=section.sync if has_sync else 0.0,
        sync_ramp=section.sync_ramp,
        sim_form=section.sim_form,
        sync_form=section.sync_form,
        mu=section.mu,
        is_centred=section.centred,
    )


def _encoder(config: Config, view: str) -> Encoder:
    encoder = build_encoder(config.encoder_spec(view=view), view_named(view))
    # Clips arrive with channels last; weights stored alike spare a copy per convolution (1.4× as fast on the CPU).
    encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
    encoder.backbone.checkpoint_activations = config.training.checkpoint_activations
    return encoder
