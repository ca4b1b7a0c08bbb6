"""A whole run: complete means done, another configuration means another run."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from cocon.core.errors import UsageError
from cocon.core.folder_lock import folder_lock
from cocon.training.config.run import Config
from cocon.training.loop.run import train_run
from cocon.training.run_folder.files import RunFolder
from cocon.video.estimation.identity import identity_of

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_complete_run_is_left_as_it_is(trained_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny) -> None:
    before = _bytes_of(trained_copy)
    assert not train_tiny(tiny_config(), trained_copy)
    assert _bytes_of(trained_copy) == before


def test_a_run_says_how_far_it_is_in_each_phase(tiny_config: MakeConfig, tmp_path: Path) -> None:
    calls: dict[str, list[tuple[int, int | None]]] = {}

    @contextmanager
    def bar(description: str, unit: str = "videos") -> Iterator[Callable[[int, int | None], None]]:
        seen = calls.setdefault(description, [])
        yield lambda done, total: seen.append((done, total))

    train_run(tiny_config(), tmp_path, overwrite=False, progress_bar=bar)
    assert calls == {
        "reading videos": [(done, 6) for done in range(1, 7)],
        "pre-training": [(done, 6) for done in range(7)],
        "fitting classifiers": [(done, 6) for done in range(1, 7)],
    }


def test_overwriting_trains_the_other_configuration_from_its_own_beginning(
    trained: Path, trained_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config("training.seed=1")
    with pytest.raises(UsageError, match=r"training\.seed is 0, asked for 1"):
        train_tiny(config, trained_copy)
    assert _bytes_of(trained_copy) == _bytes_of(trained)
    assert train_tiny(config, trained_copy, overwrite=True)
    assert train_tiny(config, tmp_path / "fresh")
    for view in ("rgb", "pose"):
        name = f"views/{view}/weights.safetensors"
        assert (trained_copy / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()
        assert (trained_copy / name).read_bytes() != (trained / name).read_bytes()


def test_the_same_configuration_trains_the_same_weights_whatever_was_drawn_before(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    torch.rand(17)
    assert train_tiny(tiny_config(), tmp_path)
    for path in trained.glob("views/*/*"):
        assert (tmp_path / path.relative_to(trained)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("losses", ["cpc", "cpc+sim", "cpc+sync"])
def test_the_method_is_written_into_the_contract(
    losses: str, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config(f"method={losses}", "classifier.head=none", "training.epochs=1"), tmp_path)
    contract = json.loads((tmp_path / "views" / "rgb" / "contract.json").read_text())
    assert contract["method"] == losses
    assert contract["clip"]["num_blocks"] == 3
    assert contract["geometry"] == {"resize_px": 28, "crop_px": 24}


def test_all_four_views_are_trained_where_the_dataset_has_them(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config("views=['rgb', 'flow', 'pose', 'mask']", "training.epochs=1", "classifier.head=none")
    train_tiny(config, tmp_path)
    contracts = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("views/*/contract.json")}
    assert contracts.keys() == {"rgb", "flow", "pose", "mask"}
    assert contracts["flow"]["flow"]["interval_seconds"] == pytest.approx(1 / 15)
    assert contracts["rgb"]["flow"] is None
    assert contracts["pose"]["tensors"]["clip"] == ["uint8", ["B", 3, 2, 24, 24, 17]]
    # The stored views are exact and name nobody: what the model sees later is made by who is here.
    made_by = {view: contract.get("made_by") for view, contract in contracts.items()}
    people = [identity_of("pose")]
    assert made_by == {"rgb": None, "flow": [identity_of("flow")], "pose": people, "mask": people}


def test_a_run_that_another_process_trains_is_refused_and_left_alone(
    tiny_config: MakeConfig, train_tiny: TrainTiny, trained_copy: Path, tmp_path: Path
) -> None:
    (trained_copy / "complete.json").unlink()
    (tmp_path / "new").mkdir()
    for run in (trained_copy, tmp_path / "new"):
        before = _bytes_of(run)
        for overwrite in (False, True):
            with folder_lock(run, "run"), pytest.raises(UsageError) as caught:
                train_tiny(tiny_config(), run, overwrite=overwrite)
            assert str(caught.value).startswith(f"run '{run}' is being written by process {os.getpid()}; try again")
            assert caught.value.exit_code == 2
        assert _bytes_of(run) == before | {"writer.lock": b""}


def test_a_folder_that_is_no_run_is_not_even_locked(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty and no run"):
        train_tiny(tiny_config(), tmp_path, overwrite=True)
    assert _bytes_of(tmp_path) == {"thesis.tex": b"years of work"}


def test_the_minutes_of_a_run_are_those_of_all_its_sessions(
    tiny_config: MakeConfig, train_tiny: TrainTiny, trained_copy: Path
) -> None:
    state = RunFolder.open(trained_copy).state()
    assert state is not None and 0 < state["seconds"] < 300
    RunFolder.open(trained_copy).save_state(state | {"seconds": state["seconds"] + 6000})
    (trained_copy / "complete.json").unlink()
    assert train_tiny(tiny_config(), trained_copy)
    assert 100 < json.loads((trained_copy / "complete.json").read_text())["minutes"] < 110
