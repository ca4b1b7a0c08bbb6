"""Training steps of CoCon in plain PyTorch, line by line: as its description reads, and as its released code computes.

Every tensor is float32 and contiguous, clips are `[B, N, C, T, H, W]`, every convolution of the trunk is a `Conv3d`,
scores are the six-dimensional tensor between all predicted and all target cells, and the cooperative losses are written
out for every pair of views. Source: Rai et al. 2021, after Han et al. 2019 (DPC).

The released code, of which nothing is copied here, computes the same networks, and differs in the losses: both factors
of a score are divided by the temperature, a tensor of kinds of pairs is made for every step and the targets are found
in it, and the vectors of each pair of views are brought to unit length anew.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LiteralCoCon", "LiteralNetwork", "ReleasedCoCon"]

EPSILON = 1e-5
TEMPERATURE = 0.07
# Kinds of pairs of cells in the released code.
OWN, EASY, TEMPORAL, SPATIAL = 1, 0, -1, -3


class LiteralBlock(nn.Module):
    """Two convolutions and a shortcut; kernels 1×3×3 or, where the block sees time, 3×3×3."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, sees_time: bool, last: bool) -> None:
        super().__init__()
        frames, strides = (3 if sees_time else 1), (stride if sees_time else 1, stride, stride)
        kernel, padding = (frames, 3, 3), (frames // 2, 1, 1)
        self.conv1 = nn.Conv3d(channels_in, channels_out, kernel, strides, padding, bias=False)
        self.bn1 = nn.BatchNorm3d(channels_out)
        self.conv2 = nn.Conv3d(channels_out, channels_out, kernel, 1, padding, bias=False)
        self.bn2 = nn.BatchNorm3d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv3d(channels_in, channels_out, 1, strides, bias=False), nn.BatchNorm3d(channels_out)
            )
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        """`float [M, C, T, H, W]` to `float [M, C', T', H', W']`."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out)) + shortcut
        return out if self.last else self.relu(out)


class LiteralTrunk(nn.Sequential):
    """Stem and four stages; time is seen by the last two."""

    def __init__(self, channels: int, depths: Sequence[int], width: int) -> None:
        super().__init__()
        self.add_module("conv1", nn.Conv3d(channels, width, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False))
        self.add_module("bn1", nn.BatchNorm3d(width))
        self.add_module("relu", nn.ReLU(inplace=True))
        self.add_module("maxpool", nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)))
        before = width
        for stage, (depth, factor) in enumerate(zip(depths, (1, 2, 4, 4), strict=True)):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                last = stage == 3 and index == depth - 1
                blocks.append(LiteralBlock(before, factor * width, stride, stage >= 2, last))
                before = factor * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))


class LiteralNetwork(nn.Module):
    """One view: trunk, ConvGRU and prediction head.

    Args:
        channels: C of the view.
        depths: residual blocks per stage.
        width: channels of the first stage.
        num_predicted: P.
    """

    def __init__(self, channels: int, depths: Sequence[int], width: int, num_predicted: int) -> None:
        super().__init__()
        D = 4 * width
        self.backbone = LiteralTrunk(channels, depths, width)
        self.update_gate, self.reset_gate, self.out_gate = (nn.Conv2d(2 * D, D, 1) for _ in range(3))
        self.dropout = nn.Dropout(0.1)
        self.predictor = nn.Sequential(nn.Conv2d(D, D, 1), nn.ReLU(inplace=True), nn.Conv2d(D, D, 1))
        self.num_predicted = num_predicted

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`float [B, N, C, T, H, W]` to predictions and targets `[B, P, D, s, s]` and vectors `[B·N, D]`."""
        B, N = clips.shape[:2]
        maps = self.backbone(clips.flatten(0, 1))  # [B·N, D, T', s, s]
        maps = F.avg_pool3d(maps, (maps.shape[2], 1, 1), stride=1).squeeze(2)  # [B·N, D, s, s]
        z = unit(maps).reshape(B, N, *maps.shape[1:])  # [B, N, D, s, s]
        hidden = torch.zeros_like(z[:, 0])
        for block in range(N - self.num_predicted):
            hidden = self.step(z[:, block], hidden)
        context, predicted = unit(hidden), []
        for _ in range(self.num_predicted):
            predicted.append(unit(self.predictor(context)))
            context = unit(self.step(predicted[-1], context))
        vectors = z.flatten(0, 1)  # [B·N, D, s, s]
        while vectors.shape[-1] > 2:
            vectors = F.max_pool2d(vectors, 2, padding=vectors.shape[-1] % 2)
        return torch.stack(predicted, dim=1), z[:, N - self.num_predicted :], unit(vectors.mean(dim=(2, 3)))

    def step(self, x: Tensor, hidden: Tensor) -> Tensor:
        """One step of the ConvGRU, dropout on the state that is carried on."""
        joined = torch.cat([x, hidden], dim=1)
        update, reset = torch.sigmoid(self.update_gate(joined)), torch.sigmoid(self.reset_gate(joined))
        candidate = torch.tanh(self.out_gate(torch.cat([x, reset * hidden], dim=1)))
        state: Tensor = self.dropout((1 - update) * hidden + update * candidate)
        return state


