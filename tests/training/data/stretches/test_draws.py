"""What steps draw: in epochs as ever, or from a pool in which every stretch has its time."""

from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest

from cocon.training.data.stretches.draws import Draw, EpochPlan, PoolPlan, steps_per_epoch

# Twelve stretches of each of ten videos.
VIDEOS = tuple(number // 12 for number in range(120))


def _plan(
    *, videos: tuple[int, ...] = VIDEOS, batch_size: int = 8, reuse: int = 6, capacity: int = 24, seed: int = 3
) -> PoolPlan:
    return PoolPlan(videos, batch_size, seed, reuse, capacity)


@pytest.mark.parametrize(("num_videos", "batch_size"), [(7, 3), (6, 6), (4, 9), (100, 16)])
def test_epochs_are_those_of_all_runs_so_far(num_videos: int, batch_size: int) -> None:
    """A run that was interrupted under an earlier release goes on with the same clips."""
    plan, per_epoch = EpochPlan(num_videos, batch_size, 5), max(1, num_videos // batch_size)
    for step in range(3 * per_epoch):
        epoch, position = divmod(step, per_epoch)
        order = np.random.default_rng([5, epoch]).permutation(num_videos)
        places = range(position * batch_size, (position + 1) * batch_size)
        expected = [(int(order[place % num_videos]), place // num_videos) for place in places]
        assert plan.draws(step) == [
            Draw(index, (epoch, index, again) if again else (epoch, index)) for index, again in expected
        ]


_UNLIKE = tuple(np.random.default_rng(0).integers(1, 9, 50).tolist())


@pytest.mark.parametrize(
    ("counts", "batch_size", "num_batches"),
    [
        (_UNLIKE, 16, sum(_UNLIKE) // 16),
        ((5,) * 40, 16, 12),
        ((1,) * 39 + (100,), 16, 2),  # of the long one there are no more clips than batches of different videos
        ((1, 1, 3, 1), 2, 3),
    ],
)
def test_longer_videos_have_more_clips_and_no_batch_two_of_one(
    counts: tuple[int, ...], batch_size: int, num_batches: int
) -> None:
    plan = EpochPlan(len(counts), batch_size, 4, counts)
    assert steps_per_epoch(len(counts), batch_size, counts) == num_batches
    for epoch in range(3):
        batches = [plan.draws(epoch * num_batches + step) for step in range(num_batches)]
        assert all(len({draw.position for draw in batch}) == batch_size for batch in batches)
        drawn = Counter(draw.position for batch in batches for draw in batch)
        left_out = [min(counts[position], num_batches) - drawn[position] for position in range(len(counts))]
        assert min(left_out) >= 0 and sum(left_out) < batch_size
        assert len({draw.numbers for batch in batches for draw in batch}) == num_batches * batch_size
    assert plan.draws(1) != plan.draws(num_batches + 1)


@pytest.mark.parametrize(
    ("counts", "batch_size", "num_batches"), [((7,) * 5, 16, 2), ((12, 3, 1), 4, 4), ((2, 2, 2), 16, 1)]
)
def test_too_few_videos_share_the_batches_evenly(counts: tuple[int, ...], batch_size: int, num_batches: int) -> None:
    plan = EpochPlan(len(counts), batch_size, 4, counts)
    assert steps_per_epoch(len(counts), batch_size, counts) == num_batches
    in_batches = [Counter(draw.position for draw in plan.draws(step)) for step in range(num_batches)]
    assert all(sum(batch.values()) == batch_size for batch in in_batches)
    for position in range(len(counts)):
        times = [batch[position] for batch in in_batches]
        assert max(times) - min(times) <= 1


def test_a_pool_grows_to_its_capacity_and_then_the_oldest_leave() -> None:
    plan = _plan()
    members = [plan.members(step) for step in range(60)]
    assert [len(here) for here in members[:3]] == [8, 10, 11]  # 8 + ceil(8 step / 6)
    assert max(map(len, members)) == 24
    for before, after in pairwise(members):
        kept = [position for position in before if position in set(after)]
        assert after[: len(kept)] == kept, "others than the oldest have left"


def test_every_stretch_is_drawn_as_often_as_is_said_before_it_leaves_and_all_have_their_turn() -> None:
    plan = _plan()
    turn = 120 * 6 // 8  # steps after which each has arrived once
    counts = Counter(draw.position for step in range(turn, 5 * turn) for draw in plan.draws(step))
    assert set(counts) == set(range(120))
    assert np.mean(list(counts.values())) == pytest.approx(4 * 6)
    assert np.std(list(counts.values())) < 8


def test_a_batch_has_other_stretches_and_as_many_videos_as_there_are() -> None:
    for step in range(100):
        plan = _plan()
        positions = [draw.position for draw in plan.draws(step)]
        videos = {VIDEOS[position] for position in positions}
        assert len(set(positions)) == 8
        assert len(videos) == min(8, len({VIDEOS[position] for position in plan.members(step)}))


def test_a_clip_is_never_drawn_twice() -> None:
    for plan in (_plan(), _plan(capacity=3), _plan(videos=(0,) * 20, batch_size=9, reuse=2, capacity=40)):
        draws = list(chain.from_iterable(plan.draws(step) for step in range(80)))
        assert len({draw.numbers for draw in draws}) == len(draws)


def test_where_all_have_room_they_are_drawn_in_epochs_as_soon_as_all_are_there() -> None:
    plan = _plan(capacity=500)
    first = next(step for step in range(1000) if plan.is_complete(step))
    assert first == (120 - 8) * 6 // 8
    assert set(plan.members(first)) == set(range(120))
    assert all(plan.draws(step) == EpochPlan(120, 8, 3).draws(step) for step in range(first, first + 30))
    assert not _plan().is_complete(10**6)


def test_a_plan_depends_on_seed_and_step_alone() -> None:
    assert [_plan().draws(step) for step in range(50)] == [_plan().draws(step) for step in range(50)]
    assert _plan(seed=4).draws(0) != _plan().draws(0)
    assert _plan().draws(7) == (lambda plan: [plan.draws(9), plan.draws(7)])(_plan())[1]


def test_what_is_wanted_first_is_what_is_drawn_first_and_then_what_arrives() -> None:
    plan = _plan()
    wanted = plan.wanted(40, num_ahead=5)
    assert set(wanted[:8]) == {draw.position for draw in plan.draws(40)}
    assert set(plan.members(40)) <= set(wanted)
    assert len(wanted) == len(set(wanted)) <= 24 + 5
    assert set(plan.members(43)) <= set(wanted)


def test_in_place_of_one_that_fails_the_next_arrivals_are_taken() -> None:
    plan = _plan()
    first, second = plan.members(0)[:2]
    substitutes = list(plan.substitutes(first))
    assert substitutes[:2] == [first, second]
    assert sorted(substitutes) == list(range(120))
