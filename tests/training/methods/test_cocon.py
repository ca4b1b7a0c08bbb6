"""CoCon: the total is the sum of its parts."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cocon.embedding.contract import EncoderSpec
from cocon.training.losses.cooperative import centred, sim_loss, sync_loss
from cocon.training.losses.info_nce import dense_info_nce, dense_top1
from cocon.training.methods.cocon import CoCon, LossWeights, sync_ramp
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.method import embedding_spread
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

SIZES = {"rgb": 64, "flow": 64, "mask": 32}
WEIGHTS = LossWeights(temperature=0.2, sim=3.0, sync=5.0, sync_ramp=0.5, sim_form="balanced", sync_form="l1", mu=1.0)


def _method(*views: str, weights: LossWeights = WEIGHTS) -> CoCon:
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4)
    networks = {view: PredictiveNetwork(build_encoder(spec, VIEWS[view]), num_predicted=2) for view in views}
    return CoCon(networks, weights).eval()


def _clips() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        view: torch.randint(0, 256, (3, 4, 2, size, size, VIEWS[view].channels), generator=generator, dtype=torch.uint8)
        for view, size in SIZES.items()
    }


@pytest.mark.parametrize("views", [("rgb",), ("rgb", "flow"), ("rgb", "flow", "mask")])
@pytest.mark.parametrize(("progress", "ramp"), [(0.0, 0.0), (0.2, 0.4), (0.5, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize(
    "weights",
    [WEIGHTS, replace(WEIGHTS, sim_form="paper", mu=0.3, sync_form="squared"), replace(WEIGHTS, sync_form="paper")],
    ids=["balanced, l1", "paper, squared", "balanced, paper"],
)
def test_the_total_is_the_weighted_sum_of_its_parts(
    views: tuple[str, ...], progress: float, ramp: float, weights: LossWeights
) -> None:
    method, clips = _method(*views, weights=weights), _clips()
    total, logged = method(clips, progress)
    outputs = {view: method.networks[view](clips[view]) for view in views}
    expected = 0.0
    for view in views:
        cpc = dense_info_nce(outputs[view].predicted, outputs[view].targets, temperature=0.2).item()
        assert logged[f"cpc/{view}"].item() == pytest.approx(cpc, rel=1e-5)
        assert logged[f"top1/{view}"] == dense_top1(outputs[view].predicted, outputs[view].targets)
        expected += cpc
    pairs = [(one, other) for index, one in enumerate(views) for other in views[index + 1 :]]
    for one, other in pairs:
        first, second = outputs[one].vectors, outputs[other].vectors
        sim = sim_loss(first, second, form=weights.sim_form, mu=weights.mu).item()
        sync = sync_loss(first, second, form=weights.sync_form).item()
        assert logged[f"sim/{one}-{other}"].item() == pytest.approx(sim, rel=1e-5)
        assert logged[f"sync/{one}-{other}"].item() == pytest.approx(sync, rel=1e-5)
        expected += 3.0 * sim + 5.0 * ramp * sync
    assert total.item() == pytest.approx(expected, rel=1e-5)
    assert logged["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert len(logged) == 3 * len(views) + 2 * len(pairs) + 1


def test_views_of_different_dimensions_are_compared_after_a_linear_map_to_the_smallest() -> None:
    torch.manual_seed(0)
    networks = {
        view: PredictiveNetwork(build_encoder(EncoderSpec(backbone, (1, 1, 1, 1), 4), VIEWS[view]), num_predicted=2)
        for view, backbone in (("rgb", "resnet2d3d_inflated"), ("flow", "resnet2d3d"))
    }
    method, clips = CoCon(networks, WEIGHTS), {view: clip for view, clip in _clips().items() if view in networks}
    assert {name: tuple(tensor.shape) for name, tensor in method.projections.named_parameters()} == {
        "rgb.weight": (16, 32)
    }
    _, logged = method.eval()(clips, 1.0)
    rgb, flow = (networks[view](clips[view]).vectors for view in ("rgb", "flow"))
    weight = method.get_parameter("projections.rgb.weight")
    mapped = torch.nn.functional.normalize(rgb @ weight.T, dim=-1)
    assert logged["sim/rgb-flow"].item() == pytest.approx(sim_loss(mapped, flow).item(), rel=1e-5)
    assert logged["sync/rgb-flow"].item() == pytest.approx(sync_loss(rgb, flow).item(), rel=1e-5)
    method.train()(clips, 1.0).total.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_one_view_is_plain_cpc() -> None:
    method, clips = _method("rgb"), _clips()
    total, logged = method(clips, 1.0)
    predicted, targets, _ = method.networks["rgb"](clips["rgb"])
    assert total.item() == pytest.approx(dense_info_nce(predicted, targets, temperature=0.2).item(), rel=1e-6)
    assert set(logged) == {"cpc/rgb", "top1/rgb", "spread/rgb", "loss"}


@pytest.mark.parametrize(("sim", "sync"), [(0.0, 0.0), (2.0, 0.0), (0.0, 2.0)])
def test_a_weight_of_zero_leaves_a_term_out(sim: float, sync: float) -> None:
    method, clips = _method("rgb", "flow", weights=replace(WEIGHTS, sim=sim, sync=sync)), _clips()
    total, logged = method(clips, 1.0)
    expected = logged["cpc/rgb"] + logged["cpc/flow"] + sim * logged["sim/rgb-flow"] + sync * logged["sync/rgb-flow"]
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("term", ["sim", "sync"])
def test_a_pair_loss_moves_both_views_and_no_third(term: str) -> None:
    method, clips = _method("rgb", "flow", "mask"), _clips()
    outputs = {view: network(clips[view]) for view, network in method.networks.items()}
    loss = (sim_loss if term == "sim" else sync_loss)(outputs["rgb"].vectors, outputs["flow"].vectors)
    loss.backward()
    moved = {
        view
        for view, network in method.networks.items()
        if any(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
    }
    assert moved == {"rgb", "flow"}


def test_every_parameter_of_every_view_gets_a_gradient() -> None:
    method = _method("rgb", "flow").train()
    method(_clips(), 1.0).total.backward()
    assert [name for name, parameter in method.named_parameters() if parameter.grad is None] == []


def test_what_is_logged_carries_no_gradient() -> None:
    total, logged = _method("rgb", "flow")(_clips(), 0.5)
    assert total.requires_grad
    assert not any(value.requires_grad for value in logged.values())
    assert all(value.ndim == 0 for value in logged.values())


@pytest.mark.parametrize(
    ("progress", "ramp", "expected"),
    [(0.0, 0.5, 0.0), (0.25, 0.5, 0.5), (0.5, 0.5, 1.0), (0.9, 0.5, 1.0), (0.3, 1.0, 0.3), (0.0, 0.0, 1.0)],
)
def test_the_weight_of_sync_grows_linearly_and_stays(progress: float, ramp: float, expected: float) -> None:
    assert sync_ramp(progress, ramp) == pytest.approx(expected)


def test_spread_is_near_one_for_scattered_vectors_and_zero_when_collapsed() -> None:
    scattered = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    scattered = scattered / scattered.norm(dim=1, keepdim=True)
    assert embedding_spread(scattered).item() == pytest.approx(1.0, abs=0.05)
    assert embedding_spread(scattered[:1].expand(50, -1)).item() == pytest.approx(0.0, abs=1e-6)
    per_dimension = [
        math.sqrt(sum((x - sum(column) / 9) ** 2 for x in column) / 9) for column in scattered[:9].double().T.tolist()
    ]
    expected = sum(per_dimension) / 32 * math.sqrt(32)
    assert embedding_spread(scattered[:9]).item() == pytest.approx(expected, rel=1e-5)


def test_centred_cooperation_compares_what_is_left_without_the_mean_of_the_batch() -> None:
    method, clips = _method("rgb", "flow", weights=replace(WEIGHTS, is_centred=True)), _clips()
    _, logged = method(clips, 1.0)
    vectors = [method.networks[view](clips[view]).vectors.double() for view in ("rgb", "flow")]
    left = [of - of.mean(dim=0) for of in vectors]
    left = [of / of.norm(dim=1, keepdim=True) for of in left]
    assert logged["sim/rgb-flow"].item() == pytest.approx(sim_loss(*left).item(), rel=1e-4)
    assert logged["sync/rgb-flow"].item() == pytest.approx(sync_loss(*left).item(), rel=1e-4)


def test_of_centred_vectors_a_shift_of_all_changes_nothing() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(8, 16), dim=1)
    kept = torch.arange(8) < 6
    assert torch.allclose(centred(vectors + 3.0), centred(vectors), atol=1e-5)
    found = centred(vectors, kept)[kept]
    assert torch.allclose(found, centred(vectors[kept]), atol=1e-6)
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-5)
