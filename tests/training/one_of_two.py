"""What each of two processes does in `test_distributed`: torchrun --nproc-per-node 2 one_of_two.py CONFIG FOLDER."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from safetensors.torch import save_file

from cocon.core.progress import ProgressBar
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.distributed import gathered, objects_of_all
from cocon.training.loop.classifiers.fitting import fit_classifiers
from cocon.training.loop.devices import launched_fabric
from cocon.training.loop.learner import Learner
from cocon.training.loop.run import train_run
from cocon.training.loop.schedule import StepPlan
from cocon.training.losses.cooperative import sim_loss, sync_loss
from cocon.training.losses.info_nce import dense_info_nce
from cocon.training.methods.building import build_method
from cocon.training.methods.momentum import Shuffle
from cocon.training.run_folder.files import RunFolder

B, STOPPED_AT = 4, 2


def features() -> dict[str, torch.Tensor]:
    """Features of a whole batch: predictions and targets `[B, P, D, s, s]`, vectors `[B·N, D]` of two views."""
    generator = torch.Generator().manual_seed(0)

    def of(*shape: int, dim: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=dim)

    maps = {name: of(B, 2, 8, 2, 2, dim=2) for name in ("predicted", "targets")}
    return maps | {name: of(B * 3, 8, dim=1) for name in ("first", "second")}


def losses(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every loss in every form."""
    vectors = given["first"], given["second"]
    return {
        "cpc": dense_info_nce(given["predicted"], given["targets"], temperature=0.1),
        "sim balanced": sim_loss(*vectors),
        "sim paper": sim_loss(*vectors, form="paper", mu=0.3),
        "sync l1": sync_loss(*vectors),
        "sync squared": sync_loss(*vectors, form="squared"),
        "sync paper": sync_loss(*vectors, form="paper"),
    }


def clips(config: Config, *, is_half_empty: bool = False) -> dict[str, torch.Tensor]:
    """A batch of B clips of noise; nobody is found in all of the first, nor in parts of others, if asked for."""
    generator, channels = torch.Generator().manual_seed(1), {"rgb": 3, "pose": 17}
    noise = {
        view: torch.randint(0, 256, (B, 3, 2, 24, 24, channels[view]), generator=generator, dtype=torch.uint8)
        for view in config.views
    }
    if is_half_empty:
        noise["pose"][0] = noise["pose"][1, 0] = noise["pose"][3, 2] = 0
    return noise


VICC = [
    "method=vicc",
    "vicc.projection_dim=6",
    "vicc.num_prototypes=4",
    "vicc.prototypes_frozen=0",
    "vicc.single_share=0.5",
    "vicc.queue_size=0",
]


