"""The predictive network against its algorithm box."""

import pytest
import torch
from torch import Tensor

from cocon.embedding.contract import EncoderSpec
from cocon.training.methods.cpc import PredictiveNetwork, pool_cells
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS


def _network(num_predicted: int = 2) -> PredictiveNetwork:
    torch.manual_seed(0)
    encoder = build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4), VIEWS["rgb"])
    return PredictiveNetwork(encoder, num_predicted=num_predicted).eval()


def _clips(num_blocks: int = 5, size: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, num_blocks, 2, size, size, 3), generator=generator, dtype=torch.uint8)


def _unit(x: Tensor) -> Tensor:
    """x / (‖x‖ + 1e-5) at every cell of `[B, D, s, s]`."""
    lengths = torch.sqrt((x * x).sum(dim=1, keepdim=True))
    return x / (lengths + 1e-5)


@pytest.mark.parametrize("num_predicted", [1, 2, 3])
def test_predictions_roll_out_from_the_context(num_predicted: int) -> None:
    network, clips = _network(num_predicted), _clips()
    predicted, targets, vectors = network(clips)
    assert predicted.shape == targets.shape == (2, num_predicted, 16, 2, 2)
    assert vectors.shape == (10, 16)

    maps = network.encoder.feature_maps(clips)
    z = [_unit(maps[:, block]) for block in range(5)]
    hidden = torch.zeros(2, 16, 2, 2)
    for block in z[: 5 - num_predicted]:
        hidden = network.aggregator(block, hidden)
    context = _unit(hidden)
    for step in range(num_predicted):
        guess = _unit(network.predictor(context))
        assert torch.allclose(predicted[:, step], guess, atol=1e-5)
        assert torch.allclose(targets[:, step], z[5 - num_predicted + step], atol=1e-6)
        context = _unit(network.aggregator(guess, context))


def test_predictions_do_not_see_the_blocks_they_predict() -> None:
    network, clips = _network(2), _clips()
    changed = clips.clone()
    changed[:, 3:] = 255 - changed[:, 3:]
    assert torch.equal(network(changed).predicted, network(clips).predicted)
    assert not torch.allclose(network(changed).targets, network(clips).targets)


def test_all_outputs_have_unit_length() -> None:
    predicted, targets, vectors = _network()(_clips())
    for x, dim in ((predicted, 2), (targets, 2), (vectors, 1)):
        assert torch.allclose(x.norm(dim=dim), torch.ones(()), atol=2e-3)


def test_vectors_are_the_pooled_cells_of_all_blocks_video_by_video() -> None:
    network, clips = _network(), _clips()
    vectors = network(clips).vectors
    maps = network.encoder.feature_maps(clips)
    for b in range(2):
        for n in range(5):
            pooled = _unit(maps[b, n][None]).mean(dim=(2, 3))
            assert torch.allclose(vectors[5 * b + n], pooled[0] / (pooled.norm() + 1e-5), atol=1e-5)


def _reference_max_pool(cells: Tensor, padding: int) -> Tensor:
    """Largest of each 2 × 2 cells of `[s, s]`, outside counting as nothing."""
    side = (cells.shape[0] + 2 * padding) // 2
    pooled = torch.empty(side, side)
    for i in range(side):
        for j in range(side):
            inside = [
                cells[y, x]
                for y in range(2 * i - padding, 2 * i - padding + 2)
                for x in range(2 * j - padding, 2 * j - padding + 2)
                if 0 <= y < cells.shape[0] and 0 <= x < cells.shape[1]
            ]
            pooled[i, j] = max(inside)
    return pooled


@pytest.mark.parametrize(("side", "paddings"), [(1, []), (2, []), (4, [0]), (7, [1, 0]), (8, [0, 0])])
def test_cells_are_pooled_as_the_released_code_does(side: int, paddings: list[int]) -> None:
    # s = 2: mean; s = 4: maximum, mean; s = 7: maximum with padding, maximum, mean.
    maps = torch.randn(3, 4, side, side, generator=torch.Generator().manual_seed(0))
    pooled = pool_cells(maps)
    assert pooled.shape == (3, 4)
    for m in range(3):
        for d in range(4):
            cells = maps[m, d]
            for padding in paddings:
                cells = _reference_max_pool(cells, padding)
            assert pooled[m, d].item() == pytest.approx(cells.mean().item(), abs=1e-6)


@pytest.mark.parametrize("side", [3, 5, 6, 9])
def test_any_side_is_pooled(side: int) -> None:
    constant = torch.full((2, 3, side, side), -1.5)  # padding must not count as zero
    assert torch.equal(pool_cells(constant), torch.full((2, 3), -1.5))


@pytest.mark.parametrize(("depths", "expected"), [((2, 2, 2, 2), 14_583_104), ((3, 4, 6, 3), 32_947_776)])
def test_the_whole_network_has_the_released_number_of_parameters(depths: tuple[int, ...], expected: int) -> None:
    with torch.device("meta"):
        encoder = build_encoder(EncoderSpec("resnet2d3d", depths, 64), VIEWS["rgb"])
        network = PredictiveNetwork(encoder, num_predicted=3)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_a_loss_on_the_predictions_reaches_every_parameter() -> None:
    network = _network().train()
    predicted, targets, _ = network(_clips())
    (predicted * targets).sum().backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []
