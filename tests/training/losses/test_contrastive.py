"""The losses of ViCC, VCLR and CycleContrast against their formulas written out, values and gradients."""

import math
from collections.abc import Callable
from functools import partial
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.training.losses.cycle import cycle_loss, soft_nearest_neighbours
from cocon.training.losses.info_nce import intra_frame_loss, queued_info_nce
from cocon.training.losses.order import order_loss, shuffled_tuples
from cocon.training.losses.prototypes import sinkhorn, swapped_prediction_loss

B, D, K = 3, 5, 7
TAU = 0.3


def _unit(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def _literal_info_nce(queries: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for query, positive in zip(queries, positives, strict=True):
        own = torch.exp(torch.dot(query, positive) / TAU)
        others = sum((torch.exp(torch.dot(query, negative) / TAU) for negative in negatives), torch.zeros(()))
        total = total - torch.log(own / (own + others))
    return total / len(queries)


def _literal_pairs_info_nce(queries: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Two rows of each video: positives of the others are negatives too."""
    rows = []
    for r in range(len(queries)):
        elsewhere = torch.stack([positives[s] for s in range(len(positives)) if s // 2 != r // 2])
        rows.append(_literal_info_nce(queries[r : r + 1], positives[r : r + 1], torch.cat([negatives, elsewhere])))
    return torch.stack(rows).mean()


def _literal_intra(queries: Tensor, same: Tensor, different: Tensor) -> Tensor:
    terms = []
    for b in range(B):
        for other in different[b]:
            own = torch.exp(queries[b] @ same[b] / TAU)
            terms.append(-torch.log(own / (own + torch.exp(queries[b] @ other / TAU))))
    return torch.stack(terms).mean()


def _literal_cycle(queries: Tensor, positives: Tensor, neighbours: Tensor, negatives: Tensor) -> Tensor:
    found = []
    for query in queries:
        weights = [torch.exp(query @ neighbour / TAU) for neighbour in neighbours]
        blend = sum((w / sum(weights) * u for w, u in zip(weights, neighbours, strict=True)), torch.zeros(D))
        found.append(blend / blend.norm())
    return _literal_info_nce(torch.stack(found), positives, negatives)


def _literal_swapped(*scores: Tensor) -> Tensor:
    codes = [sinkhorn(each.detach(), epsilon=0.5, iterations=3).double() for each in scores]
    rows = []
    for i, code in enumerate(codes):
        of_others = []
        for j, score in enumerate(scores):
            if i != j:
                chances = torch.exp(score / TAU) / torch.exp(score / TAU).sum(dim=1, keepdim=True)
                of_others.append(-(code * torch.log(chances)).sum(dim=1).mean())
        rows.append(sum(of_others, torch.zeros(())) / len(of_others))
    return sum(rows, torch.zeros(())) / len(rows)


def _swapped(*scores: Tensor) -> Tensor:
    codes = [sinkhorn(each.detach(), epsilon=0.5, iterations=3).double() for each in scores]
    return swapped_prediction_loss(codes, scores, temperature=TAU)


@pytest.mark.parametrize(
    ("ours", "literal", "shapes"),
    [
        (queued_info_nce, _literal_info_nce, [(B, D), (B, D), (K, D)]),
        (partial(queued_info_nce, rows_per_video=2), _literal_pairs_info_nce, [(2 * B, D), (2 * B, D), (K, D)]),
        (intra_frame_loss, _literal_intra, [(B, D), (B, D), (B, 2, D)]),
        (cycle_loss, _literal_cycle, [(B, D), (B, D), (K, D), (4, D)]),
        (lambda *scores, temperature: _swapped(*scores), _literal_swapped, [(B, K)] * 2),
        (lambda *scores, temperature: _swapped(*scores), _literal_swapped, [(B, K)] * 4),
    ],
    ids=["queued", "queued and batch", "intra", "cycle", "swapped two", "swapped four"],
)
def test_a_loss_and_its_gradients_are_those_of_the_formula(
    ours: Callable[..., Tensor], literal: Callable[..., Tensor], shapes: list[tuple[int, ...]]
) -> None:
    given = [_unit(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes)]
    loss, expected = ours(*given, temperature=TAU), literal(*given)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients, references = torch.autograd.grad(loss, given), torch.autograd.grad(expected, given)
    for gradient, reference in zip(gradients, references, strict=True):
        assert reference.abs().max() > 1e-3
        assert torch.allclose(gradient, reference, atol=1e-6)


def test_a_query_that_is_its_positive_and_far_from_the_rest_costs_nothing() -> None:
    eye = torch.eye(4)
    assert queued_info_nce(eye[:1], eye[:1], eye[1:], temperature=0.01).item() == pytest.approx(0.0, abs=1e-6)
    assert queued_info_nce(eye[:1], eye[1:2], eye[2:3], temperature=1.0).item() == pytest.approx(math.log(2))


def test_the_soft_nearest_neighbour_becomes_the_nearest_as_the_temperature_falls() -> None:
    queries, neighbours = _unit(B, D), _unit(K, D, seed=1)
    nearest = neighbours[(queries @ neighbours.T).argmax(dim=1)]
    assert torch.allclose(soft_nearest_neighbours(queries, neighbours, temperature=1e-3), nearest, atol=1e-6)


def test_sinkhorn_divides_rows_and_columns_in_turn() -> None:
    scores = _unit(6, K)
    table = [[math.exp(value / 0.4) for value in row] for row in scores.tolist()]
    for _ in range(3):
        for k in range(K):
            column = sum(row[k] for row in table)
            for row in table:
                row[k] /= column * K
        for row in table:
            total = sum(row)
            row[:] = [value / total / len(table) for value in row]
    expected = torch.tensor(table) * len(table)
    assert torch.allclose(sinkhorn(scores, epsilon=0.4, iterations=3), expected, atol=1e-6)


def test_sinkhorn_gives_whole_samples_and_equal_shares_of_prototypes() -> None:
    codes = sinkhorn(_unit(40, 8), epsilon=0.5, iterations=200)
    assert torch.allclose(codes.sum(dim=1), torch.ones(40), atol=1e-5)
    assert torch.allclose(codes.sum(dim=0), torch.full((8,), 5.0), atol=1e-3)
    assert not codes.requires_grad


def test_sinkhorn_does_not_overflow_however_sharp_it_is() -> None:
    codes = sinkhorn(_unit(9, 4), epsilon=1e-3, iterations=3)
    assert torch.isfinite(codes).all()
    assert codes.max() > 0.99


def test_a_shuffled_tuple_is_neither_in_order_nor_reversed_and_half_of_them_are() -> None:
    torch.manual_seed(0)
    positions = torch.arange(3.0)[None, :, None].expand(4000, 3, 2)
    moved, is_shuffled = shuffled_tuples(positions)
    assert (moved[..., 0] == moved[..., 1]).all()
    assert moved[~is_shuffled].equal(positions[~is_shuffled])
    orders, counts = moved[is_shuffled][..., 0].unique(dim=0, return_counts=True)
    assert {tuple(map(int, order)) for order in orders} == set(permutations(range(3))) - {(0, 1, 2), (2, 1, 0)}
    assert counts.min() > 400
    assert 0.45 < is_shuffled.float().mean() < 0.55


def test_the_order_loss_asks_for_one_of_four_cases() -> None:
    logits = _unit(4, 4)
    query, key = torch.tensor([False, True, False, True]), torch.tensor([False, False, True, True])
    expected = -torch.log_softmax(logits, dim=1).diagonal().mean()
    assert order_loss(logits, query, key).item() == pytest.approx(expected.item())
