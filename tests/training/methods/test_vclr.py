"""VCLR: which frames are compared with which, and what each term sees."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.training.config.run import Config
from cocon.training.losses.info_nce import intra_frame_loss, queued_info_nce
from cocon.training.losses.order import order_loss, shuffled_tuples
from cocon.training.methods.building import build_method
from cocon.training.methods.vclr import Vclr

MakeConfig = Callable[..., Config]
B = 4
SETTINGS = [
    "method=vclr",
    "model.backbone=resnet2d",
    "clip.frames_per_block=1",
    "views=['rgb']",
    "vclr.projection_dim=6",
    "vclr.queue_size=3",
    "vclr.momentum=0.5",
]


@pytest.fixture
def make(tiny_config: MakeConfig) -> Callable[..., Vclr]:
    def made(*overrides: str) -> Vclr:
        torch.manual_seed(0)
        method = build_method(tiny_config(*SETTINGS, *overrides))
        assert isinstance(method, Vclr)
        with torch.no_grad():  # a copy that is not yet its source
            for parameter in method.copies.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return method

    return made


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """`uint8 [B, 8, 1, H, W, 3]`; the last two are q₁ and q₃ under another augmentation."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (B, 8, 1, 24, 24, 3), generator=generator, dtype=torch.uint8)


def _literal(method: Vclr, frames: Tensor, axis: int = 2) -> dict[str, Tensor]:
    """Every term, sample by sample, from what the method is documented to compare."""
    network, slow = method.networks["rgb"], method.copies["rgb"].module
    anchors = torch.randint(2, (B,))  # the method's first draw
    inter_rows, intra_rows, query_features, key_features = [], [], [], []
    for b in range(B):
        features = network(frames[b : b + 1])[0]
        slow_features = slow(frames[b : b + 1])[0]
        anchor = (0, 2)[anchors[b]]
        same, others = slow_features[6 + anchors[b]], [slow_features[i] for i in range(3) if i != anchor]
        inter_rows += [(network.inter.unit(features[anchor]), slow.inter.unit(key)) for key in (same, *others)]
        intra_rows.append(
            (
                network.intra.unit(features[anchor]),
                slow.intra.unit(same),
                torch.stack([slow.intra.unit(other) for other in others]),
            )
        )
        query_features.append(features[:3])
        key_features.append(slow_features[3:6])
    queries, keys = torch.stack(query_features), torch.stack(key_features)
    tuples = [F.normalize(n.order(f), dim=axis) for n, f in ((network, queries), (slow, keys))]
    (query, is_query), (key, is_key) = (shuffled_tuples(each) for each in tuples)
    logits = network.order_classifier(torch.cat([query.flatten(1), key.flatten(1)], dim=1))
    return {
        "inter": queued_info_nce(
            *(torch.stack(part) for part in zip(*inter_rows, strict=True)),
            method.inter_queues["rgb"].keys.clone(),  # type: ignore[operator,union-attr]
            temperature=0.1,
            rows_per_video=3,
        ),
        "intra": intra_frame_loss(*(torch.stack(part) for part in zip(*intra_rows, strict=True)), temperature=0.1),
        "segment": queued_info_nce(
            network.segment.unit(queries.mean(dim=1)),
            slow.segment.unit(keys.mean(dim=1)),
            method.segment_queues["rgb"].keys.clone(),  # type: ignore[operator,union-attr]
            temperature=0.1,
            rows_per_video=1,
        ),
        "order": order_loss(logits, is_query, is_key),
    }


@pytest.mark.parametrize(("override", "axis"), [("channels", 2), ("segments", 1)])
def test_each_term_compares_what_the_paper_says(
    override: str, axis: int, make: Callable[..., Vclr], frames: Tensor
) -> None:
    method = make(f"vclr.order_normalised_over={override}").eval()
    for queue in (method.inter_queues["rgb"], method.segment_queues["rgb"]):
        queue.push(F.normalize(torch.randn_like(queue.keys), dim=1))  # type: ignore[operator,arg-type]
    for seed in range(3):
        torch.manual_seed(seed)
        logged = method({"rgb": frames}, 0.5).logged
        torch.manual_seed(seed)
        for name, expected in _literal(method, frames, axis).items():
            assert logged[f"{name}/rgb"].item() == pytest.approx(expected.item(), rel=1e-4), name


def test_the_total_weighs_the_terms_and_leaves_out_what_weighs_nothing(
    make: Callable[..., Vclr], frames: Tensor
) -> None:
    method = make("vclr.inter=0.5", "vclr.segment=0", "vclr.order=2.0").eval()
    terms = method({"rgb": frames}, 0.5)
    expected = sum(
        weight * terms.logged[f"{name}/rgb"].item()
        for name, weight in (("inter", 0.5), ("intra", 1.0), ("segment", 0.0), ("order", 2.0))
    )
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    terms.total.backward()
    segment = method.get_submodule("networks.rgb.segment")
    assert all(not p.grad.any() for p in segment.parameters() if p.grad is not None)


def test_queues_take_all_keys_of_a_batch_and_copies_follow_after_the_step(
    make: Callable[..., Vclr], frames: Tensor
) -> None:
    method = make().train()
    method({"rgb": frames}, 0.5).total.backward()
    assert method.inter_queues["rgb"].num_seen.item() == 3 * B  # type: ignore[operator,union-attr]
    assert method.segment_queues["rgb"].num_seen.item() == B  # type: ignore[operator,union-attr]
    assert all(parameter.grad is None for parameter in method.copies.parameters())
    network, copied = method.pair("rgb")
    before = copied.module.inter[0].weight.clone()
    method.after_step()
    middle = (before + network.inter[0].weight) / 2
    assert torch.allclose(copied.module.inter[0].weight, middle, atol=1e-6)
    method.eval()({"rgb": frames}, 0.5)
    assert method.segment_queues["rgb"].num_seen.item() == B  # type: ignore[operator,union-attr]
