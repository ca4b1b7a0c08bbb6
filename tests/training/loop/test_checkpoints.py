"""How often a training saves itself decides nothing but where one that was killed goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cocon.training.config.run import Config
from cocon.training.loop import checkpoints
from cocon.training.loop.run import train_run
from cocon.training.run_folder.files import RunFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]
STEPS_PER_EPOCH, EPOCHS, KILLED_AT = 3, 4, 8


class _KilledError(Exception):
    """In place of SIGKILL, which would end the tests."""


@contextmanager
def _bar_that_kills(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
    def killing(done: int, total: int | None) -> None:
        if (description, done) == ("pre-training", KILLED_AT):
            raise _KilledError

    yield killing


def test_short_epochs_are_not_all_saved_and_a_killed_training_goes_on_bit_for_bit(
    tiny_config: MakeConfig,
    train_tiny: TrainTiny,
    weights_of: WeightsOf,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    config = tiny_config(f"training.epochs={EPOCHS}", "classifier.head=none")
    monkeypatch.setattr(checkpoints, "_LEAST_S", 0.0)
    assert train_tiny(config, tmp_path / "every epoch")
    monkeypatch.setattr(checkpoints, "_LEAST_S", 1e9)
    with pytest.raises(_KilledError):
        train_run(config, tmp_path / "killed", overwrite=False, progress_bar=_bar_that_kills)
    run = RunFolder.open(tmp_path / "killed")
    state = run.state()
    assert state is not None and state["step"] == STEPS_PER_EPOCH  # of the first epoch, and not of the second
    assert train_tiny(config, run.path)
    state = run.state()
    assert state is not None and state["step"] == EPOCHS * STEPS_PER_EPOCH  # the last one always
    weights, expected = weights_of(run.path), weights_of(tmp_path / "every epoch")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert (run.length.steps, run.length.ended_by) == (EPOCHS * STEPS_PER_EPOCH, "plan")
