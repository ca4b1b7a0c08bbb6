"""Cooperative contrastive learning (CoCon): one predictive network per view, tied by L_sim and L_sync.

    total = Σ_views L_cpc + Σ_pairs of views ( w_sim · L_sim + w_sync · L_sync )

CPC, CPC + sim and CPC + sync are the same with a weight of zero. Where views have embeddings of different dimensions,
as encoders of different architectures give, L_sim compares the larger ones after a linear map to the smallest; L_sync
and L_cpc never compare vectors of two views. Blocks that show nothing are in no term (`empty_blocks`). Source: Rai et
al. 2021.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocon.training.distributed import gathered, mean_over_processes, own_rows
from cocon.training.losses.cooperative import SimForm, SyncForm, centred, sim_loss, sync_loss
from cocon.training.losses.info_nce import dense_info_nce, dense_top1
from cocon.training.methods.cpc import Predictions, PredictiveNetwork
from cocon.training.methods.empty_blocks import (
    answerable_blocks,
    empty_blocks_of_all,
    shown_in_both,
    spread_of_shown,
)
from cocon.training.methods.method import Method, MethodTerms

__all__ = ["CoCon", "LossWeights", "sync_ramp"]


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How the terms are combined.

    Attributes:
        temperature: what cosines are divided by in L_cpc; the released code's value is 0.07².
        sim: weight of L_sim.
        sync: weight of L_sync.
        sync_ramp: share of training over which the weight of L_sync grows linearly from 0; un-ramped it can collapse
            the embeddings early.
        sim_form: see `sim_loss`.
        sync_form: see `sync_loss`.
        mu: see `sim_loss`.
        is_centred: whether L_sim and L_sync compare vectors without the mean of their batch.
    """

    temperature: float
    sim: float
    sync: float
    sync_ramp: float
    sim_form: SimForm
    sync_form: SyncForm
    mu: float
    is_centred: bool = False


class CoCon(Method):
    """The method; logged are each view's L_cpc, top-1 and embedding spread, and the pair losses.

    Args:
        networks: view → its predictive network.
        weights: how the terms are combined.
        is_gathered: whether negatives and pair matrices are those of all processes' clips together; else each process
            contrasts its own clips, and gradients are averaged.
    """

    collapse_remedy = "lower loss.sync or raise loss.sync_ramp"

    def __init__(
        self, networks: Mapping[str, PredictiveNetwork], weights: LossWeights, *, is_gathered: bool = True
    ) -> None:
        super().__init__(networks)
        dims = {view: network.encoder.backbone.out_channels for view, network in networks.items()}
        least = min(dims.values())
        self.projections = nn.ModuleDict(
            {view: nn.Linear(dim, least, bias=False) for view, dim in dims.items() if dim > least}
        )
        self.weights = weights
        self.is_gathered = is_gathered
        self._easing, self._since = 1.0, 0.0

    def forward(self, clips: Mapping[str, Tensor], progress: float) -> MethodTerms:
        """The loss of one batch of clips of N consecutive blocks."""
        outputs: dict[str, Predictions] = {view: network(clips[view]) for view, network in self.networks.items()}
        empty_of_all = empty_blocks_of_all({view: clips[view] for view in outputs})
        empty = empty_of_all
        if self.is_gathered:
            outputs = {view: Predictions(*map(gathered, output)) for view, output in outputs.items()}
        else:
            empty = {view: own_rows(of) for view, of in empty_of_all.items()}
        # Cosines over τ in bfloat16 would be a hundredth off, and autocast would have them so.
        with torch.autocast(next(iter(clips.values())).device.type, enabled=False):
            total, logged = self._terms(outputs, empty, progress)
            for view, output in outputs.items():
                vectors = output.vectors if self.is_gathered else gathered(output.vectors.detach())
                if (spread := spread_of_shown(vectors, empty_of_all[view])) is not None:
                    logged[f"spread/{view}"] = spread
        return MethodTerms(total, mean_over_processes(logged | {"loss": total}))

    def ease(self, factor: float, since: float) -> bool:
        """Weigh L_sim and L_sync with a factor, and let the ramp of L_sync begin anew."""
        self._easing, self._since = factor, since
        return len(self.networks) > 1 and bool(self.weights.sim or self.weights.sync)

    def full_loss(self, means: Mapping[str, float]) -> float:
        """The total with L_sync at full weight, which its ramp would raise without anything getting worse."""
        weight_of = {"cpc": 1.0, "sim": self.weights.sim, "sync": self.weights.sync}
        return sum(weight_of.get(name.partition("/")[0], 0.0) * value for name, value in means.items())

    def _terms(
        self, outputs: Mapping[str, Predictions], empty: Mapping[str, Tensor], progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, and its parts by name; blocks that are empty, `bool [B, N]`, are in none of them."""
        logged: dict[str, Tensor] = {}
        total = torch.zeros((), device=next(iter(outputs.values())).predicted.device)
        for view, (predicted, targets, _) in outputs.items():
            blocks = answerable_blocks(empty[view], predicted.shape[1])
            cpc = dense_info_nce(predicted, targets, temperature=self.weights.temperature, blocks=blocks)
            total = total + cpc
            logged |= {f"cpc/{view}": cpc, f"top1/{view}": dense_top1(predicted, targets, blocks)}
        ramp = self._easing * sync_ramp(progress - self._since, self.weights.sync_ramp)
        for one, other in combinations(outputs, 2):
            first, second = outputs[one].vectors, outputs[other].vectors
            kept = shown_in_both(empty[one], empty[other])
            compared = self._of_one_dimension(one, first), self._of_one_dimension(other, second)
            if self.weights.is_centred:
                compared = centred(compared[0], kept), centred(compared[1], kept)
                first, second = centred(first, kept), centred(second, kept)
            sim = sim_loss(*compared, form=self.weights.sim_form, mu=self.weights.mu, kept=kept)
            sync = sync_loss(first, second, form=self.weights.sync_form, kept=kept)
            total = total + self._easing * self.weights.sim * sim + self.weights.sync * ramp * sync
            logged |= {f"sim/{one}-{other}": sim, f"sync/{one}-{other}": sync}
        return total, logged

    def _of_one_dimension(self, view: str, vectors: Tensor) -> Tensor:
        """Unit vectors `float [M, D]` of a view as such of the smallest dimension of all."""
        return F.normalize(self.projections[view](vectors), dim=-1) if view in self.projections else vectors


def sync_ramp(progress: float, ramp: float) -> float:
    """Factor on the weight of L_sync: 0 at the start, 1 from `ramp` (a share of training) on."""
    return 1.0 if ramp <= 0 else min(1.0, progress / ramp)
