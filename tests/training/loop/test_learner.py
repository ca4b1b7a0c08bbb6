"""One step: averaged gradients, rates per group, bfloat16, and what a checkpoint of it holds."""

from collections.abc import Callable, Mapping

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from cocon.training.config.run import Config
from cocon.training.data.loader import Batch
from cocon.training.loop.learner import Learner, parameter_groups, random_states, restore_random_states
from cocon.training.loop.schedule import StepPlan

MakeConfig = Callable[..., Config]


def _batch(seed: int, *, size: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clips = {
        view: torch.randint(0, 256, (size, 3, 2, 24, 24, channels), generator=generator, dtype=torch.uint8)
        for view, channels in (("rgb", 3), ("pose", 17))
    }
    return {"clips": clips, "targets": torch.zeros(size, dtype=torch.int64)}


def _learner(config: Config, *, accumulate: int = 1, precision: str = "32-true", is_eval: bool = True) -> Learner:
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)  # type: ignore[arg-type]  # one of its literals
    learner = Learner(config, StepPlan(accumulate, accumulate, 2), fabric, None)
    if is_eval:
        learner.method.eval()  # no dropout, no statistics of a batch
    return learner


def _ignore(logged: Mapping[str, Tensor]) -> None:
    pass


def _gradients(learner: Learner) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in learner.method.named_parameters()}
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def test_equal_batches_accumulated_make_the_step_of_one(tiny_config: MakeConfig) -> None:
    config = tiny_config("optimizer.warmup_epochs=0", "loss.sync_ramp=0")
    once, thrice = _learner(config), _learner(config, accumulate=3)
    assert once.step([_batch(0)], 1, _ignore) == thrice.step([_batch(0)] * 3, 1, _ignore)
    after = dict(thrice.method.named_parameters())
    for name, parameter in once.method.named_parameters():
        assert torch.allclose(parameter, after[name], rtol=1e-5, atol=1e-6), name


def test_a_step_averages_the_gradients_of_its_batches_and_carries_none_over(tiny_config: MakeConfig) -> None:
    config = tiny_config("optimizer.learning_rate=1e-30")
    first, second, both = _learner(config), _learner(config), _learner(config, accumulate=2)
    both.step([_batch(5)], 1, _ignore)  # leaves nothing behind
    seen: list[float] = []
    both.step([_batch(0), _batch(1)], 1, lambda logged: seen.append(logged["loss"].item()))
    first.step([_batch(0)], 1, _ignore)
    second.step([_batch(1)], 1, _ignore)
    others = _gradients(first), _gradients(second)
    for name, gradient in _gradients(both).items():
        assert torch.allclose(gradient, (others[0][name] + others[1][name]) / 2, rtol=1e-4, atol=1e-6), name
    assert len(set(seen)) == 2


def test_backbones_of_some_views_learn_at_a_share_of_the_rate(tiny_config: MakeConfig) -> None:
    method = _learner(tiny_config()).method
    slow, fast = sorted(parameter_groups(method, {"pose": 0.1}), key=lambda group: group["share"])
    assert (slow["share"], fast["share"]) == (0.1, 1.0)
    pose = method.networks["pose"]
    assert isinstance(pose.encoder, torch.nn.Module)
    assert {id(p) for p in slow["params"]} == {id(p) for p in pose.encoder.backbone.parameters()}
    assert len(slow["params"]) + len(fast["params"]) == len(list(method.parameters()))


def test_a_step_in_bfloat16_keeps_losses_and_features_in_float32(tiny_config: MakeConfig) -> None:
    config = tiny_config("optimizer.warmup_epochs=0")
    learner = _learner(config, precision="bf16-mixed", is_eval=False)
    inner: dict[str, torch.dtype] = {}
    network = learner.method.networks["rgb"]
    assert isinstance(network.encoder, torch.nn.Module)
    convolution = next(m for m in network.encoder.modules() if isinstance(m, torch.nn.Conv3d))
    convolution.register_forward_hook(lambda module, given, output: inner.update(convolution=output.dtype))
    network.register_forward_hook(lambda module, given, output: inner.update(features=output.predicted.dtype))
    before = [parameter.detach().clone() for parameter in learner.method.parameters()]
    seen: dict[str, Tensor] = {}
    learner.step([_batch(0)], 1, seen.update)
    assert inner == {"convolution": torch.bfloat16, "features": torch.float32}
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in seen.values())
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.method.parameters(), strict=True))


def test_cosines_are_not_rounded_to_bfloat16(tiny_config: MakeConfig) -> None:
    learner = _learner(tiny_config())
    clips = _batch(0)["clips"]
    outputs = {view: network(clips[view]) for view, network in learner.method.networks.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for view, network in learner.method.networks.items():
            network.forward = lambda given, view=view: outputs[view]  # type: ignore[method-assign]
        rounded = learner.method(clips, 1.0).logged
    plain = learner.method(clips, 1.0).logged
    assert {name: value.item() for name, value in rounded.items()} == {n: value.item() for n, value in plain.items()}


def test_the_full_loss_is_the_total_at_the_end_of_the_ramp(tiny_config: MakeConfig) -> None:
    learner = _learner(tiny_config("loss.sync=4.0", "loss.sim=3.0"))
    clips = _batch(0)["clips"]
    early, late = (learner.method(clips, progress).logged for progress in (0.1, 1.0))
    means = {name: value.item() for name, value in early.items()}
    assert learner.method.full_loss(means) == pytest.approx(late["loss"].item(), rel=1e-5)
    assert means["loss"] < late["loss"].item()


def test_validation_changes_no_weight_no_statistic_and_no_random_number(tiny_config: MakeConfig) -> None:
    learner = _learner(tiny_config(), is_eval=False)
    before = {name: tensor.clone() for name, tensor in learner.method.state_dict().items()}
    random = torch.get_rng_state()
    first = learner.validation_loss([_batch(0), _batch(1)])
    assert first == learner.validation_loss([_batch(0), _batch(1)])
    assert learner.method.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.method.state_dict().items())


def test_the_optimizers_moments_are_taken_up_where_the_parameters_are_trained(tiny_config: MakeConfig) -> None:
    config = tiny_config()
    learner = _learner(config)
    learner.step([_batch(0)], 1, _ignore)
    state = learner.state(1)
    # As a device does, another precision takes the parameters elsewhere while they are set up.
    fabric = Fabric(accelerator="cpu", devices=1, precision="64-true")
    resumed = Learner(config, StepPlan(1, 1, 2), fabric, state).state(1)["optimizer"]
    assert resumed["param_groups"] == state["optimizer"]["param_groups"]
    assert resumed["state"].keys() == state["optimizer"]["state"].keys()
    for index, moments in resumed["state"].items():
        for name in ("exp_avg", "exp_avg_sq"):
            assert moments[name].dtype == torch.float64
            assert torch.equal(moments[name], state["optimizer"]["state"][index][name].double())


def test_restored_random_states_draw_the_same_numbers() -> None:
    states = random_states()
    drawn = torch.rand(4)
    restore_random_states(states)
    assert torch.equal(torch.rand(4), drawn)
