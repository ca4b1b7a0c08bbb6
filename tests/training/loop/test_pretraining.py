"""Pre-training: goes on bit for bit after any kind of stop, learns, and says when it collapses."""

import csv
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cocon.core.errors import CoconError, UnreadableVideoError, UsageError, VideoError
from cocon.training.config.run import Config
from cocon.training.data.loader import Batch
from cocon.training.loop.learner import Learner
from cocon.training.loop.run import train_run
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]

COCON = [sys.executable, "-c", "from cocon.core.command import main; main()"]
EPOCHS, STEPS_PER_EPOCH = 2, 3


class MachineStopsError(Exception):
    """Stands for a crash."""


def _crash() -> None:
    raise MachineStopsError


def _stop_twice() -> None:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


STOPS: dict[str, Callable[[], None]] = {
    "asked": lambda: signal.raise_signal(signal.SIGINT),
    "terminated": lambda: signal.raise_signal(signal.SIGTERM),
    "asked twice": _stop_twice,
    "crashed": _crash,
}


def _train_until(config: Config, run: Path, phase: str, step: int, stop: Callable[[], None]) -> None:
    """Train, and stop once in a phase after a step."""

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: stop() if (description, done) == (phase, step) else None

    with pytest.raises((KeyboardInterrupt, MachineStopsError)):
        train_run(config, run, overwrite=False, progress_bar=bar)
    assert not RunFolder.open(run).is_complete


def _lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def _assert_same_outcome(run: Path, reference: Path, weights_of: WeightsOf) -> None:
    weights, expected = weights_of(run), weights_of(reference)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert (run / "metrics.jsonl").read_text() == (reference / "metrics.jsonl").read_text()
    for path in reference.glob("views/*/contract.json"):
        assert (run / path.relative_to(reference)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("how", "phase", "step"),
    [
        *(("asked", "pre-training", step) for step in (0, 1, 3, 4, EPOCHS * STEPS_PER_EPOCH)),
        ("terminated", "pre-training", 4),
        ("asked twice", "pre-training", 2),  # nothing saved yet
        ("asked twice", "pre-training", 5),
        ("crashed", "pre-training", 5),
    ],
)
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(
    how: str,
    phase: str,
    step: int,
    trained: Path,
    tiny_config: MakeConfig,
    train_tiny: TrainTiny,
    weights_of: WeightsOf,
    tmp_path: Path,
) -> None:
    _train_until(tiny_config(), tmp_path, phase, step, STOPS[how])
    assert train_tiny(tiny_config(), tmp_path)
    _assert_same_outcome(tmp_path, trained, weights_of)


