"""Every block of a video that clips or ordered features need, in every crop; encoded once however many share it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cocon.core.errors import CoconError, UsageError
from cocon.embedding.contract import ModelContract
from cocon.training.data.augment import centred_clip, mirrored, whole_frames
from cocon.training.data.reading.decoded_video import DecodedVideo, DecodedView
from cocon.training.models.encoder import Encoder
from cocon.training.models.soundness import unsound_tensor
from cocon.video.blocks import distinct_blocks
from cocon.video.clips import ClipSpec, dense_windows, grid_indices, nearest_frames, regular_windows
from cocon.video.geometry import centre_crop
from cocon.video.store.archive import forget_pages

__all__ = ["DEFAULT_PROTOCOL", "ClipProtocol", "EncodedBlocks", "cropped_clips", "encode_blocks"]

# Centre; centre and corners; all five and their mirror images (Krizhevsky et al., NIPS 2012, section 4.1).
_CROPS = (1, 5, 10)
_BATCH_SIZE = 192


@dataclass(frozen=True, slots=True)
class ClipProtocol:
    """Which clips of a video are embedded, in which crops; their mean stands for the video.

    Attributes:
        num_crops: crops of each clip, 1, 5 or 10; see `cropped_clips`.
        hop_blocks: blocks between the starts of neighbouring clips; half a clip by default, as the paper on UCF101.
        num_clips: so many clips spread evenly over the video instead, the first at its start, the last at its end.

    Raises:
        UsageError: another number of crops, or both a hop and a number of clips.
    """

    num_crops: int = 1
    hop_blocks: int | None = None
    num_clips: int | None = None

    def __post_init__(self) -> None:
        if self.num_crops not in _CROPS:
            raise UsageError(f"number of crops ({self.num_crops}) must be one of {', '.join(map(str, _CROPS))}")
        if self.hop_blocks is not None and self.num_clips is not None:
            both = f"a hop of {self.hop_blocks} blocks and a number of clips ({self.num_clips})"
            raise UsageError(f"{both} exclude each other; give one")

    def windows(self, num_grid: int, spec: ClipSpec) -> NDArray[np.int64]:
        """The clips of a video of G grid frames: grid positions `int64 [K, N·T]`."""
        if self.num_clips is not None:
            return regular_windows(num_grid, spec, num_clips=self.num_clips)
        return dense_windows(num_grid, spec, hop=self._hop_blocks(spec.num_blocks) * spec.frames_per_block)

    def told(self, num_blocks: int) -> str:
        """In words, for clips of so many blocks."""
        crops = "the centre crop" if self.num_crops == 1 else f"{self.num_crops} crops"
        spread = f"one every {self._hop_blocks(num_blocks)}"
        if self.num_clips is not None:
            spread = f"{self.num_clips} spread evenly over each video"
        return f"{num_blocks} blocks, {spread}; {crops} of each"

    def _hop_blocks(self, num_blocks: int) -> int:
        return self.hop_blocks or max(1, num_blocks // 2)


DEFAULT_PROTOCOL = ClipProtocol()


@dataclass(frozen=True, slots=True)
class EncodedBlocks:
    """One view of a video in every crop: what clips are made of, each block once, and ordered features.

    Attributes:
        maps: feature maps of the U blocks that clips have, on the CPU, `float [crops, U, D, s, s]`.
        numbers: which of them make each clip, `int64 [K, N]`.
        indexed: unit vectors of the blocks of the clips that an index would hold, side by side in the centre crop,
            `float [L, N, D]`; L is 0 if not asked for.
        dense: unit vectors of blocks that begin every half block, crop by crop, `float [M, D]`; M is 0 if not asked
            for.
        dense_seconds: middle of each of these after the first frame, `float64 [M]`.
    """

    maps: Tensor
    numbers: NDArray[np.int64]
    indexed: Tensor
    dense: Tensor
    dense_seconds: NDArray[np.float64]

    def clips(self, most: int) -> Iterator[Tensor]:
        """Feature maps of the clips, crop by crop, so many at a time: `float [≤ most, N, D, s, s]`."""
        num_crops, num_blocks = self.maps.shape[:2]
        of_crops = np.arange(num_crops)[:, None, None] * num_blocks + self.numbers  # [crops, K, N]
        rows = torch.from_numpy(of_crops.reshape(-1, self.numbers.shape[1]))
        blocks = self.maps.flatten(0, 1)
        for some in torch.split(rows, most):
            yield blocks[some]


@torch.no_grad()
def encode_blocks(
    encoder: Encoder,
    contract: ModelContract,
    video: DecodedVideo,
    *,
    protocol: ClipProtocol,
    has_dense: bool,
    has_indexed: bool = False,
) -> EncodedBlocks:
    """Encode one view of a video; memory grows with the number of its clips, by the feature maps of their blocks.

    Args:
        encoder: in evaluation mode, where it is to compute.
        contract: its contract.
        video: decoded.
        protocol: which clips.
        has_dense: also the blocks that begin every half block.
        has_indexed: also the clips that an index would hold.

    Raises:
        CoconError: the features are not finite.
    """
    spec = contract.clip
    T = spec.frames_per_block
    grid = grid_indices(video.timestamps, spec)
    windows = protocol.windows(len(grid), spec)  # [K, N·T]
    dense = dense_windows(len(grid), replace(spec, num_blocks=1), hop=max(1, T // 2))[: None if has_dense else 0]
    indexed = dense_windows(len(grid), spec)[: None if has_indexed else 0]  # [L, N·T]
    blocks, numbers = distinct_blocks([*windows, *indexed, *dense], T)  # [U, T], [K·N + L·N + M]
    num_clip_blocks = windows.size // T
    of_clips, of_index, of_dense = np.split(numbers, [num_clip_blocks, num_clip_blocks + indexed.size // T])
    num_kept = int(of_clips.max()) + 1  # those of clips come first
    kept: list[Tensor] = []
    pooled: list[Tensor] = []
    for start, maps in _maps(encoder, contract, video, grid[blocks], protocol.num_crops):  # [crops, ≤ 192, D, s, s]
        if start < num_kept:
            kept.append(maps[:, : num_kept - start])
        pooled.append(encoder.block_vectors(maps))
    vectors = torch.cat(pooled, dim=1)  # [crops, U, D]
    seconds = video.timestamps[grid[dense]].mean(axis=1) - video.timestamps[0]
    return EncodedBlocks(
        torch.cat(kept, dim=1),
        of_clips.reshape(-1, spec.num_blocks),
        vectors[0, torch.from_numpy(of_index)].reshape(len(indexed), spec.num_blocks, vectors.shape[2]),
        vectors[:, torch.from_numpy(of_dense)].flatten(0, 1),
        np.tile(seconds, protocol.num_crops),
    )


def _refuse_unsound(maps: Tensor, encoder: Encoder, view: str, video_id: str) -> None:
    if not bool(maps.isfinite().all()):
        unsound = unsound_tensor(encoder)
        weights = f", nor are its weights ({unsound})" if unsound else ""
        raise CoconError(
            f"what the encoder of view '{view}' makes of video '{video_id}' is not finite{weights}; it is of no use: "
            "train it again, with a lower learning rate"
        )


def _maps(
    encoder: Encoder, contract: ModelContract, video: DecodedVideo, frames: NDArray[np.int64], num_crops: int
) -> Iterator[tuple[int, Tensor]]:
    """Feature maps of blocks `int64 [U, T]`, some at a time: number of the first, `float [crops, ≤ 192, D, s, s]`.

    A video's overlapping blocks take several times its own memory, so only a batch of them is cropped at a time, and
    of a video that lies on disk no more is held in memory than that.
    """
    decoded = video.views[contract.view]
    indices = nearest_frames(decoded.timestamps, video.timestamps[frames])
    size_px = contract.geometry.crop_px
    for start in range(0, len(indices), _BATCH_SIZE):
        part = indices[start : start + _BATCH_SIZE]
        crops = cropped_clips(decoded, contract.view, part, size_px, num_crops=num_crops)  # each [≤ 192, T, H, W, C]
        clips = (torch.from_numpy(crop)[None].to(encoder.mean.device) for crop in crops)
        maps = torch.stack([encoder.feature_maps(clip).float().cpu()[0] for clip in clips])
        _refuse_unsound(maps, encoder, contract.view, video.entry.video_id)
        yield start, maps
        if decoded.pixels is not None:
            forget_pages(decoded.pixels)


def cropped_clips(
    video: DecodedView, view: str, indices: NDArray[np.int64], size_px: int, *, num_crops: int
) -> Iterator[NDArray[np.uint8]]:
    """The same frames in each crop: centre, top left, top right, bottom left, bottom right; of ten, each also mirrored.

    Args:
        video: the decoded view.
        view: its name.
        indices: frames, `int64 [N, T]`.
        size_px: H = W of a crop.
        num_crops: 1, 5 or 10.

    Yields:
        `uint8 [N, T, H, W, C]`.

    Raises:
        ValueError: another number of crops.
    """
    if num_crops not in _CROPS:
        raise ValueError(f"num_crops ({num_crops}) must be one of {_CROPS}")
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
