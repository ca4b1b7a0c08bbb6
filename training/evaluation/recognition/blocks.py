"""Every block of a video that clips or ordered features need, in every crop; encoded once however many share it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cocon.embedding.contract import ModelContract
from cocon.training.data.augment import centred_clip, mirrored, whole_frames
from cocon.training.data.frames import DecodedVideo, DecodedView
from cocon.training.models.encoder import Encoder
from cocon.video.clips import dense_windows, grid_indices, nearest_frames
from cocon.video.geometry import centre_crop

__all__ = ["CROPS", "EncodedBlocks", "cropped_clips", "encode_blocks"]

# Centre; centre and corners; all five and their mirror images (Krizhevsky et al., NIPS 2012, section 4.1).
CROPS = (1, 5, 10)
_BATCH_SIZE = 192


@dataclass(frozen=True, slots=True)
class EncodedBlocks:
    """Feature maps of one view of a video, in every crop.

    Attributes:
        clips: of dense clips, crop by crop, on the CPU, `float [K, N, D, s, s]`.
        dense: of blocks that begin every half block, crop by crop, `float [M, D, s, s]`; M is 0 if not asked for.
        dense_seconds: middle of each of these after the first frame, `float64 [M]`.
    """

    clips: Tensor
    dense: Tensor
    dense_seconds: NDArray[np.float64]


@torch.no_grad()
def encode_blocks(
    encoder: Encoder,
    contract: ModelContract,
    video: DecodedVideo,
    *,
    device: torch.device,
    num_crops: int,
    hop_blocks: int | None,
    has_dense: bool,
) -> EncodedBlocks:
    """Encode one view of a video.

    Args:
        encoder: in evaluation mode.
        contract: its contract.
        video: decoded.
        device: where to compute.
        num_crops: see `cropped_clips`.
        hop_blocks: blocks between the starts of neighbouring clips; half a clip if None.
        has_dense: also the blocks that begin every half block.
    """
    spec = contract.clip
    T = spec.frames_per_block
    grid = grid_indices(video.timestamps, spec)
    of_clips = dense_windows(len(grid), spec, hop=(hop_blocks or max(1, spec.num_blocks // 2)) * T).reshape(-1, T)
    dense = dense_windows(len(grid), replace(spec, num_blocks=1), hop=max(1, T // 2))[: None if has_dense else 0]
    blocks, where = np.unique(np.concatenate([of_clips, dense]), axis=0, return_inverse=True)  # [U, T]
    maps = _maps(encoder, contract, video, grid[blocks], device, num_crops)  # [crops, U, D, s, s]
    maps = maps[:, torch.from_numpy(where.reshape(-1))]
    clips, half_blocks = torch.split(maps, [len(of_clips), len(dense)], dim=1)
    seconds = video.timestamps[grid[dense]].mean(axis=1) - video.timestamps[0]
    return EncodedBlocks(
        clips.reshape(-1, spec.num_blocks, *maps.shape[2:]),
        half_blocks.flatten(0, 1),
        np.tile(seconds, len(maps)),
    )


def _maps(
    encoder: Encoder,
    contract: ModelContract,
    video: DecodedVideo,
    frames: NDArray[np.int64],
    device: torch.device,
    num_crops: int,
) -> Tensor:
    """Feature maps `float [crops, U, D, s, s]` of blocks `int64 [U, T]`.

    A video's overlapping blocks take several times its own memory, so only a batch of them is cropped at a time.
    """
    decoded = video.views[contract.view]
    indices = nearest_frames(decoded.timestamps, video.timestamps[frames])
    size_px = contract.geometry.crop_px
    parts = []
    for start in range(0, len(indices), _BATCH_SIZE):
        part = indices[start : start + _BATCH_SIZE]
        crops = cropped_clips(decoded, contract.view, part, size_px, num_crops=num_crops)  # each [≤ 192, T, H, W, C]
        maps = [encoder.feature_maps(torch.from_numpy(crop)[None].to(device)).float().cpu()[0] for crop in crops]
        parts.append(torch.stack(maps))
    return torch.cat(parts, dim=1)


def cropped_clips(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, *, num_crops: int
) -> Iterator[NDArray[np.uint8]]:
    """The same frames in each crop: centre, top left, top right, bottom left, bottom right; of ten, each also mirrored.

    Args:
        video: the decoded view.
        view: its name.
        indices: frames, `int64 [N, T]`.
        size_px: H = W of a crop.
        num_crops: one of `CROPS`.

    Yields:
        `uint8 [N, T, H, W, C]`.

    Raises:
        ValueError: another number of crops.
    """
    if num_crops not in CROPS:
        raise ValueError(f"num_crops ({num_crops}) must be one of {CROPS}")
    if num_crops == 1:
        yield centred_clip(video, indices, size_px)
        return
    frames = whole_frames(video, indices)  # [N, T, H, W, C]
    top, left, bottom, right = slice(0, size_px), slice(0, size_px), slice(-size_px, None), slice(-size_px, None)
    corners = [frames[..., rows, columns, :] for rows in (top, bottom) for columns in (left, right)]
    for crop in [centre_crop(frames, size_px), *corners]:
        yield np.ascontiguousarray(crop)
        if num_crops == 10:
            yield mirrored(crop, view)
