"""Whole runs of ViCC, VCLR and CycleContrast: stopped and resumed, warm-started, refused before any work."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from cocon.core.errors import UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.loop.learner import Learner
from cocon.training.loop.run import train_run
from cocon.training.loop.schedule import StepPlan
from cocon.training.run_folder.files import RunFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]

FRAMES = ["model.backbone=resnet2d", "clip.frames_per_block=1", "clip.num_blocks=4"]
METHODS = {
    "vicc": ["vicc.queue_size=4", "vicc.num_prototypes=4", "vicc.projection_dim=6", "vicc.queue_from=0"],
    "vclr": [*FRAMES, "vclr.queue_size=5", "vclr.projection_dim=6"],
    "cycle": [*FRAMES, "cycle.queue_size=5", "cycle.cycle_queue_size=6", "cycle.num_neighbours=2"],
}


@pytest.fixture
def make(tiny_config: MakeConfig) -> Callable[[str], Config]:
    return lambda method: tiny_config(f"method={method}", "training.epochs=4", *METHODS[method])


@pytest.fixture(params=sorted(METHODS))
def config(request: pytest.FixtureRequest, make: Callable[[str], Config]) -> Config:
    return make(request.param)


# A dozen videos, one small step: what a preset says of sizes is overridden, its recipe is not.
SMALL_PAPER = [
    "training.epochs=1",
    "training.batch_size=4",
    "data.workers=0",
    "classifier.epochs=1",
    "model.width=4",
    "flow.size_px=32",
]
SMALL_QUEUES = {
    "vicc": ["vicc.queue_size=4", "clip.frames_per_block=16"],
    "vclr": ["vclr.queue_size=5"],
    "cycle": ["cycle.queue_size=5", "cycle.cycle_queue_size=6", "cycle.num_neighbours=2"],
}


@pytest.mark.parametrize(
    ("method", "encoder", "crop_px", "optimizer", "epochs"),
    [
        ("vicc", EncoderSpec("s3d", (), 64), 128, ("lars", 0.6, 1e-6), 700),
        ("vclr", EncoderSpec("resnet2d_bottleneck", (3, 4, 6, 3), 64), 224, ("sgd", 0.1, 1e-4), 400),
        ("cycle", EncoderSpec("resnet2d_bottleneck", (3, 4, 6, 3), 64), 224, ("sgd", 0.06, 1e-4), 200),
    ],
)
def test_the_published_recipe_of_a_method_trains(
    method: str,
    encoder: EncoderSpec,
    crop_px: int,
    optimizer: tuple[str, float, float],
    epochs: int,
    figures: Path,
    train_tiny: TrainTiny,
    tmp_path: Path,
) -> None:
    published = load_config("paper", [f"method={method}"])
    section = published.optimizer
    assert published.encoder_spec() == encoder
    assert published.geometry("rgb").crop_px == crop_px
    assert (section.algorithm, section.learning_rate, section.weight_decay) == optimizer
    assert published.training.epochs == epochs
    assert (published.augment.rgb_jitter, published.augment.rgb_blur) == (0.8, 0.5)
    sides = [f"view.{view}.{side}" for view in published.views for side in ("resize_px=36", "crop_px=32")]
    small = [f"method={method}", f"data.folder='{figures}'", *SMALL_PAPER, *SMALL_QUEUES[method], *sides]
    assert train_tiny(load_config("paper", small), tmp_path)


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped_and_says_its_method(
    config: Config, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: signal.raise_signal(signal.SIGINT) if stops and done == 8 else None

    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train_tiny(config, whole)
    stops = True
    with pytest.raises(KeyboardInterrupt):
        train_run(config, stopped, overwrite=False, progress_bar=bar)
    stops = False
    train_run(config, stopped, overwrite=False, progress_bar=bar)
    expected, weights = weights_of(whole), weights_of(stopped)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert (stopped / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    _, contract = RunFolder.open(whole).encoder("rgb")
    assert contract.method == config.method
    assert contract.labels
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert sum("spread/pose" in line for line in lines) == 4


@pytest.mark.parametrize("method", ["vclr", "cycle"])
def test_copies_start_from_the_encoders_of_another_run(
    method: str, make: Callable[[str], Config], train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = make(method)
    train_tiny(config, tmp_path)
    again = config.model_copy(update={"training": config.training.model_copy(update={"init_from": tmp_path})})
    learner = Learner(again, StepPlan(3, 1, 4), Fabric(accelerator="cpu", devices=1), None)
    trained, _ = RunFolder.open(tmp_path).encoder("rgb")
    for name, parameter in trained.backbone.named_parameters():
        assert torch.equal(learner.method.get_parameter(f"copies.rgb.module.encoder.backbone.{name}"), parameter)


def test_a_queue_longer_than_the_data_is_refused_before_any_work(
    config: Config, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    for key in config.queues:
        longer = tiny_config(f"method={config.method}", *METHODS[config.method], f"{key}=7")
        with pytest.raises(UsageError) as raised:
            train_tiny(longer, tmp_path / "run")
        assert f"{key} (7) must be at most 6, the training videos of" in str(raised.value)
        assert f"add --set {key}=6" in str(raised.value)
        assert not (tmp_path / "run").exists()
