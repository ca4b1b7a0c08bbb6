"""Steps and learning rates: what a step averages, the cosine, and the plateau beside torch's own."""

from itertools import pairwise

import pytest
import torch

from cocon.training.config.learning_sections import OptimizerSection, TrainingSection
from cocon.training.loop.schedule import RateSchedule, StepPlan, learning_rate_at


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    section = OptimizerSection(learning_rate=0.1, warmup_epochs=1.0, final_share=0.2)
    rates = [learning_rate_at(step, StepPlan(4, 1, 3), section) for step in range(1, 13)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[7] == pytest.approx(0.06)  # half-way between 0.1 and 0.02
    assert rates[-1] == pytest.approx(0.02)
    assert all(later < earlier for earlier, later in pairwise(rates[3:]))


def test_the_cosine_falls_once_in_each_stage_and_only_the_first_warms_up() -> None:
    section = OptimizerSection(learning_rate=0.1, warmup_epochs=1.0, final_share=0.2)
    stages = RateSchedule(section, StepPlan(2, 1, 5), lambda progress: (0.0, 0.6) if progress <= 0.6 else (0.6, 1.0))
    rates = [stages.rate_at(step) for step in range(1, 11)]
    assert rates[:2] == pytest.approx([0.05, 0.1])
    assert rates[3] == pytest.approx(0.06) and rates[5] == pytest.approx(0.02)
    assert rates[7] == pytest.approx(0.06) and rates[9] == pytest.approx(0.02)
    assert rates[6] > rates[7] > rates[5]


def test_a_warm_up_longer_than_the_run_leaves_the_last_step_to_the_cosine() -> None:
    section = OptimizerSection(learning_rate=0.1, warmup_epochs=9.0, final_share=0.5)
    assert [learning_rate_at(step, StepPlan(2, 1, 2), section) for step in (1, 2, 3, 4)] == pytest.approx(
        [1 / 30, 2 / 30, 0.1, 0.05]
    )
    assert learning_rate_at(1, StepPlan(1, 1, 1), section) == pytest.approx(0.05)


def test_an_epoch_ends_with_a_step_of_the_batches_that_are_left() -> None:
    plan = StepPlan(batches_per_epoch=5, accumulate=2, epochs=2)
    assert (plan.per_epoch, plan.num_steps, plan.num_batches) == (3, 6, 10)
    assert [list(plan.batches_of(step)) for step in range(6)] == [[0, 1], [2, 3], [4], [5, 6], [7, 8], [9]]
    assert plan.batches_of(6).start == 10


def test_without_accumulation_a_step_is_a_batch() -> None:
    plan = StepPlan(batches_per_epoch=3, accumulate=1, epochs=2)
    assert [list(plan.batches_of(step)) for step in range(plan.num_steps)] == [[step] for step in range(6)]


def test_a_training_in_steps_ends_within_an_epoch() -> None:
    plan = StepPlan.of(TrainingSection(steps=5, accumulate=2), batches_per_epoch=5)
    assert (plan.per_epoch, plan.num_steps, plan.num_epochs, plan.num_batches) == (3, 5, 2, 9)
    assert [plan.epoch_of(step) for step in range(1, 6)] == [1, 1, 1, 2, 2]
    assert [plan.ends_epoch(step) for step in range(1, 6)] == [False, False, True, False, True]
    assert [list(plan.batches_of(step)) for step in range(5)] == [[0, 1], [2, 3], [4], [5, 6], [7, 8]]


def test_a_training_of_few_videos_is_made_as_long_as_the_floor_and_its_warm_up_with_it() -> None:
    training = TrainingSection(epochs=15, least_steps=300)
    assert [StepPlan.of(training, batches).num_steps for batches in (2, 20, 30)] == [300, 300, 450]
    assert StepPlan.of(TrainingSection(epochs=0, least_steps=300), 2).num_steps == 0
    section = OptimizerSection(learning_rate=0.1)
    rates = [learning_rate_at(step, StepPlan.of(training, 2), section) for step in range(1, 301)]
    assert rates[19] == max(rates) == pytest.approx(0.1)  # a fifteenth, as of the epochs
    assert rates[9] == pytest.approx(0.05) and rates[-1] == pytest.approx(0.002)
    short = learning_rate_at(4, StepPlan.of(training, 2), OptimizerSection(learning_rate=0.1, warmup_steps=8))
    assert short == pytest.approx(0.05)


LOSSES = [5.0, 4.0, 4.0, 3.9999, 4.1, 4.0, 3.0, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 3.5, 2.0, 2.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(("patience", "minimum"), [(0, 1e-5), (2, 1e-9), (2, 3e-3)])
def test_the_plateau_is_that_of_torch(patience: int, minimum: float) -> None:
    section = OptimizerSection(
        schedule="plateau",
        learning_rate=0.1,
        warmup_epochs=0,
        plateau_patience_epochs=patience,
        min_learning_rate=minimum,
    )
    schedule = RateSchedule(section, StepPlan(3, 1, len(LOSSES)))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=patience, min_lr=minimum)
    rates = []
    for loss in LOSSES:
        reference.step(loss)
        schedule.epoch_ended(loss)
        rates.append(schedule.rate_at(1))
        assert rates[-1] == pytest.approx(optimizer.param_groups[0]["lr"])
    assert len(set(rates)) > 2


def test_the_plateau_warms_up_too_and_goes_on_from_its_state() -> None:
    section = OptimizerSection(schedule="plateau", learning_rate=0.1, warmup_epochs=1, plateau_patience_epochs=1)
    plan = StepPlan(4, 1, 9)
    schedule, other = RateSchedule(section, plan), RateSchedule(section, plan)
    assert [schedule.rate_at(step) for step in range(1, 6)] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    for loss in (1.0, 1.0):
        schedule.epoch_ended(loss)
    other.restore(schedule.state())
    other.epoch_ended(1.0)
    assert other.rate_at(9) == pytest.approx(0.01)
