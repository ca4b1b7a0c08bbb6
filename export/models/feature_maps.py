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
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import GateError, MismatchError, UsageError
from cocon.embedding.embedder import assert_tensors_congruent
from cocon.embedding.repository import ONNX, latest_version
from cocon.embedding.tracking.feature_maps import (
    FEATURE_MAP,
    FEATURE_MAP_FILE,
    FRAMES,
    FeatureMapContract,
    LocalFeatureMaps,
    feature_map_model,
)
from cocon.export.artefacts.fold import fold_trunk
from cocon.export.artefacts.parity import BATCH_SIZES, Parity
from cocon.export.artefacts.parity_clips import mixed_with_noise
from cocon.export.artefacts.to_onnx import write_onnx
from cocon.export.repository.model_config import MAX_BATCH_SIZE
from cocon.export.sources import FeatureMapOptions, Progress, ViewSource
from cocon.training.models.encoder import Encoder
from cocon.training.models.trunk import Trunk
from cocon.video.geometry import resize

__all__ = ["FrameMaps", "feature_map_config", "feature_map_contract", "gated_feature_maps", "refuse_other_maps"]

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


def refuse_other_maps(contract: FeatureMapContract, repository: Path) -> None:
    """Raise `UsageError` where the repository has feature maps of another stage or size."""
    name = feature_map_model(contract.view)
    path = repository / name / str(latest_version(repository / name)) / FEATURE_MAP_FILE
    if not path.is_file():
        return
    present = FeatureMapContract.from_json(path.read_text("utf-8", errors="replace"), source=f"'{path}'")
    shapes = [(each.stage, each.frame_shape, each.map_shape) for each in (present, contract)]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"model '{name}' in '{repository}' is of {present.stage} at {present.size_px} px, not of "
            f"{contract.stage} at {contract.size_px} px; export to another --repository, or replace the model with "
            "--overwrite"
        )


def gated_feature_maps(
    source: ViewSource, contract: FeatureMapContract, folded: bool, on_progress: Progress, path: Path
) -> Parity:
    """Write the model and its contract, and compare it with the encoder; raises `GateError` if they differ."""
    name = feature_map_model(contract.view)
    on_progress(f"{name}: writing")
    shapes = {FRAMES: contract.frame_shape}, {FEATURE_MAP: contract.map_shape}
    write_onnx(FrameMaps(source.encoder, contract.stage, folded=folded), path, *shapes)
    path.with_name(FEATURE_MAP_FILE).write_text(contract.to_json(), encoding="utf-8")
    on_progress(f"{name}: comparing with the trained encoder")
    try:
        return _parity(source, contract, path.parent)
    except (GateError, MismatchError) as error:
        raise GateError(f"{name}: {error}") from error


def _parity(source: ViewSource, contract: FeatureMapContract, folder: Path) -> Parity:
    """Compare the file with the encoder in PyTorch as it was trained, and batches with single frames.

    Raises:
        GateError: they differ, or a map depends on the other frames of its batch.
    """
    trained = FrameMaps(source.encoder, contract.stage, folded=False)
    # On the CPU, as the reference: a GPU rounds differently, and the gate is about the file.
    with LocalFeatureMaps(folder, contract, providers=("CPUExecutionProvider",)) as model:
        frames = _gate_frames(source.clips, contract.size_px)
        with torch.inference_mode():
            expected = trained(torch.from_numpy(frames)).numpy()
        found = [(expected[:size], model.maps(frames[:size])) for size in BATCH_SIZES]
        found.append((np.concatenate([model.maps(frame[None]) for frame in frames[:3]]), found[2][1]))
    figures = [
        assert_tensors_congruent({FEATURE_MAP: right}, {FEATURE_MAP: given}, what=f"view '{contract.view}'")
        for right, given in found
    ]
    return Parity(
        min(figure.min_cosine for figure in figures), max(figure.max_abs_difference for figure in figures), BATCH_SIZES
    )


def _gate_frames(clips: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Frames of real clips `uint8 [K, N, T, H, W, C]` at the model's size, every other one noise: `uint8 [16, …]`."""
    frames = clips.reshape(-1, *clips.shape[3:])  # [K·N·T, H, W, C]
    num_real = (BATCH_SIZES[-1] + 1) // 2
    chosen = frames[np.linspace(0, len(frames) - 1, num_real).astype(int)]
    return mixed_with_noise(np.stack([resize(frame, size_px, size_px) for frame in chosen]), BATCH_SIZES[-1])


def feature_map_config(contract: FeatureMapContract, num_threads: int) -> triton.ModelConfig:
    """Configuration of the model, without any version yet."""
    config = triton.ModelConfig(
        name=feature_map_model(contract.view),
        backend=ONNX.backend,
        default_model_filename=ONNX.file_name,
        max_batch_size=MAX_BATCH_SIZE,
    )
    config.input.add(name=FRAMES, data_type=triton.TYPE_UINT8, dims=contract.frame_shape)
    config.output.add(name=FEATURE_MAP, data_type=triton.TYPE_FP32, dims=contract.map_shape)
    config.instance_group.add(count=1, kind=triton.ModelInstanceGroup.KIND_AUTO)
    config.dynamic_batching.SetInParent()
    config.parameters[ONNX.threads_parameter].string_value = str(num_threads)
    return config
