"""The ConvGRU against its equations, cell by cell."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.training.models.convgru import ConvGRU


def _gru(channels: int = 6, *, dropout: float = 0.1) -> ConvGRU:
    torch.manual_seed(0)
    gru = ConvGRU(channels, dropout=dropout)
    for gate in (gru.update_gate, gru.reset_gate, gru.out_gate):
        torch.nn.init.normal_(gate.bias, std=0.5)  # zero biases would hide a missing one
    return gru


def _reference_step(gru: ConvGRU, x: Tensor, hidden: Tensor) -> Tensor:
    """h' of one cell: x and h are vectors `[D]`. Source: methods of DPC and CoCon, gates as in Cho et al. 2014."""

    def gate(convolution: torch.nn.Conv2d, joined: Tensor) -> Tensor:
        return convolution.weight[:, :, 0, 0] @ joined + convolution.bias

    update = 1 / (1 + torch.exp(-gate(gru.update_gate, torch.cat([x, hidden]))))
    reset = 1 / (1 + torch.exp(-gate(gru.reset_gate, torch.cat([x, hidden]))))
    candidate = torch.tanh(gate(gru.out_gate, torch.cat([x, reset * hidden])))
    return (1 - update) * hidden + update * candidate


def test_a_step_follows_the_equations_at_every_cell() -> None:
    gru = _gru().eval()
    x, hidden = torch.randn(2, 6, 3, 3), torch.randn(2, 6, 3, 3)
    state = gru(x, hidden)
    for b in range(2):
        for i in range(3):
            for j in range(3):
                expected = _reference_step(gru, x[b, :, i, j], hidden[b, :, i, j])
                assert torch.allclose(state[b, :, i, j], expected, atol=1e-6)


def test_the_first_state_is_zero() -> None:
    gru, x = _gru().eval(), torch.randn(2, 6, 2, 2)
    assert torch.equal(gru(x), gru(x, torch.zeros(2, 6, 2, 2)))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_last_state_is_the_state_after_every_step(length: int) -> None:
    gru, sequence = _gru().eval(), torch.randn(2, length, 6, 2, 2)
    hidden = torch.zeros(2, 6, 2, 2)
    for step in range(length):
        hidden = gru(sequence[:, step], hidden)
    assert torch.equal(gru.last_state(sequence), hidden)


def test_the_state_is_dropped_at_every_step_and_carried_on() -> None:
    gru, sequence = _gru(dropout=0.5).train(), torch.randn(2, 4, 6, 2, 2)
    torch.manual_seed(3)
    found = gru.last_state(sequence)
    torch.manual_seed(3)
    hidden = torch.zeros(2, 6, 2, 2)
    for step in range(4):
        new = torch.empty_like(hidden)
        for b in range(2):
            for cell in range(4):
                i, j = divmod(cell, 2)
                new[b, :, i, j] = _reference_step(gru, sequence[b, step, :, i, j], hidden[b, :, i, j])
        hidden = F.dropout(new, 0.5)
    assert torch.allclose(found, hidden, atol=1e-6)
    assert (found == 0).float().mean() > 0.2


def test_nothing_is_dropped_in_evaluation() -> None:
    gru, sequence = _gru(dropout=0.9).eval(), torch.randn(2, 4, 6, 2, 2)
    assert torch.equal(gru.last_state(sequence), gru.last_state(sequence))


def test_gates_start_orthogonal_with_zero_biases() -> None:
    gru = ConvGRU(8)
    for gate in (gru.update_gate, gru.reset_gate, gru.out_gate):
        weight = gate.weight[:, :, 0, 0]
        assert gate.kernel_size == (1, 1)
        assert torch.allclose(weight @ weight.T, torch.eye(8), atol=1e-5)
        assert (gate.bias == 0).all()
    assert gru.dropout.p == 0.1


def test_gradients_reach_the_first_step() -> None:
    gru, sequence = _gru().eval(), torch.randn(1, 5, 6, 2, 2, requires_grad=True)
    gru.last_state(sequence).sum().backward()
    assert sequence.grad is not None
    assert (sequence.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()
