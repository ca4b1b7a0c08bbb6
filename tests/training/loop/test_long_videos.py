"""Training on long videos: it goes on as if it had never stopped, and is judged on the way by a part of them."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, raise_signal

import psutil
import pytest
import torch

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.loop.run import train_run
from cocon.training.run_folder.files import RunFolder

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def long_config(long_films: Path, tiny_config: MakeConfig) -> MakeConfig:
    """`long_config("section.key=value", ...)`: fifteen stretches of three films, of which four are at hand."""

    def make(*settings: str) -> Config:
        cut = ["data.long_seconds=6", "data.stretch_seconds=2.5", "views=['rgb', 'flow']", "data.reuse=3"]
        room = ["data.cache_gib=0.0005", "training.epochs=2", "classifier.head=none"]
        return tiny_config(f"data.folder='{long_films}'", *cut, *room, *settings)

    return make


@pytest.fixture(scope="module")
def reference(long_config: MakeConfig, train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was not interrupted."""
    run = tmp_path_factory.mktemp("runs") / "reference"
    assert train_tiny(long_config(), run)
    return run


@pytest.mark.parametrize("stop", [1, 9])
def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(
    stop: int,
    reference: Path,
    long_config: MakeConfig,
    train_tiny: TrainTiny,
    weights_of: WeightsOf,
    tmp_path: Path,
) -> None:
    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        def on_progress(done: int, total: int | None) -> None:
            if (description, done) == ("pre-training", stop):
                raise KeyboardInterrupt if stop == 1 else psutil.Error

        yield on_progress

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises((KeyboardInterrupt, psutil.Error)):
        train_run(long_config(), tmp_path / "run", overwrite=False, progress_bar=bar)
    assert set(psutil.Process().children(recursive=True)) <= before, "decoders go on"
    assert train_tiny(long_config(), tmp_path / "run")
    weights, expected = weights_of(tmp_path / "run"), weights_of(reference)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == (reference / "metrics.jsonl").read_text()


def test_an_epoch_is_as_many_clips_as_there_are_stretches(reference: Path) -> None:
    lines = [json.loads(line) for line in (reference / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [7, 14]
    summary = json.loads((reference / "complete.json").read_text())
    assert (summary["videos"], summary["failed"]) == (3, {})
    assert RunFolder.open(reference).views == ("rgb", "flow")


def test_what_is_trained_on_is_said(long_config: MakeConfig, progress_bar: object, tmp_path: Path) -> None:
    said: list[str] = []
    train_run(long_config("training.epochs=1"), tmp_path, overwrite=False, progress_bar=progress_bar, say=said.append)
    (line,) = [line for line in said if "stretches" in line]
    assert line.startswith("3 videos are 15 stretches: up to 4 at hand in '")
    assert "each drawn from 3 times on average" in line


def _labelled(folder: Path, films: Path, *splits: str) -> Path:
    """A manifest of the films by turns, of two classes."""
    folder.mkdir()
    rows = [f"v{place},{films / f'film_{place % 3}.mp4'},{place % 3 % 2},{split}" for place, split in enumerate(splits)]
    (folder / "manifest.csv").write_text("\n".join(["video_id,path,label,split", *rows]) + "\n")
    return folder


def test_probe_and_validation_look_at_a_few_stretches_and_change_nothing(
    reference: Path,
    long_films: Path,
    long_config: MakeConfig,
    train_tiny: TrainTiny,
    weights_of: WeightsOf,
    tmp_path: Path,
) -> None:
    films = _labelled(tmp_path / "films", long_films, "train", "train", "train", "val")
    assert train_tiny(long_config(f"data.folder='{films}'", "training.probe_every_epochs=1"), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["judged_on"] for line in lines if line["phase"] == "probe"] == ["split 'val'"] * 2
    weights, expected = weights_of(tmp_path / "run"), weights_of(reference)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_classifier_learns_from_stretches_too(
    long_films: Path, long_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    films = _labelled(tmp_path / "films", long_films, "train", "train", "train")
    config = long_config(f"data.folder='{films}'", "classifier.head=mean", "training.epochs=1")
    assert train_tiny(config, tmp_path / "run")
    encoder, contract = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert contract.labels == ("0", "1") and encoder.classifier is not None


def _stopped(config: Config, run: Path) -> None:
    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        def on_progress(done: int, total: int | None) -> None:
            if (description, done) == ("pre-training", 1):
                raise_signal(SIGINT)

        yield on_progress

    with pytest.raises(KeyboardInterrupt):
        train_run(config, run, overwrite=False, progress_bar=bar)


def test_a_run_does_not_go_on_with_other_footage(
    long_films: Path, long_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    films = Path(shutil.copytree(long_films, tmp_path / "films"))
    config = long_config(f"data.folder='{films}'", "training.epochs=1")
    _stopped(config, tmp_path / "run")
    shutil.copy(films / "film_0.mp4", films / "film_9.mp4")
    with pytest.raises(UsageError, match="has begun with 15 videos and stretches, and now there are 20 with other"):
        train_tiny(config, tmp_path / "run")
    (films / "film_9.mp4").unlink()
    assert train_tiny(config, tmp_path / "run")


def test_a_run_of_an_earlier_release_says_how_to_go_on_with_whole_videos(
    long_films: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    run, tiny = (
        tmp_path / "run",
        [f"data.folder='{long_films}'", "views=['rgb']", "training.epochs=2", "classifier.head=none"],
    )
    _stopped(tiny_config(*tiny, "data.long_seconds=1e9"), run)
    written = (run / "config.toml").read_text().splitlines(keepends=True)
    (run / "config.toml").write_text("".join(line for line in written if not line.startswith(("long_s", "stretch_s"))))
    folder = RunFolder.open(run)
    state = folder.state()
    assert state is not None
    del state["footage"]
    folder.save_state(state)
    with pytest.raises(UsageError, match=r"has begun with whole videos.*--set data\.long_seconds=1e9"):
        train_tiny(tiny_config(*tiny, "data.long_seconds=6"), run)
    assert train_tiny(tiny_config(*tiny, "data.long_seconds=1e9"), run)
