"""L_sim and L_sync against the sums they stand for."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from cocon.training.losses.cooperative import SimForm, SyncForm, sim_loss, sync_loss

Loss = Callable[[Tensor, Tensor], Tensor]


def _raw(M: int, D: int, seed: int) -> Tensor:
    return torch.randn(M, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return 1 - torch.dot(a, b) / (a.norm() * b.norm())


def _reference_sim(first: Tensor, second: Tensor, form: SimForm, mu: float) -> Tensor:
    """Slides of Rai et al. 2021: Σ_a D(h0_a, h1_a) + μ Σ_{a≠b} max(0, 1 - D(h0_a, h1_b)); balanced: of means."""
    M = len(first)
    positives, negatives = [], []
    for a in range(M):
        for b in range(M):
            distance = _distance(first[a], second[b])
            if a == b:
                positives.append(distance)
            else:
                negatives.append(torch.clamp(1 - distance, min=0))
    assert len(positives) == M
    assert len(negatives) == M * M - M
    if form == "paper":
        return torch.stack(positives).sum() + mu * torch.stack(negatives).sum()
    return 0.5 * torch.stack(positives).mean() + 0.5 * torch.stack(negatives).mean()


def _reference_sync(first: Tensor, second: Tensor, form: SyncForm) -> Tensor:
    """Slides of Rai et al. 2021: Σ_ab (D(h0_a, h0_b) - D(h1_a, h1_b))²; l1: the released code's mean |·|."""
    M = len(first)
    total = torch.zeros((), dtype=torch.float64)
    for a in range(M):
        for b in range(M):
            difference = _distance(first[a], first[b]) - _distance(second[a], second[b])
            total = total + (difference.abs() if form == "l1" else difference * difference)
    return total if form == "paper" else total / (M * M)


def _assert_same(found: Loss, reference: Loss, inputs: list[Tensor]) -> None:
    """Values and gradients with respect to vectors before their normalisation."""
    leaves = [x.requires_grad_() for x in inputs]
    loss, expected = (function(*(_unit(x) for x in leaves)) for function in (found, reference))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    wanted = torch.autograd.grad(expected, leaves)
    for gradient, one in zip(torch.autograd.grad(loss, leaves), wanted, strict=True):
        assert torch.allclose(gradient, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("form", "mu"), [("balanced", 1.0), ("paper", 1.0), ("paper", 0.25)])
@pytest.mark.parametrize(("M", "D"), [(2, 3), (6, 4), (9, 16)])
def test_sim_has_the_values_and_gradients_of_its_formula(form: SimForm, mu: float, M: int, D: int) -> None:
    _assert_same(
        lambda first, second: sim_loss(first, second, form=form, mu=mu),
        lambda first, second: _reference_sim(first, second, form, mu),
        [_raw(M, D, 0), _raw(M, D, 1)],
    )


@pytest.mark.parametrize("form", get_args(SyncForm))
@pytest.mark.parametrize("dims", [(4, 4), (3, 8)])
@pytest.mark.parametrize("M", [2, 6, 9])
def test_sync_has_the_values_and_gradients_of_its_formula(form: SyncForm, dims: tuple[int, int], M: int) -> None:
    _assert_same(
        lambda first, second: sync_loss(first, second, form=form),
        lambda first, second: _reference_sync(first, second, form),
        [_raw(M, dims[0], 0), _raw(M, dims[1], 1)],
    )


def test_balanced_sim_is_the_papers_with_mu_of_one_over_the_negatives_per_row() -> None:
    first, second, M = _unit(_raw(7, 5, 0)), _unit(_raw(7, 5, 1)), 7
    paper = sim_loss(first, second, form="paper", mu=1 / (M - 1))
    assert sim_loss(first, second).item() == pytest.approx(paper.item() / (2 * M), rel=1e-5)


@pytest.mark.parametrize("form", get_args(SimForm))
def test_sim_is_zero_for_equal_orthogonal_vectors_and_counts_no_negative_cosine(form: SimForm) -> None:
    assert sim_loss(torch.eye(5), torch.eye(5), form=form).item() == pytest.approx(0.0, abs=1e-6)
    opposed = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert sim_loss(opposed, opposed, form=form).item() == pytest.approx(0.0, abs=1e-6)


def test_sim_of_collapsed_views_is_the_weight_of_the_negatives() -> None:
    collapsed = torch.tensor([[1.0, 0.0]] * 6)
    assert sim_loss(collapsed, collapsed).item() == pytest.approx(0.5)
    assert sim_loss(collapsed, collapsed, form="paper").item() == pytest.approx(30.0)


@pytest.mark.parametrize("form", get_args(SyncForm))
def test_sync_is_zero_where_one_view_is_the_other_rotated(form: SyncForm) -> None:
    first = _unit(_raw(8, 5, 0)).float()
    rotation = torch.linalg.qr(_raw(5, 5, 1).float()).Q
    assert sync_loss(first, first @ rotation, form=form).item() == pytest.approx(0.0, abs=1e-5)
    assert sync_loss(first, first.flip(0), form=form).item() > 0.01


LOSSES: list[Loss] = [
    *(lambda a, b, form=form: sim_loss(a, b, form=form) for form in get_args(SimForm)),
    *(lambda a, b, form=form: sync_loss(a, b, form=form) for form in get_args(SyncForm)),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_exchanging_the_views_changes_nothing(loss: Loss) -> None:
    first, second = _unit(_raw(7, 5, 0)), _unit(_raw(7, 5, 1))
    assert loss(first, second).item() == pytest.approx(loss(second, first).item(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_reordering_the_videos_of_both_views_changes_nothing(loss: Loss) -> None:
    first, second = _unit(_raw(7, 5, 0)), _unit(_raw(7, 5, 1))
    order = torch.randperm(7, generator=torch.Generator().manual_seed(0))
    assert loss(first[order], second[order]).item() == pytest.approx(loss(first, second).item(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_flow_into_both_views(loss: Loss) -> None:
    first, second = (_raw(7, 5, seed).requires_grad_() for seed in (0, 1))
    for gradient in torch.autograd.grad(loss(_unit(first), _unit(second)), [first, second]):
        assert (gradient.abs().amax(dim=1) > 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_inputs_are_summed_in_float32(loss: Loss) -> None:
    assert loss(_unit(_raw(7, 5, 0)).half(), _unit(_raw(7, 5, 1)).half()).dtype == torch.float32
