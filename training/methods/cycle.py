"""CycleContrast: a frame must find its own video, directly and by way of its nearest neighbour in other videos.

    total = Σ_views L_intra + w_cycle · L_cycle

L_intra is InfoNCE of a frame with a further frame of its video; L_cycle the same with the frame replaced by its soft
nearest neighbour among remembered frames. The views learn side by side. Source: Wu and Wang 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cocon.training.distributed import gathered
from cocon.training.losses.cycle import cycle_loss
from cocon.training.losses.info_nce import queued_info_nce
from cocon.training.methods.empty_blocks import empty_blocks_of_all, spread_of_shown
from cocon.training.methods.method import EncoderNetwork, ProjectionHead, pooled_blocks
from cocon.training.methods.momentum import KeyQueue, MomentumMethod, MomentumSettings, Shuffle
from cocon.training.models.encoder import Encoder

__all__ = ["CycleContrast", "CycleNetwork", "CycleSettings"]


class CycleNetwork(EncoderNetwork):
    """An encoder with a head for each of the two losses.

    Args:
        encoder: of single frames.
        projection_dim: of what is compared.
    """

    def __init__(self, encoder: Encoder, projection_dim: int) -> None:
        super().__init__(encoder)
        self.head = ProjectionHead(encoder.backbone.out_channels, projection_dim)
        self.cycle_head = ProjectionHead(encoder.backbone.out_channels, projection_dim)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Projections of `uint8 [B, N, 1, H, W, C]` for either loss, unit length, each `float [B, N, P]`."""
        features = pooled_blocks(self.encoder.feature_maps(frames))
        return self.head.unit(features), self.cycle_head.unit(features)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSettings(MomentumSettings):
    """Sizes and weight of the way through other videos; in the configuration `cycle` says what they mean."""

    cycle_queue_size: int
    num_neighbours: int
    cycle: float


class CycleContrast(MomentumMethod[CycleNetwork]):
    """The method, on samples of `FramePairSampler`: a frame twice, and a further one.

    Args:
        networks: view → network.
        settings: sizes, temperature and weight.
    """

    def __init__(self, networks: Mapping[str, CycleNetwork], settings: CycleSettings) -> None:
        super().__init__(networks, settings, {"intra": 1.0, "cycle": settings.cycle})
        self._settings = settings
        self.queues = self.new_queues(settings.queue_size)
        self.cycle_queues = self.new_queues(settings.cycle_queue_size)

    def terms_of_view(self, view: str, frames: Tensor, logged: dict[str, Tensor]) -> dict[str, Tensor]:
        """L_intra and L_cycle of `uint8 [B, 3, 1, H, W, C]`."""
        network, _ = self.pair(view)
        query, cycle_query = (x.squeeze(1) for x in network(frames[:, :1]))  # each [B, P]
        keys, cycle_keys = self._keys(view, frames[:, 1:])  # each [B, 2, P]: the frame again, the further one
        queue, cycle_queue = self.queues[view], self.cycle_queues[view]
        assert isinstance(queue, KeyQueue) and isinstance(cycle_queue, KeyQueue)
        settings, remembered = self._settings, cycle_queue.remembered
        remembered = remembered[torch.randperm(len(remembered), device=remembered.device)]
        num_neighbours = settings.num_neighbours * len(remembered) // settings.cycle_queue_size
        neighbours, negatives = remembered[:num_neighbours], remembered[num_neighbours:]
        with torch.autocast(frames.device.type, enabled=False):
            rows = int(settings.batch_negatives)
            intra = queued_info_nce(
                query, keys[:, 1], queue.remembered, temperature=settings.temperature, rows_per_video=rows
            )
            cycle = cycle_loss(
                cycle_query,
                cycle_keys[:, 1],
                neighbours,
                negatives,
                temperature=settings.temperature,
                rows_per_video=rows,
            )
        if self.training:
            queue.push(gathered(keys[:, 0]))
            cycle_queue.push(gathered(cycle_keys[:, 0]))
        empty = empty_blocks_of_all({view: frames[:, :1]})[view]
        if (spread := spread_of_shown(gathered(query.detach()), empty)) is not None:
            logged[f"spread/{view}"] = spread
        return {"intra": intra, "cycle": cycle}

    @torch.no_grad()
    def _keys(self, view: str, frames: Tensor) -> tuple[Tensor, Tensor]:
        _, copied = self.pair(view)
        shuffle = Shuffle(len(frames), frames.device)
        keys, cycle_keys = copied.module(shuffle.dealt(frames))
        return shuffle.undone(keys), shuffle.undone(cycle_keys)
