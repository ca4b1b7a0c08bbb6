"""The networks of a pre-training together with what trains them: optimizer, learning rate, precision, processes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from cocon.embedding.contract import Normalisation
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.config.run import Config
from cocon.training.data.loader import Batch, to_device
from cocon.training.distributed import objects_of_all, seed_of_process
from cocon.training.loop.optimizers import build_optimizer
from cocon.training.loop.schedule import RateSchedule, StepPlan
from cocon.training.methods.building import build_method
from cocon.training.methods.method import Method, MethodTerms
from cocon.training.run_folder.warm_start import restore_encoders

__all__ = ["Learner", "parameter_groups", "random_states", "restore_random_states"]

# Encoders of another run rise to their rate within a fifth of the training, and no more than so many steps.
_START_WARMUP_PART, _MOST_START_WARMUP = 5, 100


class Learner:
    """Takes steps, and knows everything that a checkpoint needs to take the next one alike.

    Args:
        config: everything that decides the run.
        plan: the steps.
        fabric: devices and precision, launched.
        state: of a checkpoint, or None to begin.

    Attributes:
        method: the networks.
        schedule: of the learning rate.
        plan: the steps.
        rate_factor: on the learning rate of the schedule.
    """

    def __init__(self, config: Config, plan: StepPlan, fabric: Fabric, state: Mapping[str, Any] | None) -> None:
        torch.manual_seed(config.training.seed)
        self.method = build_method(config)
        self.schedule = RateSchedule(config.optimizer, plan, self.method.rate_period)
        self.plan = plan
        self.rate_factor = 1.0
        self._fabric = fabric
        self._restored = restore_encoders(self.method, config) if state is None else list(state["restored"])
        shares = dict.fromkeys(self._restored, config.optimizer.backbone_learning_rate_share)
        self._start_warmup = _start_warmup(config.training, plan, self._restored, state)
        for view, (mean, std, *plane) in state.get("normalisations", {}).items() if state is not None else ():
            self.method.encoders[view].normalise_by(Normalisation(tuple(mean), tuple(std), *plane))
        self.method.encoders_replaced()
        self._optimizer = build_optimizer(config.optimizer, self._groups(shares))
        if state is not None:
            self.method.load_state_dict(state["method"])
            self.schedule.restore(state["schedule"])
            fabric.strategy.precision.load_state_dict(state["precision"])
        self._trained, self._stepping = fabric.setup(self.method, self._optimizer)
        self._trained.train()
        if state is not None:  # moments go where the parameters are, which is on the device only now
            self._optimizer.load_state_dict(state["optimizer"])
        if fabric.global_rank:  # equal networks, but each process drops other units
            torch.manual_seed(seed_of_process(config.training.seed, fabric.global_rank))

    def step(self, batches: Iterable[Batch], number: int, on_terms: Callable[[Mapping[str, Tensor]], None]) -> float:
        """Average the gradients of a step's batches and take it.

        Args:
            batches: as many as the plan has for the step.
            number: of the step, from 1.
            on_terms: called with each batch's logged scalars.

        Returns:
            The learning rate.
        """
        rate = self.rate_factor * self.schedule.rate_at(number)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"] * (self._risen(number) if group.get("rises") else 1.0)
        num_batches = len(self.plan.batches_of(number - 1))
        self._stepping.zero_grad(set_to_none=True)
        for index, batch in enumerate(batches, start=1):
            with self._fabric.no_backward_sync(self._trained, enabled=index < num_batches):
                terms = self._terms(batch, number / self.plan.num_steps)
                self._fabric.backward(terms.total / num_batches)
            on_terms(terms.logged)
        self._stepping.step()
        self.method.after_step()
        return rate

    @torch.no_grad()
    def validation_loss(self, batches: Iterable[Batch]) -> float:
        """Mean total on other batches, L_sync at full weight, in evaluation mode."""
        self._trained.eval()
        losses = [self._terms(batch, 1.0).logged["loss"] for batch in batches]
        self._trained.train()
        return float(torch.stack(losses).mean())

    def state(self, step: int) -> dict[str, Any]:
        """Tensors and plain containers; every process must ask at once, and gets the same."""
        return {
            "method": self.method.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "precision": self._fabric.strategy.precision.state_dict(),
            "restored": self._restored,
            "start_warmup": self._start_warmup,
            "normalisations": {
                view: [list(each.mean), list(each.std), each.plane]
                for view, each in ((view, encoder.normalisation) for view, encoder in self.method.encoders.items())
            },
            "random": objects_of_all(random_states()),
            "step": step,
        }

    def snapshot(self) -> dict[str, Any]:
        """The networks and what moves them, in memory of their own: what `go_back` takes."""
        state = {"method": self.method.state_dict(), "optimizer": self._optimizer.state_dict()}
        return _copied(state | {"precision": self._fabric.strategy.precision.state_dict()})

    def go_back(self, snapshot: Mapping[str, Any]) -> None:
        """Be as at a snapshot again, but for the schedule, which goes on."""
        state = _copied(snapshot)
        self.method.load_state_dict(state["method"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])

    def _groups(self, shares: Mapping[str, float]) -> list[dict[str, Any]]:
        """The parameters by what moves them; encoders that were restored rise to it, where there is a warm-up."""
        if not self._start_warmup:
            return parameter_groups(self.method, shares)
        rising = set(_of_backbones(self.method, self._restored))
        groups: list[dict[str, Any]] = []
        for group in parameter_groups(self.method, shares):
            for rises in (False, True):
                those = [parameter for parameter in group["params"] if (parameter in rising) == rises]
                groups += [group | {"params": those, "rises": rises}] if those else []
        return groups

    def _risen(self, number: int) -> float:
        """What encoders that were restored have of their rate at a step: heads that are new learn first."""
        first = self._start_warmup // 2
        return min(1.0, max(0.0, (number - first) / max(1, self._start_warmup - first))) ** 2

    def restore_random_states(self, state: Mapping[str, Any]) -> None:
        """Undo everything drawn since the checkpoint; a process that was not there then keeps its own numbers."""
        if self._fabric.global_rank < len(state["random"]):
            restore_random_states(state["random"][self._fabric.global_rank])

    def _terms(self, batch: Batch, progress: float) -> MethodTerms:
        clips, _ = to_device(batch, self._fabric.device)
        terms: MethodTerms = self._trained(clips, progress)
        return terms


def _start_warmup(
    training: TrainingSection, plan: StepPlan, restored: Sequence[str], state: Mapping[str, Any] | None
) -> int:
    """Steps in which restored encoders rise to their rate; a run of before has none."""
    if state is not None:
        return int(state.get("start_warmup", 0))
    if not restored:
        return 0
    if training.start_warmup_steps is not None:
        return training.start_warmup_steps
    return min(_MOST_START_WARMUP, plan.num_steps // _START_WARMUP_PART)


def _of_backbones(method: Method, views: Sequence[str]) -> list[nn.Parameter]:
    """Those of the encoders of these views."""
    return [parameter for view in views for parameter in method.encoders[view].backbone.parameters()]


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """The same in other memory; of tensors on a device, on the processor."""
    copied: dict[str, Any] = tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), dict(state))
    return copied


def parameter_groups(method: Method, shares: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters by their share of the learning rate, `share` in each group.

    Args:
        method: the networks.
        shares: view → share of its backbone; all else has 1.
    """
    of_share: dict[float, list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        if not parameter.requires_grad:  # a momentum copy follows by itself
            continue
        _, view, *path = name.split(".")
        share = shares.get(view, 1.0) if path[:2] == ["encoder", "backbone"] else 1.0
        of_share.setdefault(share, []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in of_share.items()]


def random_states() -> dict[str, Tensor | list[Tensor]]:
    """State of every random generator that this process draws from while training."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Undo everything drawn since `random_states`."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
