"""What is done where embeddings collapse: views are tied more loosely, then training goes back to where it was healthy.

    healthy ──▶ eased ──▶ healthy again
                  │  not within `patience` steps
                  ▼
             rolled back, and eased more ──▶ … three times, then training ends at its last healthy step

Every event is one line. All of it is in the checkpoint, so a run that was stopped goes on as if it had not been.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cocon.core.errors import GateError
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.loop.health.watch import SpreadWatch
from cocon.training.loop.learner import Learner

__all__ = ["HealthRecord", "SpreadGuard"]

_logger = logging.getLogger(__name__)

# Steps between two looks; of a short training fewer.
_EVERY = 5
# Eased, a training has this share of its steps to recover, within these numbers.
_PATIENCE_SHARE, _LEAST_PATIENCE, _MOST_PATIENCE = 0.08, 10, 100
# What an easing leaves of the weights that tie views to each other, or of the learning rate; of that, a roll-back too.
_EASE, _SLOWER = 0.3, 0.5
_MOST_ROLL_BACKS = 3
# What has lost so much since the last look is not kept as healthy, though it is yet.
_FALLING = 0.9
# Less says nothing: clips of so few videos never spread, and so few steps end before anything could be done.
_LEAST_BATCH, _LEAST_STEPS = 4, 30


@dataclass(slots=True)
class HealthRecord:
    """What became of a training's health.

    Attributes:
        events: one sentence each, in their order.
        roll_backs: how often it went back.
        ended_at: the step whose networks it ended with, before its time; None where it went on to its end.
    """

    events: list[str] = field(default_factory=list)
    roll_backs: int = 0
    ended_at: int | None = None


class SpreadGuard:
    """Looks at the spread of embeddings after every step, and acts; in all processes alike.

    Args:
        training: alarm, and whether anything is done but to warn.
        learner: what is trained; eased, slowed down and taken back.
        num_steps: of the training.
        first_step: steps done.
    """

    def __init__(self, training: TrainingSection, learner: Learner, num_steps: int, first_step: int) -> None:
        self.record = HealthRecord()
        self._acts = training.guard and num_steps >= _LEAST_STEPS and training.batch_size >= _LEAST_BATCH
        self._learner, self._num_steps = learner, num_steps
        self._watch = SpreadWatch(training.collapse_alarm)
        self._patience = int(min(max(_PATIENCE_SHARE * num_steps, _LEAST_PATIENCE), _MOST_PATIENCE))
        self._deadline: int | None = None
        self._easing, self._since = 1.0, 0.0
        self._healthy_step = first_step
        self._healthy_spreads: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._healthy = learner.snapshot() if self._acts else {}

    @property
    def is_over(self) -> bool:
        """Whether training has ended before its time."""
        return self.record.ended_at is not None

    def add(self, logged: Mapping[str, Tensor]) -> None:
        """Take in a batch's scalars."""
        self._watch.add(logged)

    def after_step(self, step: int) -> None:
        """Look at the spread every few steps, and at the end; act where it is time."""
        is_last = step == self._num_steps
        if self.is_over or not (is_last or step % _EVERY == 0):
            return
        unhealthy = self._watch.unhealthy
        if not unhealthy:
            self._be_healthy(step)
        elif self._deadline is None:
            self._be_unhealthy(step, unhealthy)
        elif self._acts and step >= self._deadline and not is_last:
            self._roll_back(step, unhealthy)
        if self._acts and unhealthy and is_last:
            self._end(step, unhealthy)

    def conclude(self) -> None:
        """Raise `GateError` if training has ended, and never was healthy after it began."""
        if self.record.ended_at == 0:
            raise GateError(
                f"pre-training was never healthy: {self.record.events[-1]}; nothing is learned. "
                f"{self._learner.method.collapse_remedy}, take views out that show little, train with --method cpc, or "
                "begin with a lower optimizer.learning_rate (--overwrite)"
            )

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to keep; tensors and plain containers."""
        return {
            "watch": self._watch.state(),
            "deadline": self._deadline,
            "easing": [self._easing, self._since],
            "rate_factor": self._learner.rate_factor,
            "healthy": self._healthy,
            "healthy_step": self._healthy_step,
            "healthy_spreads": self._healthy_spreads,
            "seen": self._seen,
            "events": list(self.record.events),
            "roll_backs": self.record.roll_backs,
            "ended_at": self.record.ended_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self._watch.restore(state["watch"])
        self._deadline = state["deadline"]
        self._ease(*state["easing"])
        self._learner.rate_factor = state["rate_factor"]
        self._healthy, self._healthy_step = state["healthy"], state["healthy_step"]
        self._healthy_spreads, self._seen = state["healthy_spreads"], state["seen"]
        self.record = HealthRecord(list(state["events"]), state["roll_backs"], state["ended_at"])

    def _be_healthy(self, step: int) -> None:
        if self._deadline is not None:
            self._deadline = None
            self._remember(f"step {step}: healthy again (spread {_said(self._watch.spreads)})", is_warning=False)
        spreads = self._watch.spreads
        is_falling = any(spread < _FALLING * self._seen.get(view, 0.0) for view, spread in spreads.items())
        if self._acts and step - self._healthy_step >= self._patience and not is_falling:
            self._healthy, self._healthy_step = self._learner.snapshot(), step
            self._healthy_spreads = spreads
        self._seen = spreads

    def _be_unhealthy(self, step: int, unhealthy: Mapping[str, float]) -> None:
        self._deadline = step + self._patience
        what = f"step {step}: embeddings collapse (spread {_said(unhealthy)}; healthy is near 1)"
        if not self._acts:
            self._remember(f"{what}; {self._learner.method.collapse_remedy}")
            return
        self._remember(f"{what}: {self._loosened(step)}")

    def _loosened(self, step: int) -> str:
        """Ease the method, or slow it down where it has nothing to ease; what was done, in words."""
        if self._ease(_EASE * self._easing, step / self._num_steps):
            return f"views are tied to each other with {self._easing:.2g} of loss.sim and loss.sync, rising anew"
        self._learner.rate_factor *= _EASE
        return f"the learning rate is {self._learner.rate_factor:.2g} of what was asked for"

    def _ease(self, easing: float, since: float) -> bool:
        self._easing, self._since = easing, since
        return self._learner.method.ease(easing, since)

    def _roll_back(self, step: int, unhealthy: Mapping[str, float]) -> None:
        if self.record.roll_backs == _MOST_ROLL_BACKS:
            self._end(step, unhealthy)
            return
        self.record.roll_backs += 1
        self._go_back()
        self._learner.rate_factor *= _SLOWER
        self._deadline = step + self._patience
        self._remember(
            f"step {step}: not healthy yet (spread {_said(unhealthy)}): back to the networks of step "
            f"{self._healthy_step}, at {self._learner.rate_factor:.2g} of the learning rate; {self._loosened(step)}"
        )

    def _end(self, step: int, unhealthy: Mapping[str, float]) -> None:
        self._go_back()
        self.record.ended_at = self._healthy_step
        self._remember(
            f"step {step}: not healthy (spread {_said(unhealthy)}): pre-training ends with the networks of step "
            f"{self._healthy_step}, the last healthy ones"
        )

    def _go_back(self) -> None:
        self._learner.go_back(self._healthy)
        self._watch.go_back(self._healthy_spreads or self._watch.begun_with)

    def _remember(self, event: str, *, is_warning: bool = True) -> None:
        self.record.events.append(event)
        _logger.log(logging.WARNING if is_warning else logging.INFO, "%s", event)


def _said(spreads: Mapping[str, float]) -> str:
    return ", ".join(f"{view} {spread:.2f}" for view, spread in spreads.items())