def after_a_step(
    config: Config, fabric: Fabric, batches: list[dict[str, torch.Tensor]], *, epochs: int = 1
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The first of `epochs` steps without dropout and batch statistics: gradients, parameters, what was logged."""
    learner = Learner(config, StepPlan(len(batches), len(batches), epochs), fabric, None)
    learner.method.eval()
    logged: dict[str, float] = {}
    learner.step(
        [{"clips": batch, "targets": torch.zeros(len(next(iter(batch.values()))))} for batch in batches],
        1,
        lambda figures: logged.update({name: value.item() for name, value in figures.items()}),
    )
    tensors = {}
    for name, parameter in learner.method.named_parameters():
        if parameter.grad is not None:  # a frozen stream has none
            tensors[f"{name}.grad"] = parameter.grad.contiguous()
        tensors[name] = parameter.detach().contiguous()
    return tensors, logged


def _share(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.chunk(dist.get_world_size())[dist.get_rank()].clone()


def _write(folder: Path, name: str, tensors: dict[str, torch.Tensor], numbers: dict[str, float]) -> None:
    save_file(tensors, folder / f"{name}-{dist.get_rank()}.safetensors")
    (folder / f"{name}-{dist.get_rank()}.json").write_text(json.dumps(numbers))


def _compare_losses(folder: Path) -> None:
    for name in losses(features()):
        own = {key: _share(value).requires_grad_() for key, value in features().items()}
        loss = losses({key: gathered(value) for key, value in own.items()})[name]
        loss.backward()
        gradients = {key: value.grad for key, value in own.items() if value.grad is not None}
        _write(folder, name, gradients, {"loss": loss.item()})


def _compare_vicc(folder: Path, fabric: Fabric) -> None:
    """A step of the first stage, and one of the second."""
    config = load_config(sys.argv[1], VICC)
    batch = {view: _share(tensor)[:, :2] for view, tensor in clips(config).items()}
    for epochs in (2, 1):
        _write(folder, f"vicc {epochs}", *after_a_step(config, fabric, [batch], epochs=epochs))


def _compare_shuffle(folder: Path) -> None:
    """Rows that are shuffled over both processes, and what comes back."""
    rows = torch.arange(4.0)[:, None] + 10 * dist.get_rank()
    shuffle = Shuffle(len(rows), rows.device)
    dealt = shuffle.dealt(rows)
    _write(folder, "shuffle", {"dealt": dealt, "undone": shuffle.undone(dealt * 2)}, {})


def fitted(config: Config, fabric: Fabric, folder: Path) -> dict[str, torch.Tensor]:
    """Tensors of the classifiers that are fitted to untrained encoders."""
    torch.manual_seed(0)
    encoders = build_method(config).encoders
    dataset = open_dataset(config.data)
    frames = VideoFrames(dataset.split("train"), dataset.root, view_requests(config), cache_gib=1.0)
    run = RunFolder(folder, config)
    fit_classifiers(run, encoders, frames, dataset.labels, fabric, first_step=0, on_progress=lambda done, total: None)
    return {name: tensor for name, tensor in encoders["pose"].state_dict().items() if name.startswith("classifier.")}


def _bar_that_stops(process_id: int | None) -> ProgressBar:
    """A progress bar of the first process that asks another one for a stop."""

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        def on_progress(done: int, total: int | None) -> None:
            if process_id is not None and (description, done) == ("pre-training", STOPPED_AT):
                os.kill(process_id, signal.SIGINT)

        yield on_progress

    return bar


def _stop_and_go_on(config: Config, folder: Path) -> None:
    _, other = objects_of_all(os.getpid())
    try:
        train_run(config, folder / "run", overwrite=False, progress_bar=_bar_that_stops(other))
        is_stopped = False
    except KeyboardInterrupt:
        is_stopped = True
    dist.barrier()  # the first process writes the state
    state = RunFolder.open(folder / "run").state()
    assert state is not None
    _write(folder, "stopped", {}, {"is_stopped": is_stopped, "step": state["step"]})
    dist.barrier()
    train_run(config, folder / "run", overwrite=False, progress_bar=_bar_that_stops(None))


def main() -> None:
    """Compare losses, take a step, train with a stop in between."""
    config, folder = load_config(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    with launched_fabric(load_config(sys.argv[1], VICC), "32-true") as fabric:  # one that expects frozen streams
        _compare_losses(folder)
        for is_gathered, is_half_empty in ((True, False), (False, False), (True, True)):
            loss = config.loss.model_copy(update={"gathered": is_gathered})
            batch = {view: _share(tensor) for view, tensor in clips(config, is_half_empty=is_half_empty).items()}
            result = after_a_step(config.model_copy(update={"loss": loss}), fabric, [batch])
            _write(folder, f"step {is_gathered} {is_half_empty}", *result)
        _compare_vicc(folder, fabric)
        _compare_shuffle(folder)
        (folder / "fitted").mkdir(exist_ok=True)
        _write(folder, "fitted", fitted(config, fabric, folder / "fitted"), {})
        _stop_and_go_on(config, folder)


if __name__ == "__main__":
    main()