class LiteralCoCon(nn.ModuleDict):
    """The networks of all views under the sum of all losses, each weight 1 for L_cpc and 10 for L_sync and L_sim."""

    def forward(self, clips: Mapping[str, Tensor]) -> Tensor:
        """The loss of `float [B, N, C, T, H, W]` per view."""
        outputs = [self[view](clips[view]) for view in self]
        total = torch.stack([cpc(predicted, targets) for predicted, targets, _ in outputs]).sum()
        for (*_, first), (*_, second) in combinations(outputs, 2):
            total = total + 10.0 * sync(first, second) + 10.0 * sim(first, second)
        return total


class ReleasedCoCon(nn.ModuleDict):
    """The same networks under the losses of the released code."""

    def forward(self, clips: Mapping[str, Tensor]) -> Tensor:
        """The loss of `float [B, N, C, T, H, W]` per view."""
        outputs = [self[view](clips[view]) for view in self]
        total = torch.stack([released_cpc(predicted, targets) for predicted, targets, _ in outputs]).sum()
        for (*_, first), (*_, second) in combinations(outputs, 2):
            total = total + 10.0 * sync(unit(first), unit(second)) + 10.0 * sim(unit(first), unit(second))
        return total


def released_cpc(predicted: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of cosines over τ², its targets read from the kinds of all pairs."""
    predicted, targets = predicted.flatten(3) / TEMPERATURE, targets.flatten(3) / TEMPERATURE  # [B, P, D, s²]
    scores = torch.einsum("bpdk,cqdl->bpkcql", predicted, targets)  # [B, P, s², B, P, s²]
    kinds = kinds_of_pairs(*scores.shape[:3], scores.device)
    rows = scores.flatten(3).flatten(0, 2)
    return F.cross_entropy(rows, (kinds == OWN).flatten(3).flatten(0, 2).int().argmax(dim=1))


def kinds_of_pairs(B: int, P: int, num_cells: int, device: torch.device) -> Tensor:
    """What the target of each column is to the prediction of each row, `int8 [B, P, s², B, P, s²]`."""
    kinds = torch.full((B, P, num_cells, B, P, num_cells), EASY, dtype=torch.int8, device=device)
    video, step, cell = (torch.arange(size, device=device) for size in (B, P, num_cells))
    kinds[video, :, :, video] = SPATIAL
    kinds[video[:, None], :, cell, video[:, None], :, cell] = TEMPORAL
    kinds[video[:, None, None], step[:, None], cell, video[:, None, None], step[:, None], cell] = OWN
    return kinds


def cpc(predicted: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with identity targets over `[B, P, s², B, P, s²]` scores, τ = 0.07 once."""
    predicted, targets = predicted.flatten(3), targets.flatten(3)  # [B, P, D, s²]
    scores = torch.einsum("bpdk,cqdl->bpkcql", predicted, targets) / TEMPERATURE  # [B, P, s², B, P, s²]
    rows = scores.flatten(3).flatten(0, 2)
    return F.cross_entropy(rows, torch.arange(len(rows), device=rows.device))


def sync(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference of the two matrices of cosines."""
    return F.l1_loss(first @ first.T, second @ second.T)


def sim(first: Tensor, second: Tensor) -> Tensor:
    """Hinge embedding: half the mean over the positives and half that over the negatives, both ways."""
    return 0.5 * (hinge(first, second) + hinge(second, first))


def hinge(first: Tensor, second: Tensor) -> Tensor:
    """max(0, 1 - D) for negatives, D for positives; D = 1 - cosine."""
    distance = 1.0 - first @ second.T
    positive = torch.eye(len(distance), dtype=torch.bool, device=distance.device)
    return 0.5 * distance[positive].mean() + 0.5 * (1.0 - distance[~positive]).clamp(min=0.0).mean()


def unit(x: Tensor) -> Tensor:
    """Unit length over the second dimension."""
    return x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPSILON)
