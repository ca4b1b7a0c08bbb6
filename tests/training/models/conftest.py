"""Networks whose BatchNorms do something."""

from collections.abc import Callable

import pytest
from torch import nn


@pytest.fixture
def randomise() -> Callable[[nn.Module], None]:
    """Give every BatchNorm of a network running statistics that tell it from the identity."""

    def of(network: nn.Module) -> None:
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm3d):
                assert norm.running_mean is not None and norm.running_var is not None
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)

    return of
