"""ViCC: clips of one video, and then its streams, must agree on which prototypes they are like.

    stage 1   every stream alone:   L = mean over i, j ≠ i of CE( q_i, softmax(s_j / τ) ),  i, j: two clips
    stage 2   each stream in turn:  the same over all clips of all streams, on the prototypes of the one in turn,
                                    while the others are frozen

s_i are cosines with the prototypes, q_i = Sinkhorn(s) assigns them with equal shares. What a stream learns from another
in stage 2 stays in its encoder: an RGB encoder that has seen flow needs none afterwards. Source: Toering et al. 2022.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.distributed import gathered, mean_over_processes, own_rows
from cocon.training.losses.prototypes import sinkhorn, swapped_prediction_loss
from cocon.training.methods.empty_blocks import empty_blocks_of_all, spread_of_shown
from cocon.training.methods.method import (
    EncoderNetwork,
    Method,
    MethodTerms,
    ProjectionHead,
    pooled_blocks,
)
from cocon.training.methods.momentum import KeyQueue
from cocon.training.models.encoder import Encoder

__all__ = ["Prototypes", "StreamNetwork", "Vicc", "ViccSettings"]

_CLIPS = 2


class StreamNetwork(EncoderNetwork):
    """An encoder with a projection.

    Args:
        encoder: of one stream.
        projection_dim: P, of what is compared with prototypes.
    """

    def __init__(self, encoder: Encoder, projection_dim: int) -> None:
        super().__init__(encoder)
        self.head = ProjectionHead(encoder.backbone.out_channels, projection_dim)

    def forward(self, clips: Tensor) -> Tensor:
        """Projections of `uint8 [B, 2, T, H, W, C]`, unit length, `float [B, 2, P]`."""
        return self.head.unit(pooled_blocks(self.encoder.feature_maps(clips)))


class Prototypes(nn.Module):
    """Directions that clips are assigned to.

    Args:
        number: of prototypes.
        dim: P.
    """

    def __init__(self, number: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(number, dim), dim=1))

    @torch.no_grad()
    def normalise(self) -> None:
        """Bring every prototype back to unit length."""
        self.weight.copy_(F.normalize(self.weight, dim=1))


@dataclass(frozen=True, slots=True)
class ViccSettings:
    """Sizes, temperatures and stages; in the configuration `vicc` says what they mean.

    Attributes:
        num_turns: of the second stage; 0 leaves it out.
    """

    num_prototypes: int
    projection_dim: int
    temperature: float
    epsilon: float
    sinkhorn_iterations: int
    queue_size: int
    queue_from: float
    prototypes_frozen: float
    single_share: float
    num_turns: int
    gradient_through: Literal["both", "first"]


class Vicc(Method):
    """The method, on samples of `BlockPairSampler`.

    Args:
        networks: view → network; the order is that in which the second stage takes turns.
        settings: sizes, temperatures and stages.
    """

    turn: Tensor

    def __init__(self, networks: Mapping[str, StreamNetwork], settings: ViccSettings) -> None:
        super().__init__(networks)
        self._settings = settings
        self.prototypes = nn.ModuleDict(
            {view: Prototypes(settings.num_prototypes, settings.projection_dim) for view in networks}
        )
        queues = {
            view: nn.ModuleList(KeyQueue(settings.queue_size, settings.projection_dim) for _ in range(_CLIPS))
            for view in networks
            if settings.queue_size
        }
        self.queues = nn.ModuleDict(queues)
        # Turns are counted so that a new one begins with empty queues; 0 is the first stage.
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))

    def forward(self, clips: Mapping[str, Tensor], progress: float) -> MethodTerms:
        """The loss of one batch `uint8 [B, 2, T, H, W, C]` per view."""
        turn = self.turn_at(progress)
        if self.training:
            self._begin(turn)
        views = list(self.networks)
        learning = self._learning(turn)
        found = {view: self._projections(view, clips[view], learns=view in learning) for view in views}
        with torch.autocast(next(iter(clips.values())).device.type, enabled=False):
            losses = {view: self._loss(view, [view] if turn == 0 else views, found, progress) for view in learning}
        total = torch.stack(list(losses.values())).sum()
        if self.training:
            self._remember(found)
        logged = {f"swapped/{view}": loss for view, loss in losses.items()}
        empty = empty_blocks_of_all({view: clips[view] for view in views})
        for view, z in found.items():
            if (spread := spread_of_shown(gathered(z[:, 0].detach()), empty[view][:, :1])) is not None:
                logged[f"spread/{view}"] = spread
        return MethodTerms(total, mean_over_processes(logged | {"loss": total}))

    def after_step(self) -> None:
        """Prototypes are directions; those of frozen streams stay as they are, bit for bit."""
        for view in self._learning(int(self.turn)):
            prototypes = self.prototypes[view]
            assert isinstance(prototypes, Prototypes)
            prototypes.normalise()

    def turn_at(self, progress: float) -> int:
        """0 in the first stage, then the number of the turn of the second, from 1; an end belongs to what ends."""
        return bisect_left(self._ends()[:-1], progress)

    def rate_period(self, progress: float) -> tuple[float, float]:
        """The first stage, then each turn: what is in turn must be able to move."""
        turn, ends = self.turn_at(progress), self._ends()
        return ends[turn - 1] if turn else 0.0, ends[turn]

    def _ends(self) -> list[float]:
        """Of the first stage and of every turn, as shares of training."""
        num_turns, first = self._settings.num_turns, self._settings.single_share
        return [first + (1.0 - first) * turn / num_turns for turn in range(num_turns + 1)] if num_turns else [1.0]

    def _learning(self, turn: int) -> list[str]:
        """The streams that learn."""
        views = list(self.networks)
        return views if turn == 0 else [views[(turn - 1) % len(views)]]

    def _begin(self, turn: int) -> None:
        if turn != int(self.turn):
            self.turn.fill_(turn)
            for view in self.queues:
                for queue in self._queues_of(view):
                    queue.num_seen.zero_()

    def _queues_of(self, view: str) -> Sequence[KeyQueue]:
        """What remembers projections of either clip."""
        return self.queues[view]  # type: ignore[return-value]  # ModuleDict forgets

    def _projections(self, view: str, clips: Tensor, *, learns: bool) -> Tensor:
        """`float [B, 2, P]`; of a frozen stream without gradient, its statistics untouched."""
        network = self.networks[view]
        with nullcontext() if learns else _frozen(network):
            found: Tensor = network(clips)
        if learns and self._settings.gradient_through == "first":
            return torch.stack([found[:, 0], found[:, 1].detach()], dim=1)
        return found

    def _loss(self, main: str, streams: Sequence[str], found: Mapping[str, Tensor], progress: float) -> Tensor:
        """Swapped prediction over both clips of some streams, on one stream's prototypes."""
        settings = self._settings
        prototypes = self.prototypes[main].weight
        assert isinstance(prototypes, Tensor)
        if len(streams) == 1 and progress <= settings.prototypes_frozen * settings.single_share:
            prototypes = prototypes.detach()
        samples = [(stream, clip) for stream in streams for clip in range(_CLIPS)]
        scores = [found[stream][:, clip] @ prototypes.T for stream, clip in samples]  # each [B, K]
        codes = [
            self._codes(score, prototypes, self._queue(stream, clip, progress))
            for score, (stream, clip) in zip(scores, samples, strict=True)
        ]
        return swapped_prediction_loss(codes, scores, temperature=settings.temperature)

    def _queue(self, stream: str, clip: int, progress: float) -> KeyQueue | None:
        """What remembers projections of this sample; None while it is not to be used."""
        settings = self._settings
        is_early = self.turn_at(progress) == 0 and progress < settings.queue_from * settings.single_share
        if not settings.queue_size or is_early:
            return None
        queue = self._queues_of(stream)[clip]
        return queue if queue.is_full else None

    @torch.no_grad()
    def _codes(self, scores: Tensor, prototypes: Tensor, queue: KeyQueue | None) -> Tensor:
        """Assignments of the own samples, shared out over those of all processes and the remembered ones."""
        everyone = gathered(scores.detach())
        remembered = [] if queue is None else [queue.keys @ prototypes.detach().T]
        codes = sinkhorn(
            torch.cat([*remembered, everyone]),
            epsilon=self._settings.epsilon,
            iterations=self._settings.sinkhorn_iterations,
        )
        return own_rows(codes[-len(everyone) :])

    def _remember(self, found: Mapping[str, Tensor]) -> None:
        for view in self.queues:
            for clip, queue in enumerate(self._queues_of(view)):
                queue.push(gathered(found[view][:, clip].detach()))


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; training mode again afterwards, where it was."""
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(mode)
