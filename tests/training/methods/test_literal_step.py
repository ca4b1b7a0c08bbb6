"""The training step and its literal re-statement, which the benchmark compares, are the same arithmetic."""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.learning_sections import LossSection
from cocon.training.methods.building import loss_weights
from cocon.training.methods.cocon import CoCon
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.video.views import VIEWS

SIZES = {"rgb": 128, "flow": 64, "mask": 64}  # s = 4 takes a maximum before the mean, s = 2 does not
DEPTHS, WIDTH, NUM_PREDICTED = (1, 1, 2, 1), 4, 2

_SPEC = importlib.util.spec_from_file_location(
    "literal_step", Path(__file__).parents[3] / "benchmarks" / "literal_step.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
literal_step = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(literal_step)


def _ours() -> CoCon:
    networks = {}
    for view in SIZES:
        encoder = build_encoder(EncoderSpec("resnet2d3d", DEPTHS, WIDTH), VIEWS[view])
        encoder.backbone.to(memory_format=torch.channels_last_3d)
        networks[view] = PredictiveNetwork(encoder, num_predicted=NUM_PREDICTED)
    return CoCon(networks, loss_weights(LossSection(sync_ramp=0.0), "cocon"))


def _literal_name(name: str) -> str:
    for ours, literal in (("networks.", ""), ("encoder.", ""), ("aggregator.", ""), ("predictor.layers", "predictor")):
        name = name.replace(ours, literal)
    return name


def _without_dropout(model: nn.Module) -> nn.Module:
    for module in model.train().modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    return model


def test_the_literal_step_has_the_same_loss_and_gradients() -> None:
    torch.manual_seed(0)
    ours = _ours()
    literal = literal_step.LiteralCoCon(
        {view: literal_step.LiteralNetwork(VIEWS[view].channels, DEPTHS, WIDTH, NUM_PREDICTED) for view in SIZES}
    )
    literal.load_state_dict({_literal_name(name): value for name, value in ours.state_dict().items()})
    clips = {view: torch.randint(0, 256, (2, 4, 5, px, px, VIEWS[view].channels)).byte() for view, px in SIZES.items()}
    normalised: dict[str, Tensor] = {}
    for view, clip in clips.items():
        encoder = ours.get_submodule(f"networks.{view}.encoder")
        assert isinstance(encoder, Encoder)
        normalised[view] = ((clip - encoder.mean) / encoder.std).permute(0, 1, 5, 2, 3, 4).contiguous()
    total, expected = _without_dropout(ours)(clips, 1.0).total, _without_dropout(literal)(normalised)
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=0)
    total.backward()
    expected.backward()
    gradients = {name: parameter.grad for name, parameter in literal.named_parameters()}
    for name, parameter in ours.named_parameters():
        gradient = gradients[_literal_name(name)]
        assert parameter.grad is not None
        # A rounding at a kink (ReLU, maximum, |ΔS|) moves the gradients of early layers by a per cent.
        assert (parameter.grad - gradient).norm() <= 0.05 * gradient.norm() + 1e-6, name
