"""The other side of `embed.py`: videos to vectors as one would write it, with decord and PyTorch.

python benchmarks/embed_script.py CASE OUTPUT.npy VIDEO...       # CASE as JSON, see `embed.Case`
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import decord
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cocon.embedding.contract import EncoderSpec
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

NUM_CORES = len(os.sched_getaffinity(0))
BATCH_SIZE = 4


class Clips(IterableDataset[torch.Tensor]):
    """Clips of videos, which the loader's workers divide among them: `uint8 [N, T, H, W, C]` each."""

    def __init__(self, case: dict[str, Any], videos: list[str]) -> None:
        self._case, self._videos = case, videos

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        assert worker
        for path in self._videos[worker.id :: worker.num_workers]:
            yield from self._clips(path)

    def _clips(self, path: str) -> Iterator[torch.Tensor]:
        num_blocks, frames_per_block, side = (
            self._case[name] for name in ("num_blocks", "frames_per_block", "side_px")
        )
        height, width = decord.VideoReader(path, num_threads=1)[0].shape[:2]
        scale = side / min(height, width)
        size = {"width": max(side, round(width * scale)), "height": max(side, round(height * scale))}
        reader = decord.VideoReader(path, num_threads=1, **size)
        step = self._case["step_seconds"] * reader.get_avg_fps()
        grid = np.arange(0, len(reader), step).round().astype(int).clip(0, len(reader) - 1)
        length = num_blocks * frames_per_block
        starts = [*range(0, max(1, len(grid) - length + 1), length)]
        if starts[-1] + length < len(grid):
            starts.append(len(grid) - length)
        for start in starts:
            window = grid[np.minimum(np.arange(start, start + length), len(grid) - 1)]
            frames = torch.from_numpy(reader.get_batch(window).asnumpy())  # [N·T, h, w, 3]
            top, left = (frames.shape[1] - side) // 2, (frames.shape[2] - side) // 2
            cut = frames[:, top : top + side, left : left + side].contiguous()
            yield cut.view(num_blocks, frames_per_block, side, side, 3)


def main() -> None:
    """Embed the videos, and write the vectors."""
    case, output, videos = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", tuple(case["depths"]), case["width"])
    encoder = build_encoder(spec, VIEWS["rgb"]).eval()
    clips = DataLoader(Clips(case, videos), batch_size=None, num_workers=min(NUM_CORES, len(videos)), prefetch_factor=4)
    vectors: list[np.ndarray] = []
    waiting: list[torch.Tensor] = []

    def embed() -> None:
        if waiting:
            vectors.append(encoder(torch.stack(waiting))[0].numpy())
            waiting.clear()

    with torch.inference_mode():
        for clip in clips:
            waiting.append(clip)
            if len(waiting) == BATCH_SIZE:
                embed()
        embed()
    np.save(output, np.concatenate(vectors))


if __name__ == "__main__":
    main()