@pytest.mark.parametrize(("how", "step"), [("asked", 2), ("crashed", 4)])
def test_a_run_that_is_stopped_while_classifiers_are_trained_goes_on_as_if_it_had_never_stopped(
    how: str, step: int, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    config = tiny_config("classifier.head=gru")  # that of a mean is fitted at once
    assert train_tiny(config, tmp_path / "reference")
    _train_until(config, tmp_path / "run", "training classifiers", step, STOPS[how])
    assert train_tiny(config, tmp_path / "run")
    _assert_same_outcome(tmp_path / "run", tmp_path / "reference", weights_of)
    figures = [
        line.keys() - {"phase", "step", "epoch"} for line in _lines(tmp_path / "run") if line["phase"] != "pretrain"
    ]
    assert figures == [{"accuracy/rgb", "accuracy/pose", "loss"}] * 2


def test_a_training_in_steps_ends_after_them_and_goes_on_as_if_it_had_never_stopped(
    tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    config = tiny_config("training.steps=5", "classifier.head=none")
    assert train_tiny(config, tmp_path / "reference")
    assert [(line["step"], line["epoch"]) for line in _lines(tmp_path / "reference")] == [(3, 1), (5, 2)]
    _train_until(config, tmp_path / "run", "pre-training", 4, STOPS["asked"])
    assert train_tiny(config, tmp_path / "run")
    _assert_same_outcome(tmp_path / "run", tmp_path / "reference", weights_of)


@pytest.fixture(scope="module")
def with_val(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set, of which six videos are for validation."""
    folder = Path(shutil.copytree(figures, tmp_path_factory.mktemp("with_val") / "figures"))
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(",test", ",val"))
    return folder


@pytest.mark.parametrize("has_val", [True, False])
def test_a_stopped_run_that_accumulates_and_follows_the_loss_goes_on_as_if_it_had_never_stopped(
    has_val: bool,
    figures: Path,
    with_val: Path,
    tiny_config: MakeConfig,
    train_tiny: TrainTiny,
    weights_of: WeightsOf,
    tmp_path: Path,
) -> None:
    plateau = ["schedule='plateau'", "plateau_patience_epochs=0", "min_learning_rate=0.0", "learning_rate=0.05"]
    settings = ["training.accumulate=2", "training.epochs=6", "classifier.head=none", "loss.sync_ramp=1.0"]
    folder = f"data.folder='{with_val if has_val else figures}'"
    config = tiny_config(*settings, *(f"optimizer.{setting}" for setting in plateau), folder)
    assert train_tiny(config, tmp_path / "reference")
    run = tmp_path / "run"
    for step in (5, 8, 10):  # two steps an epoch: of two batches, then of the one that is left
        _train_until(config, run, "pre-training", step, STOPS["asked"])
        state = RunFolder.open(run).state()
        assert state is not None
        assert state["step"] == step
    assert train_tiny(config, run)
    _assert_same_outcome(run, tmp_path / "reference", weights_of)
    lines = _lines(run)
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    assert all(("validation_loss" in line) == has_val for line in lines)
    _assert_follows(lines, "validation_loss" if has_val else "")


def _assert_follows(lines: list[dict[str, float]], name: str) -> None:
    """The rate of each epoch is a tenth of the one before exactly where the loss before had not fallen."""

    def loss(line: dict[str, float]) -> float:
        whole = sum(value for key, value in line.items() if key.startswith("cpc/"))
        whole += 10 * sum(value for key, value in line.items() if key.startswith(("sim/", "sync/")))
        return line[name] if name else whole

    best, rate = math.inf, 0.05
    for line in lines:
        assert line["learning_rate"] == pytest.approx(rate, abs=1e-6)
        if loss(line) >= best:
            rate /= 10
        best = min(best, loss(line))
    assert rate < 0.05


def test_asking_for_a_stop_saves_the_step_just_done_and_restores_the_handlers(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    _train_until(tiny_config(), tmp_path, "pre-training", 4, STOPS["asked"])
    state = RunFolder.open(tmp_path).state()
    assert state is not None
    assert state["step"] == 4
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture(scope="module")
def long_run(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, Path]:
    """A run long enough to be hit by another process."""
    config, run = tiny_config("training.epochs=12"), tmp_path_factory.mktemp("runs") / "long"
    assert train_tiny(config, run)
    return config, run


def _started(config: Config, run: Path, *more: str) -> subprocess.Popen[str]:
    """`cocon train` as its own process group, a few epochs in."""
    path = run.parent / f"{run.name}.toml"
    path.write_text(config.to_toml())
    settings = [argument for setting in more for argument in ("--set", setting)]
    process = subprocess.Popen(
        [*COCON, "train", "--config", str(path), "--output", str(run), *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 300
    while not (run / "metrics.jsonl").is_file() or len((run / "metrics.jsonl").read_text().splitlines()) < 2:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)
    return process


def test_a_killed_process_costs_nothing_but_time(
    long_run: tuple[Config, Path], train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    config, reference = long_run
    run = tmp_path / "run"
    process = _started(config, run)
    process.kill()
    process.communicate()
    state = RunFolder.open(run).state()
    assert state is not None
    assert 0 < state["step"] < 12 * STEPS_PER_EPOCH
    assert train_tiny(config, run)
    _assert_same_outcome(run, reference, weights_of)
    for path in reference.glob("views/*/weights.safetensors"):
        assert (run / path.relative_to(reference)).read_bytes() == path.read_bytes()


def test_ctrl_c_reaches_the_loading_processes_too_and_still_saves(
    long_run: tuple[Config, Path], train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    config, reference = long_run
    run = tmp_path / "run"
    process = _started(config, run, "data.workers=2")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    first, *epochs = [line.split(" ")[0] for line in errors.splitlines()]
    assert (first, set(epochs) - {"not", "pre-training:"}) == ("cocon", set())  # not judged; no more
    state = RunFolder.open(run).state()
    assert state is not None
    assert state["step"] < 12 * STEPS_PER_EPOCH
    assert train_tiny(config.model_copy(update={"data": config.data.model_copy(update={"workers": 2})}), run)
    _assert_same_outcome(run, reference, weights_of)


def test_the_journal_has_one_line_per_epoch_with_every_views_figures(trained: Path) -> None:
    lines = _lines(trained)
    assert [(line["phase"], line["step"], line["epoch"]) for line in lines] == [
        ("pretrain", 3, 1),
        ("pretrain", 6, 2),
        ("classify", 7, 1),
    ]
    figures = {f"{name}/{view}" for name in ("cpc", "top1", "spread") for view in ("rgb", "pose")}
    assert lines[0].keys() - {"phase", "step", "epoch"} == figures | {
        "sim/rgb-pose",
        "sync/rgb-pose",
        "loss",
        "learning_rate",
    }
    assert [line["learning_rate"] for line in lines[:2]] == pytest.approx([1e-3, 2e-5])
    assert lines[2].keys() == {"phase", "step", "epoch"}  # classifiers of a mean are fitted at once


def test_the_loss_falls(tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path) -> None:
    still = ["augment.crop_scale=[1.0, 1.0]", "augment.gain=0.0", "clip.stride_jitter=[1.0, 1.0]"]
    length = ["training.epochs=40", "training.batch_size=6", "optimizer.learning_rate=0.01", "classifier.head=none"]
    config = tiny_config("views=['pose']", "model.width=8", *still, *length)
    train_tiny(config, tmp_path)
    losses = [line["cpc/pose"] for line in _lines(tmp_path)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_the_seed_decides_the_networks(tiny_config: MakeConfig) -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(torch.cat([p.detach().flatten() for p in build_method(tiny_config()).parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_healthy_embeddings_raise_no_alarm(
    tiny_config: MakeConfig, train_tiny: TrainTiny, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.WARNING):
        train_tiny(tiny_config("classifier.head=none"), tmp_path)
    assert caplog.messages == []


@pytest.mark.parametrize(("cache_gib", "workers"), [(1.0, 0), (0.0, 0), (1.0, 2), (0.0, 2)])
def test_a_video_that_does_not_decode_is_left_out_said_once_and_recorded(
    cache_gib: float,
    workers: int,
    figures_copy: Path,
    tiny_config: MakeConfig,
    train_tiny: TrainTiny,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    (figures_copy / "videos" / "figure_00002.mp4").write_bytes(b"no video")
    settings = (f"data.cache_gib={cache_gib}", f"data.workers={workers}", "data.max_failed_share=0.2")
    with caplog.at_level(logging.WARNING):
        train_tiny(tiny_config(f"data.folder={figures_copy}", *settings), tmp_path / "run")
    said = [message for message in caplog.messages if "figure_00002" in message]
    assert len(said) == 1
    assert "is left out" in said[0]
    summary = json.loads((tmp_path / "run" / "complete.json").read_text())
    assert list(summary["failed"]) == ["figure_00002"]
    assert "cannot be decoded" in summary["failed"]["figure_00002"]
    assert summary["videos"] == 6


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("how", ["removed", "damaged", "all removed"])
def test_videos_that_fail_once_training_has_begun_stop_it_when_they_are_too_many(
    how: str, workers: int, figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    videos = sorted((figures_copy / "videos").glob("*.mp4"))[: 6 if how == "all removed" else 2]
    kept = {video: video.read_bytes() for video in videos}

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        def spoil(done: int, total: int | None) -> None:
            if (description, done) == ("pre-training", STEPS_PER_EPOCH):  # every video was read once
                for video in videos:
                    video.write_bytes(b"no video") if how == "damaged" else video.unlink()

        yield spoil

    settings = ("data.cache_gib=0", f"data.workers={workers}", "training.epochs=3", "classifier.head=none")
    config = tiny_config(f"data.folder={figures_copy}", *settings, "data.max_failed_share=0.2")
    refused = r"^\d of 6 training videos failed .* allows 20\.0%: 'figure_0000\d' \(video .*"
    with pytest.raises(VideoError, match=refused + r"; mend them or take them out, or allow more: --set data"):
        train_run(config, tmp_path / "run", overwrite=False, progress_bar=bar)
    run = RunFolder.open(tmp_path / "run")
    assert run.state() is not None and not run.is_complete
    for video, content in kept.items():
        video.write_bytes(content)
    assert train_tiny(config, tmp_path / "run")
    assert run.failures() == ({}, 6)


def test_more_failures_than_allowed_stop_training_before_it_begins(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    for path in figures_copy.glob("videos/*_0000[024].mp4"):
        path.write_bytes(b"no video")
    refused = (
        r"^3 of 6 training videos failed \(50\.0%\), data\.max_failed_share allows 49\.0%: 'figure_00000' \(video "
    )
    with pytest.raises(VideoError, match=refused):
        train_tiny(tiny_config(f"data.folder={figures_copy}", "data.max_failed_share=0.49"), tmp_path / "run")
    assert not (tmp_path / "run" / "state.pt").exists()
    assert train_tiny(tiny_config(f"data.folder={figures_copy}", "data.max_failed_share=0.5"), tmp_path / "run")
    assert list(RunFolder.open(tmp_path / "run").failures()[0]) == ["figure_00000", "figure_00002", "figure_00004"]


def test_a_set_of_which_no_video_decodes_is_an_error(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    for path in figures_copy.glob("videos/*"):
        path.write_bytes(b"no video")
    for cache_gib in (1, 0):
        config = tiny_config(f"data.folder={figures_copy}", "data.max_failed_share=1", f"data.cache_gib={cache_gib}")
        with pytest.raises(UnreadableVideoError, match=r"^6 of 6 training videos failed .* cannot be decoded"):
            train_tiny(config, tmp_path / f"run{cache_gib}")


def test_one_training_video_is_too_few(
    figures_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    shutil.copy(figures_copy / "manifest.csv", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    with (figures_copy / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows[:2])
    with pytest.raises(UsageError, match=r"has 1 training videos; at least 2 are needed; it has 1 train$"):
        train_tiny(tiny_config(f"data.folder={figures_copy}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_validation_batch_has_no_more_clips_than_there_are_videos(
    with_val: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes: list[int] = []
    loss_of = Learner.validation_loss

    def measured(self: Learner, batches: Iterable[Batch]) -> float:
        sizes.extend(len(batch["targets"]) for batch in batches)
        return loss_of(self, batches)

    monkeypatch.setattr(Learner, "validation_loss", measured)
    settings = ["optimizer.schedule=plateau", "training.batch_size=8", "training.epochs=1", "classifier.head=none"]
    assert train_tiny(tiny_config(*settings, f"data.folder={with_val}"), tmp_path)
    assert sizes == [6]


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_epoch_before(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    config = tiny_config("optimizer.learning_rate=1e30", "optimizer.warmup_epochs=0", "training.epochs=3")
    with pytest.raises(CoconError, match=r"pre-training diverged: the loss of epoch \d is nan; lower optimizer"):
        train_tiny(config, run)
    state = RunFolder.open(run).state()
    assert state is None or all(torch.isfinite(tensor).all() for tensor in state["method"].values())
    assert not RunFolder.open(run).is_complete


_INFINITE = [
    *(
        "optimizer.learning_rate=3e37",
        "optimizer.weight_decay=11",
    ),  # too much for the first step alone
    *("optimizer.warmup_epochs=0", "optimizer.final_share=1"),
]


@pytest.mark.parametrize(
    "settings",
    [
        ["training.batch_size=6", "training.epochs=1"],
        ["training.accumulate=3", "training.precision=bf16-mixed", "training.epochs=1"],
    ],
)
def test_weights_that_the_last_step_made_infinite_are_not_kept(
    settings: list[str], tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(CoconError, match=r"^pre-training diverged: weights are not finite in epoch 1, such as .*rgb"):
        train_tiny(tiny_config(*_INFINITE, *settings, "classifier.head=none"), run)
    assert not {"state.pt", "complete.json", "views"} & {path.name for path in run.iterdir()}


def test_a_stop_saves_no_weights_that_are_infinite(tiny_config: MakeConfig, tmp_path: Path) -> None:
    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        yield lambda done, total: STOPS["asked"]() if (description, done) == ("pre-training", 1) else None

    with pytest.raises(CoconError, match=r"^pre-training diverged: .* in epoch 1.*\(nothing is kept\)$"):
        train_run(tiny_config(*_INFINITE), tmp_path / "run", overwrite=False, progress_bar=bar)
    assert not (tmp_path / "run" / "state.pt").exists()
