"""The precision of a run: as asked, as begun, or as measured, and then for all runs alike."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cocon.core.errors import UsageError
from cocon.core.progress import ProgressBar
from cocon.training.config.run import Config
from cocon.training.loop.run import train_run
from cocon.training.machine.precision import Precision, precision_of
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import claim_run
from tests.disks import full_disk

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]

METHODS = {
    "cocon": ["method=cocon"],
    "vicc": ["method=vicc", "clip.num_blocks=2"],
    "vclr": ["method=vclr", "clip.frames_per_block=1", "clip.num_blocks=3"],
    "cycle": ["method=cycle", "clip.frames_per_block=1", "clip.num_blocks=3"],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where measurements are remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cocon" / "precision.json"


@pytest.fixture
def is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with bfloat16 of its own, and nobody else on it."""
    monkeypatch.setattr("cocon.training.machine.precision._has_two", lambda: True)
    monkeypatch.setattr("cocon.training.machine.precision.default_device", lambda: torch.device("cpu"))
    monkeypatch.setattr("cocon.training.machine.precision.crowd", lambda num_threads: "")


def _of(run: Path, config: Config, *, is_new: bool = False) -> Precision:
    return precision_of(RunFolder(run, config), is_new=is_new)


@pytest.mark.usefixtures("is_fast")
@pytest.mark.parametrize("name", METHODS)
def test_a_few_steps_are_measured_once_for_all_runs_of_a_kind(
    name: str, cache: Path, tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = tiny_config("training.precision=auto", *METHODS[name])
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    first = _of(tmp_path / "run", config)
    assert torch.equal(torch.rand(4), expected)  # nothing was drawn from the run's numbers
    (measured,) = json.loads(cache.read_text()).values()
    assert first.name == ("bf16-mixed" if measured >= 1.15 else "32-true")
    assert f"{measured:.2f} × as fast" in first.reason
    for gain, expected_name in ((1.16, "bf16-mixed"), (1.14, "32-true"), (0.75, "32-true")):
        cache.write_text(json.dumps(dict.fromkeys(json.loads(cache.read_text()), gain)))
        assert _of(tmp_path / "run", config) == Precision(expected_name, f"bf16-mixed is {gain} × as fast here")
    _of(tmp_path / "run", tiny_config("training.precision=auto", "model.width=8", *METHODS[name]))
    assert len(json.loads(cache.read_text())) == 2  # other networks
    own = [f"trunk.rgb.{key}={value}" for key, value in config.model.model_dump(include={"backbone", "depth"}).items()]
    own.append("trunk.rgb.width=8")
    _of(tmp_path / "run", tiny_config("training.precision=auto", *own, *METHODS[name]))
    assert len(json.loads(cache.read_text())) == 3  # of one view


@pytest.mark.usefixtures("is_fast")
def test_a_place_that_cannot_be_written_or_read_costs_a_measurement(
    cache: Path, tiny_config: MakeConfig, tmp_path: Path
) -> None:
    config = tiny_config("training.precision=auto")
    cache.parent.mkdir(parents=True)
    for content in ("no json", "[1, 2]", '{"a": []}'):
        cache.write_text(content)
        assert _of(tmp_path / "run", config).reason
    shutil.rmtree(cache.parent)
    cache.parent.write_text("a file")
    assert _of(tmp_path / "run", config).reason


def test_what_is_asked_for_is_not_measured(cache: Path, tiny_config: MakeConfig, tmp_path: Path) -> None:
    for name in ("32-true", "bf16-mixed"):
        assert _of(tmp_path / "run", tiny_config(f"training.precision={name}")) == Precision(name, "")
    no_step = tiny_config("training.precision=auto", "training.epochs=0")
    assert _of(tmp_path / "run", no_step).reason == ""
    assert not cache.exists()


def test_several_processes_take_one_that_needs_no_measuring(
    cache: Path, tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = tiny_config("training.precision=auto")
    assert _of(tmp_path / "run", config).name == ("bf16-mixed" if torch.cuda.is_available() else "32-true")
    assert not cache.exists()


def test_a_run_goes_on_in_what_it_was_begun_in_and_says_so(
    cache: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, progress_bar: ProgressBar, tmp_path: Path
) -> None:
    run, settings = tmp_path / "run", ("classifier.head=none", "training.epochs=1")
    assert train_tiny(tiny_config("training.precision=bf16-mixed", *settings), run)
    assert json.loads((run / "complete.json").read_text())["precision"] == "bf16-mixed"
    (run / "complete.json").unlink()
    config = tiny_config("training.precision=auto", *settings)
    assert _of(run, config) == Precision("bf16-mixed", "as it was begun")
    said: list[str] = []
    assert train_run(config, run, overwrite=False, progress_bar=progress_bar, say=said.append)  # `auto` is no other run
    assert "bf16-mixed (as it was begun), up to" in said[0]
    assert json.loads((run / "complete.json").read_text())["precision"] == "bf16-mixed"
    assert not cache.exists()


@pytest.mark.usefixtures("is_fast")
def test_a_run_that_is_replaced_or_of_an_earlier_release_is_measured(
    cache: Path, tiny_config: MakeConfig, trained_copy: Path
) -> None:
    config = tiny_config("training.precision=auto")
    (trained_copy / "complete.json").unlink()
    assert _of(trained_copy, config).reason == "as it was begun"
    assert "as fast" in _of(trained_copy, config, is_new=True).reason
    state = torch.load(trained_copy / "state.pt", weights_only=True)
    del state["trained_in"]
    torch.save(state, trained_copy / "state.pt")
    unmeasured = "bf16-mixed" if torch.cuda.is_available() else "32-true"
    assert _of(trained_copy, config) == Precision(unmeasured, "as earlier releases chose")
    (trained_copy / "state.pt").unlink()  # ended before its first one
    assert "as fast" in _of(trained_copy, config).reason


@pytest.mark.usefixtures("is_fast")
def test_a_device_is_not_measured(
    cache: Path, tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cocon.training.machine.precision.default_device", lambda: torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _of(tmp_path / "run", tiny_config("training.precision=auto")) == Precision("bf16-mixed", "")
    assert not cache.exists()


@pytest.mark.usefixtures("is_fast")
def test_a_measurement_without_memory_is_none(cache: Path, tiny_config: MakeConfig, tmp_path: Path) -> None:
    huge = tiny_config("training.precision=auto", "view.rgb.resize_px=4000000", "view.rgb.crop_px=4000000")
    unmeasured = "bf16-mixed" if torch.cuda.is_available() else "32-true"
    assert _of(tmp_path / "run", huge) == Precision(unmeasured, "bf16-mixed could not be measured here")
    assert not cache.exists()


@pytest.mark.usefixtures("is_fast")
def test_what_is_measured_in_a_crowd_or_too_seldom_is_not_remembered(
    cache: Path, tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("training.precision=auto")
    monkeypatch.setattr("cocon.training.machine.precision.crowd", lambda num_threads: "another training runs")
    assert "as fast" in _of(tmp_path / "run", config).reason
    monkeypatch.setattr("cocon.training.machine.precision.crowd", lambda num_threads: "")
    monkeypatch.setattr("cocon.training.machine.precision._MAX_SECONDS", 0.0)
    assert "as fast" in _of(tmp_path / "run", config).reason
    assert not cache.exists()


@pytest.mark.usefixtures("is_fast")
def test_nobodys_home_and_a_full_disk_cost_a_measurement(
    cache: Path, tiny_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("training.precision=auto")
    with full_disk(4):
        assert "as fast" in _of(tmp_path / "run", config).reason
    assert not cache.exists()
    for variable in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])  # a user whom the system does not know
    assert "as fast" in _of(tmp_path / "run", config).reason


def test_a_run_that_has_begun_is_of_one_precision(
    tiny_config: MakeConfig, trained_copy: Path, progress_bar: ProgressBar
) -> None:
    (trained_copy / "complete.json").unlink()
    claim_run(RunFolder(trained_copy, tiny_config("training.precision=auto")), overwrite=False)
    for other in ("bf16-mixed", "16-mixed"):
        with pytest.raises(UsageError, match=f"precision is 32-true, asked for {other}.*--overwrite"):
            train_run(
                tiny_config(f"training.precision={other}"), trained_copy, overwrite=False, progress_bar=progress_bar
            )
    state = torch.load(trained_copy / "state.pt", weights_only=True)
    del state["trained_in"]  # as earlier releases wrote it
    torch.save(state, trained_copy / "state.pt")
    with pytest.raises(UsageError, match="precision is auto, asked for 16-mixed"):
        claim_run(RunFolder(trained_copy, tiny_config("training.precision=16-mixed")), overwrite=False)
    claim_run(RunFolder(trained_copy, tiny_config("training.precision=32-true")), overwrite=False)
    assert RunFolder.open(trained_copy).config.training.precision == "32-true"


@pytest.mark.parametrize("content", [b"", b"no state", b"PK\x03\x04"])
def test_a_damaged_state_is_told(content: bytes, tiny_config: MakeConfig, trained_copy: Path) -> None:
    (trained_copy / "complete.json").unlink()
    (trained_copy / "state.pt").write_bytes(content)
    with pytest.raises(UsageError, match=r"state\.pt' is damaged.*--overwrite"):
        _of(trained_copy, tiny_config("training.precision=auto"))
    with pytest.raises(UsageError, match=r"state\.pt' is damaged.*--overwrite"):
        RunFolder(trained_copy, tiny_config()).state()
