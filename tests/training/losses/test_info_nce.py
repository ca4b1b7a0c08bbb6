"""L_cpc against the sum it stands for."""

import math

import pytest
import torch
from torch import Tensor

from cocon.training.losses.info_nce import dense_info_nce, dense_top1


def _unit_maps(B: int, P: int, D: int, s: int, *, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, P, D, s, s, generator=generator, dtype=torch.float64)
    return x / x.norm(dim=2, keepdim=True)


def _cells(B: int, P: int, s: int) -> list[tuple[int, int, int, int]]:
    return [(b, i, y, x) for b in range(B) for i in range(P) for y in range(s) for x in range(s)]


def _reference_info_nce(predictions: Tensor, targets: Tensor, scale: float) -> Tensor:
    """-mean over (b, i, k) of log [exp(ẑ·z · scale) / Σ exp(ẑ·z' · scale)], all cells z' of the batch.

    Source: Rai et al. 2021, https://arxiv.org/abs/2104.14764, L_cpc.
    """
    B, P, _, s, _ = predictions.shape
    total = torch.zeros((), dtype=torch.float64)
    cells = _cells(B, P, s)
    for b, i, y, x in cells:
        predicted = predictions[b, i, :, y, x]
        scores = [torch.dot(predicted, targets[c, j, :, v, u]) * scale for c, j, v, u in cells]
        own = torch.dot(predicted, targets[b, i, :, y, x]) * scale
        total = total - (own - torch.log(sum((torch.exp(score) for score in scores), torch.zeros(()))))
    return total / len(cells)


@pytest.mark.parametrize("shape", [(2, 2, 4, 2), (3, 1, 5, 1), (1, 3, 4, 2), (2, 3, 3, 1)])
@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_values_and_gradients_are_those_of_the_formula(shape: tuple[int, int, int, int], temperature: float) -> None:
    inputs = [_unit_maps(*shape, seed=seed).requires_grad_() for seed in (0, 1)]
    expected = _reference_info_nce(*inputs, 1 / temperature)
    found = dense_info_nce(*inputs, temperature=temperature)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    wanted = torch.autograd.grad(expected, inputs)
    for gradient, reference in zip(torch.autograd.grad(found, inputs), wanted, strict=True):
        assert torch.allclose(gradient, reference, rtol=1e-4, atol=1e-5)


def test_the_released_codes_two_temperatures_are_one_squared() -> None:
    predictions, targets = _unit_maps(2, 2, 4, 2, seed=0), _unit_maps(2, 2, 4, 2, seed=1)
    tau = 0.3  # dividing both factors by τ
    expected = _reference_info_nce(predictions / tau, targets / tau, 1.0)
    assert dense_info_nce(predictions, targets, temperature=tau**2).item() == pytest.approx(expected.item(), rel=1e-5)


def test_every_other_cell_of_the_batch_is_a_negative() -> None:
    B, P, s = 2, 3, 4
    targets = _unit_maps(B, P, 8, s, seed=0)
    silent = torch.zeros_like(targets)
    # Equal scores: the loss is the logarithm of how many cells there are.
    assert dense_info_nce(silent, targets, temperature=0.07).item() == pytest.approx(math.log(B * P * s * s), rel=1e-6)


def test_negatives_are_spatial_temporal_and_easy_in_the_papers_numbers() -> None:
    B, P, D, s = 2, 3, 8, 4
    row = (1, 2, 0, 3)
    predictions = torch.zeros(B, P, D, s, s, dtype=torch.float64)
    predictions[row[0], row[1], :, row[2], row[3]] = _unit_maps(1, 1, D, 1, seed=1).flatten()
    targets = _unit_maps(B, P, D, s, seed=0).requires_grad_()
    # Only one predicted cell is not zero, so only its row moves the targets: towards it or away.
    (gradient,) = torch.autograd.grad(dense_info_nce(predictions, targets, temperature=1.0), targets)
    along = torch.einsum("bpdyx,d->bpyx", gradient, predictions[row[0], row[1], :, row[2], row[3]])
    counts = {"positive": 0, "spatial": 0, "temporal": 0, "easy": 0}
    for cell in _cells(B, P, s):
        if cell == row:
            kind, is_pulled = "positive", True
        else:
            is_pulled = False
            kind = "easy" if cell[0] != row[0] else "temporal" if cell[2:] == row[2:] else "spatial"
        assert (along[cell] < 0) == is_pulled  # down the gradient is towards the prediction
        assert along[cell] != 0
        counts[kind] += 1
    assert counts == {"positive": 1, "spatial": 45, "temporal": 2, "easy": 48}


def test_the_own_target_is_the_positive() -> None:
    targets = _unit_maps(3, 2, 16, 2, seed=0)
    perfect = dense_info_nce(targets, targets, temperature=0.01)
    assert perfect.item() < 1e-3
    assert dense_info_nce(targets.flip(0), targets, temperature=0.01).item() > 10


@pytest.mark.parametrize("axis", [0, 1, 3, 4])
def test_reordering_both_sides_alike_changes_nothing(axis: int) -> None:
    predictions, targets = _unit_maps(3, 2, 5, 2, seed=0), _unit_maps(3, 2, 5, 2, seed=1)
    loss = dense_info_nce(predictions, targets, temperature=0.1)
    flipped = dense_info_nce(predictions.flip(axis), targets.flip(axis), temperature=0.1)
    assert flipped.item() == pytest.approx(loss.item(), rel=1e-6)
    assert dense_info_nce(predictions.flip(axis), targets, temperature=0.1).item() != pytest.approx(loss.item())


def test_half_precision_inputs_are_summed_in_float32() -> None:
    predictions, targets = _unit_maps(2, 2, 8, 2, seed=0).half(), _unit_maps(2, 2, 8, 2, seed=1).half()
    loss = dense_info_nce(predictions, targets, temperature=0.07**2)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_top1_is_the_share_of_cells_that_find_their_own_target() -> None:
    targets = _unit_maps(2, 2, 16, 2, seed=0)
    assert dense_top1(targets, targets).item() == 1.0
    assert dense_top1(targets.flip(0), targets).item() == 0.0
    half = targets.clone()
    half[1] = targets[0]
    assert dense_top1(half, targets).item() == 0.5
    assert not dense_top1(targets.clone().requires_grad_(), targets).requires_grad
