"""CycleContrast: which frames are compared with which, and where the neighbours come from."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cocon.training.config.run import Config
from cocon.training.losses.cycle import cycle_loss
from cocon.training.losses.info_nce import queued_info_nce
from cocon.training.methods.building import build_method
from cocon.training.methods.cycle import CycleContrast

MakeConfig = Callable[..., Config]
B, NEIGHBOURS = 4, 2
SETTINGS = [
    "method=cycle",
    "model.backbone=resnet2d",
    "clip.frames_per_block=1",
    "views=['rgb', 'mask']",
    "cycle.projection_dim=6",
    "cycle.queue_size=5",
    "cycle.cycle_queue_size=6",
    f"cycle.num_neighbours={NEIGHBOURS}",
    "cycle.cycle=0.3",
    "cycle.temperature=0.07",
]


@pytest.fixture
def method(tiny_config: MakeConfig) -> CycleContrast:
    torch.manual_seed(0)
    method = build_method(tiny_config(*SETTINGS))
    assert isinstance(method, CycleContrast)
    with torch.no_grad():
        for parameter in method.copies.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    for queue in (*method.queues.values(), *method.cycle_queues.values()):
        queue.push(F.normalize(torch.randn_like(queue.keys), dim=1))  # type: ignore[operator,arg-type]
    return method


@pytest.fixture(scope="module")
def clips() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {
        view: torch.randint(0, 256, (B, 3, 1, 24, 24, channels), generator=generator, dtype=torch.uint8)
        for view, channels in (("rgb", 3), ("mask", 1))
    }


def test_each_term_compares_what_the_paper_says(method: CycleContrast, clips: dict[str, Tensor]) -> None:
    method.eval()
    torch.manual_seed(7)
    terms = method(clips, 0.5)
    torch.manual_seed(7)
    total = torch.zeros(())
    for view, frames in clips.items():
        network, copied = method.pair(view)
        query, further = frames[:, :1], frames[:, 2:]
        queries, keys = network(query), copied.module(further)
        remembered = method.cycle_queues[view].keys[torch.randperm(6)]  # type: ignore[index,union-attr]
        intra = queued_info_nce(
            queries[0][:, 0],
            keys[0][:, 0],
            method.queues[view].keys,  # type: ignore[arg-type,union-attr]
            temperature=0.07,
            rows_per_video=1,
        )
        cycle = cycle_loss(
            queries[1][:, 0],
            keys[1][:, 0],
            remembered[:NEIGHBOURS],
            remembered[NEIGHBOURS:],
            temperature=0.07,
            rows_per_video=1,
        )
        assert terms.logged[f"intra/{view}"].item() == pytest.approx(intra.item(), rel=1e-4)
        assert terms.logged[f"cycle/{view}"].item() == pytest.approx(cycle.item(), rel=1e-4)
        total = total + intra + 0.3 * cycle
    assert terms.total.item() == pytest.approx(total.item(), rel=1e-4)


def test_both_queues_remember_the_query_frame_seen_otherwise(method: CycleContrast, clips: dict[str, Tensor]) -> None:
    _, copied = method.pair("rgb")
    method.train()
    copied.eval()  # so that the keys can be computed again
    method(clips, 0.5)
    keys, cycle_keys = copied.module(clips["rgb"][:, 1:2])
    assert torch.allclose(method.queues["rgb"].keys[:B], keys[:, 0], atol=1e-5)  # type: ignore[index,union-attr]
    assert torch.allclose(method.cycle_queues["rgb"].keys[:B], cycle_keys[:, 0], atol=1e-5)  # type: ignore[index,union-attr]


def test_the_gradient_reaches_the_query_encoder_alone(method: CycleContrast, clips: dict[str, Tensor]) -> None:
    method.train()(clips, 0.5).total.backward()
    assert all(parameter.grad is None for parameter in method.copies.parameters())
    for name, parameter in method.networks.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0 or "bias" in name, name
