"""Blocks that show nothing are in no term, and where none is empty nothing changes by a bit."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from cocon.embedding.contract import EncoderSpec
from cocon.training.config.run import Config
from cocon.training.losses.cooperative import sim_loss, sync_loss
from cocon.training.losses.info_nce import dense_info_nce, dense_top1
from cocon.training.methods.building import build_method
from cocon.training.methods.cocon import CoCon, LossWeights
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.methods.empty_blocks import empty_blocks, spread_of_shown
from cocon.training.methods.method import embedding_spread
from cocon.training.models.encoder import build_encoder
from cocon.video.views import VIEWS

B, N, P, VIEW_NAMES = 6, 4, 2, ("rgb", "pose", "mask")
WEIGHTS = LossWeights(temperature=0.2, sim=3.0, sync=5.0, sync_ramp=0.5, sim_form="balanced", sync_form="l1", mu=1.0)


def _method() -> CoCon:
    torch.manual_seed(0)
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4)
    networks = {view: PredictiveNetwork(build_encoder(spec, VIEWS[view]), num_predicted=P) for view in VIEW_NAMES}
    return CoCon(networks, WEIGHTS).eval()


def _clips(empty: Mapping[str, list[tuple[int, int]]]) -> dict[str, Tensor]:
    """Noise, but for the blocks of these views."""
    generator = torch.Generator().manual_seed(0)
    clips = {
        view: torch.randint(0, 256, (B, N, 2, 32, 32, VIEWS[view].channels), generator=generator, dtype=torch.uint8)
        for view in VIEW_NAMES
    }
    for view, blocks in empty.items():
        for b, n in blocks:
            clips[view][b, n] = VIEWS[view].neutral
    return clips


HALF = {"pose": [(b, n) for b in range(B) for n in range(N) if (b + n) % 2], "mask": [(0, 3), (2, 0), (5, 1)]}
WHOLE_CLIPS = {"pose": [(b, n) for b in range(2) for n in range(N)]}


def test_a_block_is_empty_where_every_byte_is_neutral() -> None:
    clips = _clips({"pose": [(1, 2)], "rgb": [(0, 0)]})
    assert empty_blocks(clips["pose"], "pose").nonzero().tolist() == [[1, 2]]
    assert empty_blocks(clips["rgb"], "rgb").nonzero().tolist() == [[0, 0]]
    clips["pose"][1, 2, 1, 5, 5, 16] = 1  # somebody's ankle
    assert not empty_blocks(clips["pose"], "pose").any()


@pytest.mark.parametrize("empty", [HALF, WHOLE_CLIPS], ids=["half of the blocks", "whole clips"])
def test_terms_are_those_of_the_blocks_that_are_left(empty: dict[str, list[tuple[int, int]]]) -> None:
    method, clips = _method(), _clips(empty)
    total, logged = method(clips, 1.0)
    outputs = {view: method.networks[view](clips[view]) for view in VIEW_NAMES}
    shown = {view: ~empty_blocks(clips[view], view) for view in VIEW_NAMES}
    expected = 0.0
    for view, (predicted, targets, vectors) in outputs.items():
        cpc = _literal_cpc(predicted, targets, shown[view])
        assert logged[f"cpc/{view}"].item() == pytest.approx(cpc, rel=1e-5)
        assert logged[f"spread/{view}"].item() == pytest.approx(
            embedding_spread(vectors[shown[view].flatten()]).item(), rel=1e-5
        )
        expected += cpc
    for one, other in (("rgb", "pose"), ("rgb", "mask"), ("pose", "mask")):
        both = (shown[one] & shown[other]).flatten()
        vectors = outputs[one].vectors[both], outputs[other].vectors[both]
        sim, sync = sim_loss(*vectors).item(), sync_loss(*vectors).item()
        assert logged[f"sim/{one}-{other}"].item() == pytest.approx(sim, rel=1e-5)
        assert logged[f"sync/{one}-{other}"].item() == pytest.approx(sync, rel=1e-5)
        expected += 3.0 * sim + 5.0 * sync
    assert total.item() == pytest.approx(expected, rel=1e-5)


def _literal_cpc(predicted: Tensor, targets: Tensor, shown: Tensor) -> float:
    """Cell by cell: what is asked is shown and has a context that shows something; what is offered is shown."""
    cells = [
        (b, p, y, x)
        for b in range(B)
        for p in range(P)
        for y in range(predicted.shape[3])
        for x in range(predicted.shape[4])
    ]
    offered = [(b, p, y, x) for b, p, y, x in cells if shown[b, N - P + p]]
    losses = []
    for b, p, y, x in offered:
        if not shown[b, : N - P].any():
            continue
        query = predicted[b, p, :, y, x]
        scores = torch.stack([query @ targets[c, q, :, v, u] for c, q, v, u in offered]) / 0.2
        losses.append(torch.logsumexp(scores, dim=0) - query @ targets[b, p, :, y, x] / 0.2)
    return torch.stack(losses).mean().item()


def test_where_all_of_a_view_is_empty_its_terms_are_nothing_and_the_others_stay() -> None:
    everything = {"pose": [(b, n) for b in range(B) for n in range(N)]}
    method = _method().train()
    total, logged = method(_clips(everything), 1.0)
    assert logged["cpc/pose"] == logged["sim/rgb-pose"] == logged["sync/pose-mask"] == logged["top1/pose"] == 0
    assert "spread/pose" not in logged and logged["spread/rgb"] > 0 and logged["sync/rgb-mask"] > 0
    total.backward()
    gradients = {name: parameter.grad for name, parameter in method.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert not any(gradient.any() for name, gradient in gradients.items() if ".pose." in name and gradient is not None)


def test_empty_blocks_draw_no_other_view_to_one() -> None:
    """What L_sync wants of rgb is not that it be as alike as blocks of nobody are."""
    method, clips = _method(), _clips(HALF)
    _, logged = method(clips, 1.0)
    vectors = {view: method.networks[view](clips[view]).vectors for view in ("rgb", "pose")}
    assert logged["sync/rgb-pose"].item() != pytest.approx(sync_loss(vectors["rgb"], vectors["pose"]).item(), rel=1e-3)


def test_where_nothing_is_empty_the_losses_are_the_same_bit_for_bit() -> None:
    method, clips = _method(), _clips({})
    total, logged = method(clips, 0.25)
    outputs = {view: method.networks[view](clips[view]) for view in VIEW_NAMES}
    expected = torch.zeros(())
    for view, (predicted, targets, vectors) in outputs.items():
        cpc = dense_info_nce(predicted, targets, temperature=0.2)
        assert logged[f"cpc/{view}"] == cpc and logged[f"top1/{view}"] == dense_top1(predicted, targets)
        assert logged[f"spread/{view}"] == embedding_spread(vectors)
        expected = expected + cpc
    for one, other in (("rgb", "pose"), ("rgb", "mask"), ("pose", "mask")):
        first, second = outputs[one].vectors, outputs[other].vectors
        expected = expected + 3.0 * sim_loss(first, second) + 5.0 * 0.5 * sync_loss(first, second)
    assert total.item() == expected.item()


def test_vclr_measures_spread_on_anchors_that_show_something(tiny_config: Callable[..., Config]) -> None:
    """Its other methods do; frames of nobody are all alike, and half of them would halve the spread."""
    torch.manual_seed(0)
    settings = ("method=vclr", "model.backbone=resnet2d", "clip.frames_per_block=1", "views=['pose']")
    method = build_method(tiny_config(*settings, "vclr.queue_size=3"))
    clips = torch.randint(0, 256, (8, 8, 1, 24, 24, VIEWS["pose"].channels), dtype=torch.uint8)
    clips[:6] = VIEWS["pose"].neutral
    assert "spread/pose" not in method({"pose": clips}, 0.5).logged
    clips[2:6] = torch.randint_like(clips[2:6], 256)
    assert method({"pose": clips}, 0.5).logged["spread/pose"] > 0


def test_blocks_of_hardly_any_video_say_nothing_of_spread() -> None:
    vectors, is_empty = torch.nn.functional.normalize(torch.randn(16, 8), dim=1), torch.ones(8, 2, dtype=torch.bool)
    is_empty[:2] = False
    assert spread_of_shown(vectors, is_empty) is None
    is_empty[2, 1] = False
    found = spread_of_shown(vectors, is_empty)
    assert found is not None and found == embedding_spread(vectors[[0, 1, 2, 3, 5]])
