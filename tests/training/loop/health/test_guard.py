"""A collapse is noticed within a few steps, answered within bounds and told once; what was learned before is kept."""

import io
import logging
from collections.abc import Callable

import pytest
import torch
from lightning_fabric import Fabric

from cocon.core.errors import GateError
from cocon.training.config.run import Config
from cocon.training.loop.health.guard import SpreadGuard
from cocon.training.loop.health.watch import SpreadWatch
from cocon.training.loop.learner import Learner
from cocon.training.loop.schedule import StepPlan

MakeConfig = Callable[..., Config]
STEPS = 200  # of which 16 are what a training is given to recover in
PATIENCE = 16


class Training:
    """Networks whose weights are the number of the step, and embeddings that spread as the test says."""

    def __init__(self, config: Config, num_steps: int = STEPS) -> None:
        self.learner = Learner(config, StepPlan(1, 1, num_steps), Fabric(accelerator="cpu", devices=1), None)
        self.guard = SpreadGuard(config.training, self.learner, num_steps, 0)
        self.step = 0

    def go(self, num_steps: int, spread: float) -> None:
        for _ in range(num_steps):
            if self.guard.is_over:
                return
            self.step += 1
            with torch.no_grad():
                self.weight.fill_(self.step)
            self.guard.add({"spread/rgb": torch.tensor(0.8), "spread/pose": torch.tensor(spread)})
            self.guard.after_step(self.step)

    @property
    def weight(self) -> torch.Tensor:
        return next(self.learner.method.parameters())

    @property
    def trained_until(self) -> float:
        return float(self.weight.detach().flatten()[0])


@pytest.fixture
def training(tiny_config: MakeConfig) -> Training:
    return Training(tiny_config("training.batch_size=4"))


def test_what_stays_spread_out_is_left_alone(training: Training) -> None:
    training.go(STEPS, 0.7)
    assert training.guard.record.events == [] and training.trained_until == STEPS
    assert training.guard.state()["easing"] == [1.0, 0.0] and training.learner.rate_factor == 1.0


def test_a_collapse_loosens_the_ties_at_once_and_is_told_once(
    training: Training, caplog: pytest.LogCaptureFixture
) -> None:
    training.go(40, 0.7)
    with caplog.at_level(logging.WARNING):
        training.go(10, 0.1)
        training.go(100, 0.6)
    (said,) = caplog.messages
    assert said.startswith("step 45: embeddings collapse (spread pose 0.30")
    assert "0.3 of loss.sim and loss.sync, rising anew" in said
    assert training.guard.state()["easing"] == [pytest.approx(0.3), 0.225]
    assert training.trained_until == 150 and training.guard.record.roll_backs == 0
    assert training.guard.record.events[1].startswith("step 55: healthy again")


def test_what_does_not_recover_goes_back_to_where_it_was_healthy_and_on_from_there(training: Training) -> None:
    training.go(40, 0.7)
    training.go(30, 0.05)
    assert training.guard.record.roll_backs == 1
    last = training.guard.record.events[-1]
    assert "back to the networks of step 40" in last and "0.5 of the learning rate" in last and "0.09 of" in last
    training.go(100, 0.7)
    assert training.guard.record.roll_backs == 1 and not training.guard.is_over


def test_weights_and_moments_are_those_of_the_healthy_step(training: Training) -> None:
    training.go(40, 0.7)
    training.go(5 + PATIENCE + 4, 0.05)
    assert training.guard.record.roll_backs == 1
    assert training.trained_until == 40  # nothing was written since: the last step went back


def test_three_times_is_enough_then_the_healthy_networks_are_the_end(training: Training) -> None:
    training.go(60, 0.7)
    training.go(STEPS - 60, 0.05)
    record = training.guard.record
    assert record.roll_backs == 3 and record.ended_at == 60 == training.trained_until
    assert "pre-training ends with the networks of step 60" in record.events[-1]
    assert training.step < STEPS
    training.guard.conclude()


def test_who_collapses_at_the_very_end_ends_where_it_was_healthy(tiny_config: MakeConfig) -> None:
    training = Training(tiny_config("training.batch_size=4"), 60)
    training.go(48, 0.7)
    training.go(12, 0.05)
    assert training.guard.record.ended_at == training.trained_until == 40
    training.guard.conclude()


def test_who_never_was_healthy_has_trained_nothing(training: Training) -> None:
    training.go(3, 0.7)
    training.go(STEPS, 0.05)
    with pytest.raises(GateError, match=r"pre-training was never healthy.*lower loss\.sync.*--method cpc") as caught:
        training.guard.conclude()
    assert caught.value.exit_code == 6


def test_a_method_without_ties_is_slowed_down(tiny_config: MakeConfig) -> None:
    training = Training(tiny_config("training.batch_size=4", "method=cpc"))
    training.go(40, 0.7)
    training.go(10, 0.05)
    assert training.learner.rate_factor == pytest.approx(0.3)
    assert "the learning rate is 0.3 of what was asked for" in training.guard.record.events[0]


@pytest.mark.parametrize("settings", [["training.guard=false", "training.batch_size=4"], ["training.batch_size=2"]])
def test_without_a_guard_or_with_hardly_any_clips_it_is_only_told(
    settings: list[str], tiny_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    training = Training(tiny_config(*settings))
    training.go(40, 0.7)
    training.go(STEPS - 40, 0.05)
    assert len(caplog.messages) == 1 and "lower loss.sync or raise loss.sync_ramp" in caplog.messages[0]
    assert training.trained_until == STEPS and not training.guard.is_over
    training.guard.conclude()


def test_a_checkpoint_holds_all_of_it(training: Training, tiny_config: MakeConfig) -> None:
    training.go(40, 0.7)
    training.go(12, 0.05)
    stored = io.BytesIO()
    torch.save({"learner": training.learner.state(52), "guard": training.guard.state()}, stored)
    stored.seek(0)
    state = torch.load(stored, weights_only=True)
    other = Training(tiny_config("training.batch_size=4"))
    other.learner.method.load_state_dict(state["learner"]["method"])
    other.guard.restore(state["guard"])
    other.step = training.step
    for each in (training, other):
        each.go(60, 0.05)
        each.go(30, 0.7)
    assert other.guard.record == training.guard.record and other.guard.record.roll_backs > 1
    assert other.trained_until == training.trained_until
    for (name, tensor), mine in zip(
        training.learner.method.state_dict().items(), other.learner.method.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, mine), name


def test_who_began_below_the_alarm_must_keep_nine_tenths_of_it() -> None:
    watch = SpreadWatch(0.3)
    for spread in (0.2, 0.2, 0.2, 0.19, 0.19):
        watch.add({"spread/pose": torch.tensor(spread), "loss": torch.tensor(9.0)})
    assert watch.unhealthy == {}
    for _ in range(20):
        watch.add({"spread/pose": torch.tensor(0.17)})
    assert watch.unhealthy == {"pose": pytest.approx(0.17, abs=0.001)}
    watch.add({"spread/pose": torch.tensor(float("nan"))})
    assert "pose" in watch.unhealthy
