"""Checkpoints as the released code of CoCon and DPC writes them: documented names and shapes, random numbers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocon.embedding.contract import ModelContract
from cocon.training.importing.conversion import ImportOptions, import_run

State = dict[str, Tensor]
MakeState = Callable[..., State]
Import = Callable[..., list[ModelContract]]

SMALL = {"blocks": (1, 1, 1, 1), "width": 4}


@pytest.fixture
def make_state() -> MakeState:
    """`make_state(blocks=, width=, channels=, classes=, statistics=)`: pre-training, or a classifier of K classes."""
    return _state


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """`save(state, name=, prefix=, **rest)`: a checkpoint file; the rest are other keys of its dictionary."""

    def write(state: Mapping[str, Any], name: str = "epoch7.pth.tar", prefix: str = "module.", **rest: object) -> Path:
        content = {"epoch": 7, "net": "resnet18", "state_dict": {prefix + key: state[key] for key in state}, **rest}
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def optimizer_of() -> Callable[..., dict[str, Any]]:
    """`optimizer_of(state, freezes=)`: what Adam remembers after a step; frozen, the aggregator had no gradient."""
    return _optimizer_of


@pytest.fixture
def import_into(tmp_path: Path) -> Import:
    """`import_into(*files, source=..., ...)`: the contracts of `tmp_path / "run"`."""

    def run(*files: Path, overwrite: bool = False, **options: Any) -> list[ModelContract]:
        given = ImportOptions(**{"source": "cocon", **options})
        imported = import_run(files, tmp_path / "run", given, overwrite=overwrite, progress_bar=_silent)
        return [contract for _, contract in imported]

    return run


@contextmanager
def _silent(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
    yield lambda done, total: None


def _state(
    *,
    blocks: tuple[int, ...] = (2, 2, 2, 2),
    width: int = 64,
    channels: int = 3,
    classes: int = 0,
    statistics: bool = True,
    seed: int = 0,
) -> State:
    draw = torch.Generator().manual_seed(seed)
    state: State = {}
    inputs = (width, width, 2 * width, 4 * width)
    outputs = (width, 2 * width, 4 * width, 4 * width)
    _convolution(state, "backbone.conv1", (width, channels, 1, 7, 7), draw)
    _batch_norm(state, "backbone.bn1", width, draw, statistics=statistics)
    for stage, count in enumerate(blocks):
        time = 3 if stage >= 2 else 1
        for index in range(count):
            name = f"backbone.layer{stage + 1}.{index}"
            before = inputs[stage] if index == 0 else outputs[stage]
            _convolution(state, f"{name}.conv1", (outputs[stage], before, time, 3, 3), draw)
            _batch_norm(state, f"{name}.bn1", outputs[stage], draw, statistics=statistics)
            _convolution(state, f"{name}.conv2", (outputs[stage], outputs[stage], time, 3, 3), draw)
            _batch_norm(state, f"{name}.bn2", outputs[stage], draw, statistics=statistics)
            if index == 0 and stage > 0:
                _convolution(state, f"{name}.downsample.0", (outputs[stage], before, 1, 1, 1), draw)
                _batch_norm(state, f"{name}.downsample.1", outputs[stage], draw, statistics=statistics)
    _on_top(state, 4 * width, classes, draw)
    return state


def _optimizer_of(state: State, *, freezes: bool) -> dict[str, Any]:
    no_parameters = ("running_mean", "running_var", "num_batches_tracked")
    names = [name for name in state if not name.endswith(no_parameters) and not name.startswith("agg.cell_list.")]
    order = sorted(names, key=lambda name: name.split(".")[0] in ("final_bn", "final_fc"))  # as its modules have it
    parameters = {name: nn.Parameter(state[name].clone()) for name in order}
    adam = torch.optim.Adam(parameters.values())
    for name, parameter in parameters.items():
        parameter.grad = None if freezes and name.startswith("agg.") else torch.ones_like(parameter)
    adam.step()
    return adam.state_dict()


def _on_top(state: State, dim: int, classes: int, draw: torch.Generator) -> None:
    for gate in ("reset_gate", "update_gate", "out_gate"):
        _affine(state, f"agg.ConvGRUCell_00.{gate}", (dim, 2 * dim, 1, 1), draw)
        for part in ("weight", "bias"):
            state[f"agg.cell_list.0.{gate}.{part}"] = state[f"agg.ConvGRUCell_00.{gate}.{part}"]
    if classes:
        _batch_norm(state, "final_bn", dim, draw)
        _affine(state, "final_fc.1", (classes, dim), draw)
    else:
        _affine(state, "network_pred.0", (dim, dim, 1, 1), draw)
        _affine(state, "network_pred.2", (dim, dim, 1, 1), draw)


def _convolution(state: State, name: str, shape: tuple[int, ...], draw: torch.Generator) -> None:
    fan_in = torch.Size(shape[1:]).numel()
    state[f"{name}.weight"] = torch.randn(shape, generator=draw) * (1.5 / fan_in) ** 0.5


def _affine(state: State, name: str, shape: tuple[int, ...], draw: torch.Generator) -> None:
    _convolution(state, name, shape, draw)
    state[f"{name}.bias"] = torch.randn(shape[0], generator=draw) * 0.1


def _batch_norm(state: State, name: str, channels: int, draw: torch.Generator, *, statistics: bool = True) -> None:
    """Numbers that a mistaken order of operations would not survive."""
    state[f"{name}.weight"] = torch.rand(channels, generator=draw) * 0.6 + 0.4
    state[f"{name}.bias"] = torch.randn(channels, generator=draw) * 0.1
    if statistics:
        state[f"{name}.running_mean"] = torch.randn(channels, generator=draw) * 0.1
        state[f"{name}.running_var"] = torch.rand(channels, generator=draw) + 0.7
        state[f"{name}.num_batches_tracked"] = torch.tensor(1234)
