"""The optimizers of pre-training, by the name that `optimizer.algorithm` gives them."""

from collections.abc import Callable
from typing import Any

import torch

from cocon.training.config.learning_sections import OptimizerSection

__all__ = ["Lars", "build_optimizer"]

# Against a division by zero; small beside any gradient that means something.
_EPSILON = 1e-8


def build_optimizer(section: OptimizerSection, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The configured optimizer over groups of parameters, as torch's optimizers take them."""
    rate, decay = section.learning_rate, section.weight_decay
    match section.algorithm:
        case "adam":
            return torch.optim.Adam(groups, lr=rate, weight_decay=decay)
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=section.momentum, weight_decay=decay)
        case "lars":
            return Lars(groups, lr=rate, momentum=section.momentum, weight_decay=decay, trust=section.trust)


class Lars(torch.optim.SGD):
    """SGD with momentum in which every tensor moves by a share of its own length.

    The gradient with its weight decay, g + λθ, is multiplied by trust · ‖θ‖ / (‖g‖ + λ‖θ‖); tensors without a length or
    a gradient are left to plain SGD. Source: You et al. 2017; ViCC uses it under the name of LARC without clipping.

    Args:
        groups: parameters, as torch's optimizers take them.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: λ.
        trust: share of a tensor's length that it moves by at a learning rate of 1.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float, trust: float
    ) -> None:
        super().__init__(groups, lr=lr, momentum=momentum)  # decay is part of what is scaled
        self._decay, self._trust = weight_decay, trust

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # noqa: ANN401  # as torch has it
        """Scale the gradients, in place, and take the step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._scale(parameter)
        return super().step(closure)

    @torch.no_grad()
    def _scale(self, parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        length, slope = parameter.norm(), parameter.grad.norm()
        share = self._trust * length / (slope + self._decay * length + _EPSILON)
        factor = torch.where((length > 0) & (slope > 0), share, torch.ones_like(share))
        parameter.grad.add_(parameter, alpha=self._decay).mul_(factor)
