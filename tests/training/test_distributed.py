"""Two processes with half a batch each learn what one learns with the whole, and leave one run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from cocon.core.errors import UsageError
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.loop.devices import check_share
from cocon.training.run_folder.files import RunFolder
from tests.training import one_of_two

MakeConfig = Callable[..., Config]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]
SETTINGS = ["training.batch_size=4", "training.epochs=4", "classifier.head=gru", "classifier.dropout=0.2"]


def _torchrun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def config(tiny_config: MakeConfig) -> Config:
    return tiny_config(*SETTINGS)


@pytest.fixture(scope="module")
def config_file(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configs") / "two.toml"
    path.write_text(config.to_toml())
    return path


@pytest.fixture(scope="module")
def two(config_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote; see `one_of_two`."""
    folder = tmp_path_factory.mktemp("two")
    _torchrun(one_of_two.__file__, config_file, folder)
    return folder


def _read(two: Path, name: str, rank: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    return load_file(two / f"{name}-{rank}.safetensors"), json.loads((two / f"{name}-{rank}.json").read_text())


@pytest.mark.parametrize("name", ["cpc", "sim balanced", "sim paper", "sync l1", "sync squared", "sync paper"])
def test_a_loss_of_gathered_features_is_that_of_the_whole_batch(name: str, two: Path) -> None:
    whole = {key: value.requires_grad_() for key, value in one_of_two.features().items()}
    expected = one_of_two.losses(whole)[name]
    expected.backward()
    for rank in (0, 1):
        gradients, numbers = _read(two, name, rank)
        assert numbers["loss"] == pytest.approx(expected.item(), rel=1e-5)
        assert gradients.keys() == {key for key, value in whole.items() if value.grad is not None}
        for key, gradient in gradients.items():
            reference = whole[key].grad
            assert reference is not None
            # Data-parallel training divides by the number of processes when it averages.
            assert torch.allclose(gradient / 2, reference.chunk(2)[rank], rtol=1e-5, atol=1e-5), key


@pytest.mark.parametrize(("is_gathered", "is_half_empty"), [(True, False), (False, False), (True, True)])
def test_a_step_of_two_processes_is_that_of_one(
    is_gathered: bool, is_half_empty: bool, two: Path, config: Config
) -> None:
    whole = one_of_two.clips(config, is_half_empty=is_half_empty)
    halves = [{view: tensor.chunk(2)[rank] for view, tensor in whole.items()} for rank in (0, 1)]
    # Without gathering, two processes do what one does that accumulates the gradients of the halves.
    fabric = Fabric(accelerator="cpu", devices=1)
    expected, logged = one_of_two.after_a_step(config, fabric, [whole] if is_gathered else halves)
    for rank in (0, 1):
        tensors, figures = _read(two, f"step {is_gathered} {is_half_empty}", rank)
        assert tensors.keys() == expected.keys()
        for name, tensor in tensors.items():
            assert torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-5), name
        if is_gathered:
            assert figures == pytest.approx(logged, rel=1e-5)
    first, second = (_read(two, f"step {is_gathered} {is_half_empty}", rank) for rank in (0, 1))
    assert all(torch.equal(tensor, second[0][name]) for name, tensor in first[0].items())
    assert first[1] == second[1]


@pytest.mark.parametrize("stage", [1, 2])
def test_a_step_of_vicc_by_two_processes_is_that_of_one(stage: int, two: Path, config_file: Path) -> None:
    config = load_config(str(config_file), one_of_two.VICC)
    batch = {view: tensor[:, :2] for view, tensor in one_of_two.clips(config).items()}
    epochs = 3 - stage  # the first of two steps is in the first stage, the only one of one in the last turn
    fabric = Fabric(accelerator="cpu", devices=1)
    expected, logged = one_of_two.after_a_step(config, fabric, [batch], epochs=epochs)
    assert ("swapped/rgb" in logged) == (stage == 1)
    for rank in (0, 1):
        tensors, figures = _read(two, f"vicc {epochs}", rank)
        assert tensors.keys() == expected.keys()
        for name, tensor in tensors.items():
            assert torch.allclose(tensor, expected[name], rtol=1e-3, atol=1e-5), name
        assert figures == pytest.approx(logged, rel=1e-4)


def test_rows_are_shuffled_over_the_processes_and_come_back_to_where_they_were(two: Path) -> None:
    first, second = (_read(two, "shuffle", rank)[0] for rank in (0, 1))
    everyone = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]
    assert sorted([*first["dealt"].flatten().tolist(), *second["dealt"].flatten().tolist()]) == everyone
    assert max(first["dealt"].max(), 0) >= 10 or first["dealt"].flatten().tolist() != everyone[:4]
    assert [*first["undone"].flatten().tolist(), *second["undone"].flatten().tolist()] == [2 * v for v in everyone]


def test_processes_fit_the_classifiers_that_one_does(two: Path, config: Config, tmp_path: Path) -> None:
    expected = one_of_two.fitted(config, Fabric(accelerator="cpu", devices=1), tmp_path)
    assert {"classifier.fc.weight", "classifier.bn.running_mean"} <= expected.keys()
    for rank in (0, 1):
        tensors, _ = _read(two, "fitted", rank)
        assert tensors.keys() == expected.keys()
        assert all(torch.allclose(tensor, expected[name], rtol=1e-3, atol=1e-4) for name, tensor in tensors.items())


def test_a_stop_asked_of_one_process_stops_both_at_the_same_step(two: Path) -> None:
    numbers = [_read(two, "stopped", rank)[1] for rank in (0, 1)]
    assert numbers[0] == numbers[1]
    assert numbers[0]["is_stopped"] == 1
    assert 0 < numbers[0]["step"] < 4


def test_processes_drop_different_units(two: Path) -> None:
    state = RunFolder.open(two / "run").state()
    assert state is not None
    first, second = state["random"]
    assert not torch.equal(first["cpu"], second["cpu"])


def test_torchrun_leaves_one_whole_run_that_goes_on_after_a_stop_as_if_there_had_been_none(
    two: Path, config_file: Path, weights_of: WeightsOf, tmp_path: Path
) -> None:
    run, cocon = tmp_path / "run", Path(sys.executable).with_name("cocon")
    done = _torchrun("--no-python", cocon, "train", "--config", config_file, "--output", run)
    assert done.stdout == f"{run} trained cocon encoders of rgb, pose\n"
    lines = (run / "metrics.jsonl").read_text()
    assert [(json.loads(line)["phase"], json.loads(line)["step"]) for line in lines.splitlines()] == [
        *(("pretrain", step) for step in (1, 2, 3, 4)),
        *(("classify", step) for step in (5, 6)),
    ]
    assert RunFolder.open(run).encoder("pose")[1].labels
    assert lines == (two / "run" / "metrics.jsonl").read_text()
    weights, expected = weights_of(two / "run"), weights_of(run)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("batch_size", "world_size"), [(4, 3), (6, 4), (4, 4)])
def test_a_batch_that_has_no_equal_shares_is_refused(batch_size: int, world_size: int, tiny_config: MakeConfig) -> None:
    with pytest.raises(UsageError, match=rf"must be a multiple of {world_size}, at least {2 * world_size}"):
        check_share(tiny_config(f"training.batch_size={batch_size}"), world_size)
