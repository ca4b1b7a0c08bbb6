"""VCLR: frames of one video agree, each frame knows itself, whole videos agree, and order is noticed.

    total = Σ_views w_inter · L_inter + w_intra · L_intra + w_segment · L_segment + w_order · L_order

The views learn side by side. Source: Kuang et al. 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.distributed import gathered
from cocon.training.losses.info_nce import intra_frame_loss, queued_info_nce
from cocon.training.losses.order import order_loss, shuffled_tuples
from cocon.training.methods.empty_blocks import empty_blocks_of_all, spread_of_shown
from cocon.training.methods.method import EncoderNetwork, ProjectionHead, pooled_blocks
from cocon.training.methods.momentum import KeyQueue, MomentumMethod, MomentumSettings, Shuffle
from cocon.training.models.encoder import Encoder

__all__ = ["Vclr", "VclrNetwork", "VclrSettings"]

_NUM_SEGMENTS = 3
_NUM_ORDERS = 4


class VclrNetwork(EncoderNetwork):
    """An encoder with a head for each of the four losses.

    Args:
        encoder: of single frames.
        projection_dim: of what is compared.
    """

    def __init__(self, encoder: Encoder, projection_dim: int) -> None:
        super().__init__(encoder)
        self.inter, self.intra, self.order, self.segment = (
            ProjectionHead(encoder.backbone.out_channels, projection_dim) for _ in range(4)
        )
        self.order_classifier = nn.Linear(2 * _NUM_SEGMENTS * projection_dim, _NUM_ORDERS)

    def forward(self, frames: Tensor) -> Tensor:
        """Pooled features `float [B, N, D]` of `uint8 [B, N, 1, H, W, C]`."""
        return pooled_blocks(self.encoder.feature_maps(frames))


class _Features(NamedTuple):
    """What both encoders make of the frames of a batch; D features each.

    Attributes:
        query: of the query tuple, with gradient, `float [B, 3, D]`.
        key: of the key tuple, `float [B, 3, D]`.
        anchor: of the anchor, one of the query tuple, with gradient, `float [B, D]`.
        own: keys of the anchor again and of the two other query frames, `float [B, 3, D]`.
        is_empty: whether the anchor shows nothing, in every process, `bool [W·B, 1]`.
    """

    query: Tensor
    key: Tensor
    anchor: Tensor
    own: Tensor
    is_empty: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class VclrSettings(MomentumSettings):
    """Temperature within a video, and weights; in the configuration `vclr` says what they mean."""

    intra_temperature: float
    inter: float
    intra: float
    segment: float
    order: float
    order_normalised_over: Literal["channels", "segments"]


class Vclr(MomentumMethod[VclrNetwork]):
    """The method, on samples of `SegmentSampler`.

    Args:
        networks: view → network.
        settings: sizes, temperatures and weights.
    """

    def __init__(self, networks: Mapping[str, VclrNetwork], settings: VclrSettings) -> None:
        weights = {name: getattr(settings, name) for name in ("inter", "intra", "segment", "order")}
        super().__init__(networks, settings, weights)
        self._settings = settings
        self.inter_queues = self.new_queues(_NUM_SEGMENTS * settings.queue_size)
        self.segment_queues = self.new_queues(settings.queue_size)

    def terms_of_view(self, view: str, frames: Tensor, logged: dict[str, Tensor]) -> dict[str, Tensor]:
        """The four losses of `uint8 [B, 8, 1, H, W, C]`."""
        return self._terms(view, self._encoded(view, frames), logged)

    def _encoded(self, view: str, frames: Tensor) -> _Features:
        network, copied = self.pair(view)
        query, key, again = torch.split(frames, [_NUM_SEGMENTS, _NUM_SEGMENTS, 2], dim=1)
        rows = torch.arange(len(frames), device=frames.device)
        is_last = torch.randint(2, (len(frames),), device=frames.device)  # the anchor: of the first segment or the last
        others = torch.stack([torch.ones_like(is_last), 2 - 2 * is_last], dim=1)  # [B, 2]: positions in the tuple
        own = torch.cat([again[rows, is_last][:, None], query[rows[:, None], others]], dim=1)
        features = network(query)
        with torch.no_grad():
            shuffle = Shuffle(len(frames), frames.device)
            keys = shuffle.undone(copied.module(shuffle.dealt(torch.cat([key, own], dim=1))))
        anchor = 2 * is_last
        is_empty = empty_blocks_of_all({view: query[rows, anchor][:, None]})[view]
        return _Features(features, keys[:, :_NUM_SEGMENTS], features[rows, anchor], keys[:, _NUM_SEGMENTS:], is_empty)

    def _terms(self, view: str, found: _Features, logged: dict[str, Tensor]) -> dict[str, Tensor]:
        network, copied = self.pair(view)
        slow, settings = copied.module, self._settings
        inter, intra = network.inter.unit(found.anchor), network.intra.unit(found.anchor)  # each [B, P]
        segment = network.segment.unit(found.query.mean(dim=1))
        with torch.no_grad():
            inter_keys, intra_keys = slow.inter.unit(found.own), slow.intra.unit(found.own)  # each [B, 3, P]
            segment_keys = slow.segment.unit(found.key.mean(dim=1))
        if (spread := spread_of_shown(gathered(inter.detach()), found.is_empty)) is not None:
            logged[f"spread/{view}"] = spread
        inter_queue, segment_queue = self.inter_queues[view], self.segment_queues[view]
        assert isinstance(inter_queue, KeyQueue) and isinstance(segment_queue, KeyQueue)
        with torch.autocast(inter.device.type, enabled=False):
            terms = {
                "inter": queued_info_nce(
                    inter.repeat_interleave(_NUM_SEGMENTS, dim=0),
                    inter_keys.flatten(0, 1),
                    inter_queue.remembered,
                    temperature=settings.temperature,
                    rows_per_video=_NUM_SEGMENTS * settings.batch_negatives,
                ),
                "intra": intra_frame_loss(
                    intra, intra_keys[:, 0], intra_keys[:, 1:], temperature=settings.intra_temperature
                ),
                "segment": queued_info_nce(
                    segment,
                    segment_keys,
                    segment_queue.remembered,
                    temperature=settings.temperature,
                    rows_per_video=int(settings.batch_negatives),
                ),
                "order": self._order_term(network, slow, found),
            }
        if self.training:
            inter_queue.push(gathered(inter_keys).flatten(0, 1))
            segment_queue.push(gathered(segment_keys))
        return terms

    def _order_term(self, network: VclrNetwork, slow: VclrNetwork, found: _Features) -> Tensor:
        axis = 2 if self._settings.order_normalised_over == "channels" else 1
        query, is_query_shuffled = shuffled_tuples(F.normalize(network.order(found.query.float()), dim=axis))
        with torch.no_grad():
            key, is_key_shuffled = shuffled_tuples(F.normalize(slow.order(found.key.float()), dim=axis))
        pair = torch.cat([query.flatten(1), key.flatten(1)], dim=1)  # [B, 2·3·P]
        return order_loss(network.order_classifier(pair), is_query_shuffled, is_key_shuffled)
