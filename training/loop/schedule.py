"""How batches make steps of the optimizer, steps make epochs, and how the learning rate changes over them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cocon.training.config.learning_sections import OptimizerSection, TrainingSection
from cocon.training.methods.method import WHOLE

__all__ = ["RateSchedule", "StepPlan", "learning_rate_at"]

# The loss must fall by more than this share to count as fallen, as in torch's ReduceLROnPlateau.
_LEAST_FALL = 1e-4


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The steps of a training, counted from 0.

    An epoch ends with a step: if its batches do not fill the last one, that step averages the fewer that are left, so
    no gradient is carried into the next epoch.

    Attributes:
        batches_per_epoch: see `steps_per_epoch` of the loader.
        accumulate: batches whose gradients one step averages.
        epochs: in all, as configured.
        steps: in all, where they are not those of the epochs; the last epoch may be a part of one.
    """

    batches_per_epoch: int
    accumulate: int
    epochs: int
    steps: int | None = None

    @classmethod
    def of(cls, training: TrainingSection, batches_per_epoch: int) -> "StepPlan":
        """As configured, where an epoch has so many batches."""
        plan = cls(batches_per_epoch, training.accumulate, training.epochs)
        return replace(plan, steps=training.num_steps(plan.per_epoch))

    @property
    def per_epoch(self) -> int:
        """Steps in one epoch."""
        return math.ceil(self.batches_per_epoch / self.accumulate)

    @property
    def num_steps(self) -> int:
        """Steps in all."""
        return self.per_epoch * self.epochs if self.steps is None else self.steps

    @property
    def num_epochs(self) -> int:
        """Epochs in all, a part of one counted as one."""
        return self.epoch_of(self.num_steps)

    @property
    def num_batches(self) -> int:
        """Batches in all."""
        return self.batches_of(self.num_steps).start

    def epoch_of(self, step: int) -> int:
        """Number of the epoch that a step belongs to; both count from 1."""
        return -(-step // self.per_epoch)

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch ends with a step, counted from 1; the last step ends the last one."""
        return step % self.per_epoch == 0 or step == self.num_steps

    def batches_of(self, step: int) -> range:
        """Numbers of the batches that a step averages; `batches_of(s).start` batches lie before step s."""
        epoch, position = divmod(step, self.per_epoch)
        first = position * self.accumulate
        last = min(first + self.accumulate, self.batches_per_epoch)
        start = epoch * self.batches_per_epoch
        return range(start + first, start + last)


class RateSchedule:
    """The learning rate of every step, by the schedule that the configuration names.

    Args:
        section: base rate and schedule.
        plan: the steps.
        period: share of training done → from and to which share of it the cosine falls once.
    """

    def __init__(
        self,
        section: OptimizerSection,
        plan: StepPlan,
        period: Callable[[float], tuple[float, float]] = lambda progress: WHOLE,
    ) -> None:
        self._section = section
        self._plan = plan
        self._period = period
        self._rate = section.learning_rate
        self._best = math.inf
        self._num_bad = 0

    @property
    def follows_the_loss(self) -> bool:
        """Whether `epoch_ended` wants to know the loss."""
        return self._section.schedule == "plateau"

    def rate_at(self, step: int) -> float:
        """Learning rate of a step; steps count from 1."""
        if not self.follows_the_loss:
            return learning_rate_at(step, self._plan, self._section, self._period(step / self._plan.num_steps))
        warmup = _warmup_steps(self._plan, self._section)
        return self._rate * min(1.0, step / warmup) if warmup else self._rate

    def epoch_ended(self, loss: float) -> None:
        """Take in an epoch's loss; after more than `plateau_patience_epochs` without a fall the rate is lowered."""
        if loss < self._best * (1 - _LEAST_FALL):
            self._best, self._num_bad = loss, 0
        else:
            self._num_bad += 1
        if self._num_bad > self._section.plateau_patience_epochs:
            floor = min(self._rate, self._section.min_learning_rate)
            self._rate, self._num_bad = max(self._rate * self._section.plateau_factor, floor), 0

    def state(self) -> dict[str, float]:
        """What a checkpoint needs to keep."""
        return {"rate": self._rate, "best": self._best, "num_bad": self._num_bad}

    def restore(self, state: Mapping[str, float]) -> None:
        """Take up the state of a checkpoint."""
        self._rate, self._best, self._num_bad = state["rate"], state["best"], int(state["num_bad"])


def learning_rate_at(
    step: int, plan: StepPlan, optimizer: OptimizerSection, period: tuple[float, float] = WHOLE
) -> float:
    """Linear warm-up, then a cosine to `final_share` of the learning rate; steps count from 1.

    The cosine falls once over `period`, the share of training from and to which the step's stage lasts; a later stage
    begins at the full rate, without a warm-up.
    """
    warmup = _warmup_steps(plan, optimizer)
    if step <= warmup:
        return optimizer.learning_rate * step / warmup
    first, last = max(float(warmup), period[0] * plan.num_steps), period[1] * plan.num_steps
    share = (step - first) / (last - first) if last > first else 1.0
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
    return optimizer.learning_rate * (optimizer.final_share + (1 - optimizer.final_share) * cosine)


def _warmup_steps(plan: StepPlan, optimizer: OptimizerSection) -> int:
    steps = optimizer.warmup_steps
    if steps is None:
        stretched = max(1.0, plan.num_steps / (plan.per_epoch * plan.epochs)) if plan.epochs else 1.0
        steps = round(optimizer.warmup_epochs * plan.per_epoch * stretched)
    return min(steps, plan.num_steps - 1)
