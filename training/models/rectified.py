"""The trunk as the fine-tuned classifiers of DPC have it: features are rectified, frame by frame.

A module of its own rather than a step of the classifier: ReLU comes before the mean over a block's time, and what the
classifier reads is what the blocks and the embedding should be made of. Source: Han et al. 2019 (DPC), released code.
"""

import torch
from torch import Tensor

from cocon.training.models.resnet2d3d import ResNet2d3d

__all__ = ["RectifiedResNet2d3d"]


class RectifiedResNet2d3d(ResNet2d3d):
    """`ResNet2d3d` followed by ReLU; the same weights fit both."""

    def forward(self, x: Tensor) -> Tensor:
        """`float [B, C, T, H, W]` to non-negative `float [B, 4·width, ceil(T/4), ceil(H/32), ceil(W/32)]`."""
        return torch.relu(super().forward(x))
