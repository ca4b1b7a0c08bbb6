"""Queues and momentum copies keep what they promise."""

import pytest
import torch

from cocon.embedding.contract import EncoderSpec, Normalisation
from cocon.training.methods.method import EncoderNetwork
from cocon.training.methods.momentum import KeyQueue, MomentumCopy, Shuffle
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS


def _network(seed: int) -> EncoderNetwork:
    torch.manual_seed(seed)
    return EncoderNetwork(build_encoder(EncoderSpec("resnet2d", (1, 1, 1, 1), 2), VIEWS["mask"]))


def test_a_queue_holds_the_newest_keys_first_in_first_out() -> None:
    queue = KeyQueue(5, 1)
    newest: list[float] = []
    for size in (2, 2, 3, 5, 1):
        keys = torch.arange(len(newest), len(newest) + size, dtype=torch.float32)
        newest += keys.tolist()
        assert queue.is_full == (len(newest) - size >= 5)
        queue.push(keys[:, None])
        held = set(queue.keys.flatten().tolist())
        assert held >= set(newest[-5:])
    assert held == set(newest[-5:])


def test_of_more_keys_than_a_queue_holds_the_last_stay() -> None:
    queue = KeyQueue(3, 1)
    queue.push(torch.arange(8.0)[:, None])
    queue.push(torch.tensor([[8.0]]))
    assert sorted(queue.keys.flatten().tolist()) == [6.0, 7.0, 8.0]


def test_a_queue_remembers_what_it_has_seen_alone_and_is_part_of_the_state() -> None:
    queue = KeyQueue(6, 4)
    assert len(queue.remembered) == 0
    queue.push(torch.ones(2, 4))
    assert torch.equal(queue.remembered, torch.ones(2, 4))
    other = KeyQueue(6, 4)
    other.load_state_dict(queue.state_dict())
    other.push(torch.zeros(1, 4))
    assert other.keys[2].eq(0).all()  # goes on where the first one stood


def test_a_copy_follows_slowly_and_learns_nothing_itself() -> None:
    source, target = _network(0), _network(1)
    copied = MomentumCopy(source, 0.75)
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    before = {name: value.clone() for name, value in copied.module.named_parameters()}
    copied.follow(target)
    for (name, value), other in zip(copied.module.named_parameters(), target.parameters(), strict=True):
        assert torch.allclose(value, 0.75 * before[name] + 0.25 * other, atol=1e-6)
    for _ in range(100):
        copied.follow(target)
    assert all(
        torch.allclose(value, other, atol=1e-5)
        for value, other in zip(copied.parameters(), target.parameters(), strict=True)
    )


@pytest.mark.parametrize(("momentum", "follows"), [(1.0, False), (0.0, True)])
def test_the_ends_of_momentum_are_standing_still_and_being_the_source(momentum: float, follows: bool) -> None:
    source, target = _network(0), _network(1)
    copied = MomentumCopy(source, momentum)
    copied.follow(target)
    expected = target if follows else source
    assert all(
        torch.equal(value, other) for value, other in zip(copied.parameters(), expected.parameters(), strict=True)
    )


def test_a_copy_restarts_as_another_network_with_its_normalisation() -> None:
    source = _network(1)
    source.encoder.normalise_by(Normalisation((0.2,), (0.7,)))
    source.encoder.backbone.train()
    copied = MomentumCopy(_network(0), 0.9)
    copied.restart(source)
    frames = torch.randint(0, 256, (2, 1, 1, 32, 32, 1), dtype=torch.uint8)
    assert torch.equal(copied.module.eval().encoder(frames).embedding, source.eval().encoder(frames).embedding)


def test_a_shuffle_changes_nothing_where_there_is_one_process() -> None:
    rows, shuffle = torch.rand(4, 3), Shuffle(4, torch.device("cpu"))
    assert shuffle.undone(shuffle.dealt(rows)) is rows
