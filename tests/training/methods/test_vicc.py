"""ViCC: turns, frozen streams and prototypes, queues, and where the gradient goes."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from cocon.training.config.method_sections import ViccSection
from cocon.training.config.run import Config
from cocon.training.data.loader import Batch
from cocon.training.loop.learner import Learner
from cocon.training.loop.schedule import StepPlan
from cocon.training.losses.prototypes import sinkhorn, swapped_prediction_loss
from cocon.training.methods.building import build_method
from cocon.training.methods.vicc import Vicc

MakeConfig = Callable[..., Config]
CHANNELS = {"rgb": 3, "flow": 2, "mask": 1}
SETTINGS = [
    "method=vicc",
    "views=['rgb', 'flow']",
    "clip.frames_per_block=2",
    "vicc.num_prototypes=5",
    "vicc.projection_dim=6",
    "vicc.queue_size=6",
    "vicc.single_share=0.6",
    "vicc.epsilon=0.05",
]


@dataclass
class Case:
    """A method with its configuration."""

    config: Config
    method: Vicc

    @property
    def clips(self) -> dict[str, Tensor]:
        """A batch of four videos, always the same."""
        generator = torch.Generator().manual_seed(3)
        return {
            view: torch.randint(0, 256, (4, 2, 2, 24, 24, CHANNELS[view]), generator=generator, dtype=torch.uint8)
            for view in self.config.views
        }


@pytest.fixture
def make(tiny_config: MakeConfig) -> Callable[..., Case]:
    def made(*overrides: str) -> Case:
        config = tiny_config(*SETTINGS, *overrides)
        torch.manual_seed(0)
        method = build_method(config)
        assert isinstance(method, Vicc)
        return Case(config, method)

    return made


def test_the_first_stage_is_followed_by_turns(make: Callable[..., Case]) -> None:
    method = make("vicc.single_share=0.6", "vicc.cycles=2").method
    progress = [0.01, 0.6, 0.601, 0.7, 0.71, 0.79, 0.81, 0.91, 1.0]
    assert [method.turn_at(share) for share in progress] == [0, 0, 1, 1, 2, 2, 3, 4, 4]


def test_the_learning_rate_falls_once_in_the_first_stage_and_in_each_turn(make: Callable[..., Case]) -> None:
    case = make("vicc.single_share=0.6", "vicc.cycles=2")
    periods = [case.method.rate_period(share) for share in (0.01, 0.6, 0.65, 0.75, 0.95, 1.0)]
    flat = [bound for period in periods for bound in period]
    assert flat == pytest.approx([0, 0.6, 0, 0.6, 0.6, 0.7, 0.7, 0.8, 0.9, 1, 0.9, 1])
    assert ViccSection(single_share=0.6, cycles=2).learning_share(2) == pytest.approx(0.8)
    assert make("vicc.cycles=0").method.rate_period(0.7) == (0, 1)


@pytest.mark.parametrize("override", ["vicc.cycles=0", "vicc.single_share=1.0"])
def test_there_may_be_no_second_stage(override: str, make: Callable[..., Case]) -> None:
    method = make(override).method
    assert [method.turn_at(share) for share in (0.1, 0.7, 1.0)] == [0, 0, 0]


@pytest.mark.parametrize("progress", [0.1, 0.65, 0.75])
def test_the_loss_is_that_of_the_samples_on_the_learning_streams_prototypes(
    progress: float, make: Callable[..., Case]
) -> None:
    case = make()
    method = case.method.eval()
    terms = method(case.clips, progress)
    z = {view: method.networks[view](clips) for view, clips in case.clips.items()}

    def loss(main: str, streams: list[str]) -> Tensor:
        weight = method.prototypes[main].weight
        assert isinstance(weight, Tensor)
        scores = [z[stream][:, clip] @ weight.T for stream in streams for clip in (0, 1)]
        codes = [sinkhorn(score, epsilon=0.05, iterations=3) for score in scores]
        return swapped_prediction_loss(codes, scores, temperature=0.1)

    expected = {
        0.1: lambda: loss("rgb", ["rgb"]) + loss("flow", ["flow"]),
        0.65: lambda: loss("rgb", ["rgb", "flow"]),
        0.75: lambda: loss("flow", ["flow", "rgb"]),
    }[progress]()
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("progress", "learning", "frozen"), [(0.65, "rgb", "flow"), (0.75, "flow", "rgb")])
def test_a_frozen_stream_stays_bit_for_bit_as_it_is(
    progress: float, learning: str, frozen: str, make: Callable[..., Case]
) -> None:
    case = make("optimizer.weight_decay=0.1")
    learner = Learner(case.config, StepPlan(20, 1, 1), Fabric(accelerator="cpu", devices=1), None)
    batch: Batch = {"clips": case.clips, "targets": torch.zeros(4)}
    learner.step([batch], 2, lambda terms: None)  # in the first stage: moments and statistics exist

    def state() -> dict[str, Tensor]:
        tensors = learner.method.state_dict() | dict(learner.method.named_buffers())
        return {name: value.clone() for name, value in tensors.items() if not name.startswith(("queues", "turn"))}

    before = state()
    for _ in range(3):
        learner.step([batch], round(progress * 20), lambda terms: None)
    changed = {name for name, value in state().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[1] for name in changed} == {learning}
    assert not any(f".{frozen}." in name for name in changed)
    assert any("running_mean" in name for name in changed)
    assert f"prototypes.{learning}.weight" in changed


def test_prototypes_are_frozen_at_first_and_stay_directions(make: Callable[..., Case]) -> None:
    case = make("vicc.prototypes_frozen=0.5", "vicc.single_share=0.8")
    learner = Learner(case.config, StepPlan(20, 1, 1), Fabric(accelerator="cpu", devices=1), None)
    batch: Batch = {"clips": case.clips, "targets": torch.zeros(4)}
    weight = learner.method.get_parameter("prototypes.rgb.weight")
    before = weight.detach().clone()
    learner.step([batch], 8, lambda terms: None)
    assert torch.allclose(weight, before, atol=1e-6)
    learner.step([batch], 9, lambda terms: None)
    assert not torch.allclose(weight, before, atol=1e-4)
    assert torch.allclose(weight.norm(dim=1), torch.ones(5), atol=1e-6)


@pytest.mark.parametrize("through", ["both", "first"])
def test_the_gradient_flows_through_both_clips_or_the_first_alone(through: str, make: Callable[..., Case]) -> None:
    case = make(f"vicc.gradient_through={through}")
    for progress in (0.1, 0.65):
        seen: list[Tensor] = []
        network = case.method.networks["rgb"]
        hook = network.register_forward_hook(
            lambda module, given, output, seen=seen: output.register_hook(seen.append) and None
        )
        case.method(case.clips, progress).total.backward()
        hook.remove()
        assert seen[0][:, 0].abs().max() > 0
        assert (seen[0][:, 1].abs().max() > 0) == (through == "both")


def test_full_queues_change_the_codes_and_a_new_turn_empties_them(make: Callable[..., Case]) -> None:
    case = make("vicc.queue_from=0.2", "vicc.single_share=0.5")
    method = case.method.train()

    def loss(progress: float) -> float:
        return float(method.eval()(case.clips, progress).total.detach())

    alone = loss(0.3)
    for _ in range(2):
        method.train()(case.clips, 0.05)  # four keys each of two clips
    with_queue = loss(0.3)
    assert with_queue != pytest.approx(alone, rel=1e-3)
    assert loss(0.05) != pytest.approx(with_queue, rel=1e-3)  # too early to use it
    queues = [queue for queues in method.queues.values() for queue in queues]  # type: ignore[union-attr]
    assert [int(queue.num_seen) for queue in queues] == [8] * 4
    method.train()(case.clips, 0.55)
    assert [int(queue.num_seen) for queue in queues] == [4] * 4
    assert int(method.turn) == 1


def test_three_streams_take_turns_and_one_is_taught_by_two(make: Callable[..., Case]) -> None:
    case = make("views=['rgb', 'flow', 'mask']", "vicc.cycles=1", "vicc.single_share=0.4")
    learning = [case.method(case.clips, progress).logged for progress in (0.1, 0.5, 0.7, 0.9)]
    assert [sorted(name for name in logged if name.startswith("swapped")) for logged in learning] == [
        ["swapped/flow", "swapped/mask", "swapped/rgb"],
        ["swapped/rgb"],
        ["swapped/flow"],
        ["swapped/mask"],
    ]
    assert all({"loss", "spread/rgb", "spread/flow", "spread/mask"} <= logged.keys() for logged in learning)
