"""Judging on the way: on no test video, and without a trace in what is trained."""

import csv
import json
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.loop.online import OnlineProbe, held_out
from cocon.training.loop.run import train_run
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]


def _rewrite(folder: Path, change: Callable[[int, dict[str, str]], dict[str, str]]) -> None:
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(change(index, row) for index, row in enumerate(rows))


def _two_classes(index: int, row: dict[str, str]) -> dict[str, str]:
    return row | {"label": ("bow", "jump")[index // 2 % 2], "group": f"group {index // 2}"}


@pytest.fixture
def two_classes(figures_copy: Path) -> Path:
    """The set with two classes and several groups in both splits."""
    _rewrite(figures_copy, _two_classes)
    return figures_copy


def _lines(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_probing_leaves_no_trace_in_the_weights_and_a_line_every_so_many_epochs(
    two_classes: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    settings = [f"data.folder={two_classes}", "training.epochs=4", "classifier.head=none"]
    train_tiny(tiny_config(*settings), tmp_path / "without")
    train_tiny(tiny_config(*settings, "training.probe_every_epochs=2"), tmp_path / "with")
    weights, expected = weights_of(tmp_path / "with"), weights_of(tmp_path / "without")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    lines, plain = _lines(tmp_path / "with"), _lines(tmp_path / "without")
    assert [line for line in lines if line["phase"] == "pretrain"] == plain
    probes = [line for line in lines if line["phase"] == "probe"]
    assert [(line["step"], line["epoch"]) for line in probes] == [(6, 2), (12, 4)]
    for line in probes:
        assert line["judged_on"] == "held-out groups of split 'train'"
        for view in ("rgb", "pose", "ensemble"):
            assert {f"probe_top1/{view}", f"R@1/{view}"} <= line.keys()
    trained = {view: RunFolder.open(tmp_path / "with").encoder(view)[0] for view in ("rgb", "pose")}
    expected_figures = _probe(tiny_config(*settings)).figures(trained)
    assert {name: value for name, value in probes[-1].items() if "/" in name} == pytest.approx(expected_figures)


def _probe(config: Config) -> OnlineProbe:
    dataset = DatasetFolder.open(config.data.folder)
    train, val = (
        VideoFrames(dataset.split(name), dataset.root, view_requests(config), cache_gib=1.0)
        for name in ("train", "val")
    )
    return OnlineProbe(config, train, val if len(val) else None)


def _seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Videos that are read from now on."""
    seen: list[str] = []
    read = VideoFrames.__getitem__

    def remembered(self: VideoFrames, index: int) -> object:
        seen.append(self.entries[index].video_id)
        return read(self, index)

    monkeypatch.setattr(VideoFrames, "__getitem__", remembered)
    return seen


def test_videos_of_split_val_are_judged_on_and_test_videos_never_read(
    two_classes: Path, tiny_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rewrite(two_classes, lambda index, row: row | {"split": "val" if index % 4 == 3 else row["split"]})
    dataset = DatasetFolder.open(two_classes)
    assert len(dataset.split("val")) == 3
    config = tiny_config(f"data.folder={two_classes}", "views=['pose']")
    probe, seen = _probe(config), _seen(monkeypatch)
    assert probe.judged_on == "split 'val'"
    encoders = build_method(config).encoders
    figures = probe.figures(encoders)
    assert {"probe_top1/pose", "R@1/pose", "R@5/pose"} <= figures.keys()
    assert encoders["pose"].training
    expected = {entry.video_id for split in ("train", "val") for entry in dataset.split(split)}
    assert set(seen) == expected


def test_whole_groups_are_held_out_and_always_the_same() -> None:
    groups = np.array([f"group {index // 3}" for index in range(24)])
    chosen = held_out(groups)
    assert 0 < chosen.sum() <= 9
    assert set(groups[chosen]) & set(groups[~chosen]) == set()
    assert np.array_equal(chosen, held_out(groups))
    assert not held_out(np.array(["one", "one"])).any()


@pytest.mark.parametrize(("column", "rule"), [("label", "two classes"), ("group", "two groups")])
def test_without_two_classes_and_two_groups_nothing_can_be_judged(
    column: str, rule: str, two_classes: Path, tiny_config: MakeConfig
) -> None:
    _rewrite(two_classes, lambda index, row: row | {column: "the same"})
    with pytest.raises(UsageError, match=rf"training\.probe_every_epochs needs labelled training videos of {rule}"):
        _probe(tiny_config(f"data.folder={two_classes}"))


def test_a_training_that_gains_nothing_more_ends_early_and_goes_on_to_the_same_end(
    two_classes: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    length = ["training.epochs=40", "training.least_steps=12", "training.early_stop=1"]
    settings = [f"data.folder={two_classes}", "classifier.head=none", "training.probe_every_epochs=1"]
    config = tiny_config(*settings, *length)
    train_tiny(config, tmp_path / "reference")
    epochs = [line["epoch"] for line in _lines(tmp_path / "reference") if line["phase"] == "pretrain"]
    assert 4 <= len(epochs) < 40  # twelve steps are the least, and six videos are not told apart better forty times

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        at = ("pre-training", 3 * len(epochs))
        yield lambda done, total: signal.raise_signal(signal.SIGINT) if (description, done) == at else None

    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "run", overwrite=False, progress_bar=bar)
    train_tiny(config, tmp_path / "run")
    weights, expected = weights_of(tmp_path / "run"), weights_of(tmp_path / "reference")
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert _lines(tmp_path / "run") == _lines(tmp_path / "reference")


def test_where_broken_videos_leave_too_few_classes_training_goes_on_without_the_figures(
    two_classes: Path,
    tiny_config: MakeConfig,
    train_tiny: TrainTiny,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    for entry in DatasetFolder.open(two_classes).split("train"):
        if entry.label == "jump":
            entry.path.write_bytes(b"no video")
    settings = [f"data.folder={two_classes}", "classifier.head=none", "training.probe_every_epochs=2"]
    with caplog.at_level(logging.WARNING):
        assert train_tiny(tiny_config(*settings, "data.max_failed_share=0.5"), tmp_path / "run")
    assert [line["phase"] for line in _lines(tmp_path / "run")] == ["pretrain", "pretrain"]
    (said,) = (message for message in caplog.messages if "not judged" in message)
    assert said.startswith("epoch 2: the encoders are not judged: training.probe_every_epochs needs")
    assert "two classes" in said
