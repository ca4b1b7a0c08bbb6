"""One embedding per video: the unit mean of its clips' embeddings, clips as a served model sees them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cocon.embedding.contract import ModelContract
from cocon.training.data.augment import centred_clip
from cocon.training.data.frames import VideoFrames
from cocon.training.models.encoder import Encoder
from cocon.video.clips import ClipSpec, dense_windows, grid_indices, nearest_frames
from cocon.video.folder import VideoEntry

__all__ = ["VideoFeatures", "calibrate_batch_norm", "video_features"]

# Clips overlap by half, so that an action cut by one clip is whole in the next.
_OVERLAP = 0.5
_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class VideoFeatures:
    """Embeddings of V videos in every view.

    Attributes:
        embeddings: view → unit vectors, `float32 [V, D]`.
        labels: class of each video, `str [V]`.
        groups: group of each video, `str [V]`.
        entries: the videos.
    """

    embeddings: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    entries: tuple[VideoEntry, ...] = ()


@torch.no_grad()
def video_features(
    encoders: Mapping[str, Encoder],
    contracts: Mapping[str, ModelContract],
    frames: VideoFrames,
    *,
    device: torch.device,
    on_progress: Callable[[int, int | None], None],
) -> VideoFeatures:
    """Embed every video that has a label; one that fails to load is left out and remembered in `frames`.

    Args:
        encoders: view → encoder in evaluation mode.
        contracts: view → its contract.
        frames: the videos.
        device: where to compute.
        on_progress: called with (videos done, videos in all).
    """
    rows: dict[str, list[NDArray[np.float32]]] = {view: [] for view in encoders}
    entries = []
    for index, entry in enumerate(frames.entries):
        video = frames[index]
        if video.entry is entry and entry.label:
            for view, encoder in encoders.items():
                contract = contracts[view]
                seconds = video.timestamps[_windows(video.timestamps, contract.clip)]  # [K, N·T]
                indices = nearest_frames(video.views[view].timestamps, seconds)
                indices = indices.reshape(-1, contract.clip.frames_per_block)  # [K·N, T]
                clips = centred_clip(video.views[view], indices, contract.geometry.crop_px)
                rows[view].append(_mean_embedding(encoder, clips.reshape(-1, *contract.clip_shape), device))
            entries.append(entry)
        on_progress(index + 1, len(frames))
    embeddings = {view: np.stack(vectors) for view, vectors in rows.items()}
    labels = np.array([entry.label for entry in entries])
    groups = np.array([entry.group or entry.video_id for entry in entries])
    return VideoFeatures(embeddings, labels, groups, tuple(entries))


@torch.no_grad()
def calibrate_batch_norm(encoder: Encoder, batches: Iterable[Tensor]) -> None:
    """Give an untrained encoder the running statistics of some batches, as training would have; leaves it in eval mode.

    Args:
        encoder: changed in place.
        batches: clips, each `uint8 [B, N, T, H, W, C]`.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    encoder.train()
    for clips in batches:
        encoder.feature_maps(clips)
    encoder.eval()


def _windows(timestamps: NDArray[np.float64], spec: ClipSpec) -> NDArray[np.int64]:
    """Source frames of overlapping clips over the whole video, `int64 [K, N·T]`."""
    grid = grid_indices(timestamps, spec)
    hop = max(1, round(spec.num_frames * (1 - _OVERLAP)))
    return grid[dense_windows(len(grid), spec, hop=hop)]


def _mean_embedding(encoder: Encoder, clips: NDArray[np.uint8], device: torch.device) -> NDArray[np.float32]:
    batches = (torch.from_numpy(clips[start : start + _BATCH_SIZE]) for start in range(0, len(clips), _BATCH_SIZE))
    embedded = torch.cat([encoder(batch.to(device)).embedding.float().cpu() for batch in batches])  # [K, D]
    mean = embedded.mean(dim=0)
    return np.asarray((mean / mean.norm()).numpy(), dtype=np.float32)
