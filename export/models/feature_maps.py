"""Publish feature maps of single frames: `cocon_<view>_feature_map`, one stage of an encoder's trunk.

The stage is wrapped first and folded then, since a folded trunk has no stages any more. Every frame is a block of its
own, so that trunks that see time give a map for each.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cocon.core.errors import UsageError
from cocon.embedding.embedder import assert_tensors_congruent
from cocon.embedding.tracking.feature_maps import FEATURE_MAP, FeatureMapContract, FeatureMaps
from cocon.export.artefacts.fold import fold_trunk
from cocon.export.artefacts.parity import BATCH_SIZES, Parity
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.to_onnx import export_onnx
from cocon.export.sources import FeatureMapOptions, ViewSource
from cocon.training.models.encoder import Encoder
from cocon.training.models.trunk import Trunk
from cocon.video.geometry import resize

__all__ = ["FrameMaps", "check_feature_maps", "feature_map_contract", "write_feature_maps"]

_PROBE_PX = 128  # a multiple of every stage's stride


class FrameMaps(nn.Module):
    """A stage of an encoder, on single frames.

    Args:
        encoder: in evaluation mode, on the CPU; not changed.
        stage: of its trunk.
        folded: compute the faster, equal graph (see `cocon.export.artefacts.fold`).
    """

    def __init__(self, encoder: Encoder, stage: str, *, folded: bool = True) -> None:
        super().__init__()
        self.stage = stage
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.encoder.classifier = None
        if folded:
            maps = _Stage(self.encoder.backbone, stage).eval()
            self.encoder.add_module("backbone", _Stage(fold_trunk(maps, num_frames=1) or maps, stage))
        self.eval()

    def forward(self, frames: Tensor) -> Tensor:
        """`uint8 [B, H, W, C]` to `float32 [B, h, w, D']`; the argument is named as the model's input is."""
        return self.encoder.frame_maps(frames[:, None], self.stage)[:, 0]


class _Stage(Trunk):
    """A trunk that ends with a stage, or what was folded of such a one."""

    def __init__(self, maps: nn.Module, stage: str) -> None:
        super().__init__()
        self.maps = maps
        self.stage_names = (stage,)

    def forward(self, x: Tensor) -> Tensor:
        """The stage's maps."""
        maps: Tensor = self.maps.stage_maps(x, self.stage_names[0]) if isinstance(self.maps, Trunk) else self.maps(x)
        return maps

    def stage_maps(self, x: Tensor, stage: str) -> Tensor:
        """Those of the only stage."""
        return self.forward(x)


def feature_map_contract(source: ViewSource, wanted: FeatureMapOptions) -> FeatureMapContract:
    """What the model takes and gives: stride and depth are looked at, on an empty frame.

    Raises:
        UsageError: the trunk has no such stage, or the size is no multiple of its stride.
    """
    frame = torch.zeros(1, _PROBE_PX, _PROBE_PX, source.contract.view_spec.channels, dtype=torch.uint8)
    with torch.inference_mode():
        num_cells, _, depth = FrameMaps(source.encoder, wanted.stage, folded=False)(frame)[0].shape
    stride_px = _PROBE_PX // num_cells
    if wanted.size_px < stride_px or wanted.size_px % stride_px:
        rule = f"a multiple of {stride_px}, the pixels of a cell of '{wanted.stage}'"
        raise UsageError(f"--feature-map-px {wanted.size_px} must be {rule}")
    view, fingerprint = source.contract.view, source.contract.fingerprint
    return FeatureMapContract(view, wanted.stage, stride_px, wanted.size_px, depth, fingerprint)


def write_feature_maps(source: ViewSource, contract: FeatureMapContract, path: Path, *, folded: bool = True) -> None:
    """Write the model as ONNX; `folded` as of `FrameMaps`.

    Raises:
        GateError: the graph does not have the contract's tensors, or its batch dimension is not free.
    """
    export_onnx(FrameMaps(source.encoder, contract.stage, folded=folded), contract, path)


def check_feature_maps(source: ViewSource, candidate: FeatureMaps) -> Parity:
    """Compare a model with the encoder in PyTorch as it was trained, and batches with single frames.

    Raises:
        GateError: they differ, or a map depends on the other frames of its batch.
    """
    contract = candidate.contract
    trained = FrameMaps(source.encoder, contract.stage, folded=False)
    frames = _gate_frames(source.clips, contract.size_px)
    with torch.inference_mode():
        expected = trained(torch.from_numpy(frames)).numpy()
    found = [(expected[:size], candidate.maps(frames[:size])) for size in BATCH_SIZES]
    found.append((np.concatenate([candidate.maps(frame[None]) for frame in frames[:3]]), found[2][1]))
    return Parity.of(
        assert_tensors_congruent({FEATURE_MAP: right}, {FEATURE_MAP: given}, what=f"view '{contract.view}'")
        for right, given in found
    )


def _gate_frames(clips: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Frames of real clips `uint8 [K, N, T, H, W, C]` at the model's size, every other one noise: `uint8 [16, …]`."""
    frames = clips.reshape(-1, *clips.shape[3:])  # [K·N·T, H, W, C]
    num_real = (BATCH_SIZES[-1] + 1) // 2
    chosen = frames[np.linspace(0, len(frames) - 1, num_real).astype(int)]
    return mixed_with_noise(np.stack([resize(frame, size_px, size_px) for frame in chosen]), BATCH_SIZES[-1])
