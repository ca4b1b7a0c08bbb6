"""The journal: means per epoch, the same in both files, and no line twice."""

import json
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cocon.core.errors import StorageError
from cocon.training.loop.journal import Journal
from tests.disks import full_disk


def _lines(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _write(run: Path, steps: range, *, per_epoch: int = 2) -> None:
    with Journal(run, next_step=steps.start) as journal:
        for step in steps:
            journal.add({"loss": torch.tensor(float(step))})
            if (step + 1) % per_epoch == 0:
                journal.write("pretrain", step=step + 1, epoch=(step + 1) // per_epoch, learning_rate=0.5)


def test_a_line_holds_the_means_since_the_line_before(tmp_path: Path) -> None:
    _write(tmp_path, range(4))
    assert _lines(tmp_path) == [
        {"phase": "pretrain", "step": 2, "epoch": 1, "loss": 0.5, "learning_rate": 0.5},
        {"phase": "pretrain", "step": 4, "epoch": 2, "loss": 2.5, "learning_rate": 0.5},
    ]


def test_a_figure_that_only_some_steps_have_is_averaged_over_these(tmp_path: Path) -> None:
    with Journal(tmp_path, next_step=0) as journal:
        journal.add({"loss": torch.tensor(1.0)})
        journal.add({"loss": torch.tensor(3.0), "turn": torch.tensor(5.0)})
        assert journal.write("pretrain", step=2, epoch=1) == {"loss": 2.0, "turn": 5.0}


def test_means_begin_anew_after_a_checkpoint_that_did_not_count_figures(tmp_path: Path) -> None:
    with Journal(tmp_path, next_step=1) as journal:
        journal.restore({"sums": {"loss": 7.0}, "count": 1})
        journal.add({"loss": torch.tensor(1.0)})
        assert journal.write("pretrain", step=2, epoch=1) == {"loss": 1.0}


def test_tensorboard_shows_the_same_figures(tmp_path: Path) -> None:
    _write(tmp_path, range(4))
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"pretrain/loss", "pretrain/learning_rate"}
    assert [(event.step, event.value) for event in board.Scalars("pretrain/loss")] == [(2, 0.5), (4, 2.5)]


def test_lines_later_than_the_step_that_training_goes_on_from_are_written_once(tmp_path: Path) -> None:
    _write(tmp_path, range(6))
    whole = _lines(tmp_path)
    _write(tmp_path, range(2, 6))
    assert _lines(tmp_path) == whole
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("pretrain/loss")] == [2, 4, 6]


def test_the_sums_of_half_an_epoch_are_kept_through_a_checkpoint(tmp_path: Path) -> None:
    with Journal(tmp_path, next_step=0) as journal:
        journal.add({"loss": torch.tensor(1.0)})
        state = journal.state()
        journal.add({"loss": torch.tensor(99.0)})
    with Journal(tmp_path, next_step=1) as journal:
        journal.restore(state)
        journal.add({"loss": torch.tensor(2.0)})
        assert journal.write("pretrain", step=2, epoch=1) == {"loss": 1.5}


@pytest.mark.parametrize("torn", ['{"phase": "pretrain", "st', "\x00" * 40], ids=["half a line", "zeros"])
def test_a_line_that_a_crash_tore_is_dropped(torn: str, tmp_path: Path) -> None:
    _write(tmp_path, range(2))
    whole = _lines(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write(torn)
    _write(tmp_path, range(2, 2))
    assert _lines(tmp_path) == whole


def test_a_full_disk_is_one_error_and_leaves_whole_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, range(2))
    whole = _lines(tmp_path)
    with full_disk(200), pytest.raises(StorageError, match="cannot be written: File too large"):
        _write(tmp_path, range(2, 12))
    assert _lines(tmp_path)[:1] == whole
    assert capfd.readouterr() == ("", "")
    _write(tmp_path, range(2, 4))
    assert [line["step"] for line in _lines(tmp_path)] == [2, 4]
