"""LARS against its formula, and the choice of optimizers."""

from collections.abc import Callable

import pytest
import torch

from cocon.training.config.learning_sections import OptimizerSection
from cocon.training.config.run import Config
from cocon.training.loop.optimizers import Lars, build_optimizer

MakeConfig = Callable[..., Config]


def test_lars_moves_every_tensor_by_a_share_of_its_length() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(4, 3, generator=generator), torch.randn(5, generator=generator), torch.zeros(2)]
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    optimizer = Lars([{"params": parameters}], lr=0.5, momentum=0.9, weight_decay=0.1, trust=0.01)
    velocities = [torch.zeros_like(weight) for weight in weights]
    for _ in range(3):
        for index, parameter in enumerate(parameters):
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = gradient.clone()
            theta = weights[index]
            length, slope = theta.square().sum().sqrt(), gradient.square().sum().sqrt()
            share = 0.01 * length / (slope + 0.1 * length) if length > 0 else 1.0
            velocities[index] = 0.9 * velocities[index] + share * (gradient + 0.1 * theta)
            weights[index] = theta - 0.5 * velocities[index]
        optimizer.step()
        for parameter, expected in zip(parameters, weights, strict=True):
            assert torch.allclose(parameter, expected, atol=1e-6)


def test_a_parameter_without_gradient_stays() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    build_optimizer(OptimizerSection(algorithm="lars", weight_decay=0.5), [{"params": [parameter]}]).step()
    assert torch.equal(parameter, torch.ones(3))


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD), ("lars", Lars)])
def test_the_configuration_chooses(name: str, kind: type, tiny_config: MakeConfig) -> None:
    section = tiny_config(f"optimizer.algorithm={name}", "optimizer.weight_decay=0.25").optimizer
    optimizer = build_optimizer(section, [{"params": [torch.nn.Parameter(torch.ones(1))]}])
    assert type(optimizer) is kind
    assert optimizer.defaults["lr"] == section.learning_rate
    assert optimizer.defaults["weight_decay"] == (0 if name == "lars" else 0.25)
