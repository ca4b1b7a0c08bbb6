"""What contrasting with remembered keys needs: a slow copy of a network, a queue, and batches shuffled over devices.

Source: He et al. 2020 (MoCo).
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.distributed import gathered, mean_over_processes, num_processes, own_rows
from cocon.training.methods.method import EncoderNetwork, Method, MethodTerms

__all__ = ["KeyQueue", "MomentumCopy", "MomentumMethod", "MomentumSettings", "Shuffle"]

M = TypeVar("M", bound=EncoderNetwork)


class MomentumCopy(nn.Module, Generic[M]):
    """A copy of a network that follows it slowly and never has a gradient.

    Running statistics are the copy's own: it sees its batches in the mode that it is in.

    Args:
        source: the network; not changed.
        momentum: m of θ_copy ← m·θ_copy + (1 - m)·θ_source.
    """

    def __init__(self, source: M, momentum: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(source).requires_grad_(False)
        self._momentum = momentum

    @torch.no_grad()
    def follow(self, source: M) -> None:
        """Move towards the network as it is now."""
        for own, other in zip(self.module.parameters(), source.parameters(), strict=True):
            own.lerp_(other.detach(), 1.0 - self._momentum)

    def restart(self, source: M) -> None:
        """Be the network as it is now."""
        self.module.encoder.normalise_by(source.encoder.normalisation)
        self.module.load_state_dict(source.state_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentumSettings:
    """What such methods have in common; their sections of the configuration say what it means."""

    projection_dim: int
    momentum: float
    queue_size: int
    temperature: float
    batch_negatives: bool


class MomentumMethod(Method, Generic[M]):
    """A method whose networks each have a momentum copy, the key encoder; its views learn side by side.

    Args:
        networks: view → query encoder and heads.
        settings: sizes, momentum and temperature.
        weights: of the terms that a view's loss is the sum of, by their names.
    """

    def __init__(self, networks: Mapping[str, M], settings: MomentumSettings, weights: Mapping[str, float]) -> None:
        super().__init__(networks)
        self._weights = dict(weights)
        self._dim = settings.projection_dim
        copies = {view: MomentumCopy(network, settings.momentum) for view, network in networks.items()}
        self.copies = nn.ModuleDict(copies)

    def new_queues(self, size: int) -> nn.ModuleDict:
        """A queue of projections for each view."""
        return nn.ModuleDict({view: KeyQueue(size, self._dim) for view in self.networks})

    def pair(self, view: str) -> tuple[M, MomentumCopy[M]]:
        """A view's network and its copy."""
        return self.networks[view], self.copies[view]  # type: ignore[return-value]  # ModuleDict forgets

    def forward(self, clips: Mapping[str, Tensor], progress: float) -> MethodTerms:
        """The loss of one batch `uint8 [B, N, 1, H, W, C]` per view, of as many frames as its sampler draws."""
        logged: dict[str, Tensor] = {}
        total = torch.zeros((), device=next(iter(clips.values())).device)
        for view in self.networks:
            terms = self.terms_of_view(view, clips[view], logged)
            for name, weight in self._weights.items():
                total = total + weight * terms[name]
            logged |= {f"{name}/{view}": term for name, term in terms.items()}
        return MethodTerms(total, mean_over_processes(logged | {"loss": total}))

    def terms_of_view(self, view: str, frames: Tensor, logged: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each term of a view's loss, not weighted; what else there is to log goes into `logged`."""
        raise NotImplementedError

    def after_step(self) -> None:
        """The key encoders follow."""
        for view in self.networks:
            network, copied = self.pair(view)
            copied.follow(network)

    def encoders_replaced(self) -> None:
        """The key encoders are those of the new networks."""
        for view in self.networks:
            network, copied = self.pair(view)
            copied.restart(network)


class KeyQueue(nn.Module):
    """The K newest keys, first in, first out.

    Kept in the state of a training, so a resumed one contrasts with the same keys.

    Args:
        size: K.
        dim: D.
    """

    keys: Tensor
    num_seen: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("num_seen", torch.zeros((), dtype=torch.long))

    @property
    def is_full(self) -> bool:
        """Whether K keys have been seen."""
        return int(self.num_seen) >= len(self.keys)

    @property
    def remembered(self) -> Tensor:
        """A copy of the keys seen so far, at most K, `float [R, D]`.

        What a queue begins with is not among them: away from random directions a network gets best by making all
        embeddings one, and stays there.
        """
        return self.keys[: int(self.num_seen)].clone()

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Replace the oldest keys by `float [R, D]`, in their order; of more than K the last K stay."""
        size = len(self.keys)
        start = int(self.num_seen)
        places = torch.arange(start, start + len(keys), device=self.keys.device)[-size:] % size
        self.keys[places] = keys[-size:].to(self.keys.dtype)
        self.num_seen += len(keys)


class Shuffle:
    """Rows of all processes' batches, dealt out anew: statistics of a batch then tell no key who its query was.

    Every process must make one at the same point and undo it. Alone it changes nothing; keys of the same batch, which
    have its statistics too, must then be among the negatives.

    Args:
        num_rows: of this process's batch, the same in all.
        device: of the batch.
    """

    def __init__(self, num_rows: int, device: torch.device) -> None:
        self._order = torch.arange(0)
        if num_processes() > 1:
            self._order = torch.randperm(num_rows * num_processes(), device=device)
            dist.broadcast(self._order, src=0)

    def dealt(self, rows: Tensor) -> Tensor:
        """This process's share of the shuffled rows; rows `[R, ...]` without gradient."""
        return rows if num_processes() == 1 else own_rows(gathered(rows)[self._order])

    def undone(self, rows: Tensor) -> Tensor:
        """What became of the own rows, from what every process made of its share."""
        return rows if num_processes() == 1 else own_rows(gathered(rows)[self._order.argsort()])
