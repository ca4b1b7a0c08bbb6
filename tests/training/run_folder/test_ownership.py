"""Whose a run folder is: who may write it, and what is never touched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.folder_lock import folder_lock
from cocon.training.config.run import Config
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import as_begun, claim_run

MakeConfig = Callable[..., Config]


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_claiming_writes_the_resolved_configuration_and_claiming_again_changes_nothing(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    claim_run(RunFolder(tmp_path / "a" / "run", tiny_config()), overwrite=False)
    (tmp_path / "a" / "run" / "state.pt").write_text("kept")
    claim_run(RunFolder(tmp_path / "a" / "run", tiny_config()), overwrite=False)
    assert RunFolder.open(tmp_path / "a" / "run").config == tiny_config()
    assert _files(tmp_path / "a" / "run") == {"config.toml", "state.pt"}


def test_a_run_with_another_configuration_is_refused_and_the_keys_named(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    claim_run(RunFolder(tmp_path / "run", tiny_config()), overwrite=False)
    other = tiny_config("training.epochs=9", "method=cpc", "view.mask.crop_px=20")
    with pytest.raises(UsageError) as caught:
        claim_run(RunFolder(tmp_path / "run", other), overwrite=False)
    for part in ("training.epochs is 2, asked for 9", "method is cocon, asked for cpc", "view.mask.crop_px"):
        assert part in str(caught.value)
    assert "seed" not in str(caught.value)
    assert RunFolder.open(tmp_path / "run").config == tiny_config()


def test_how_data_is_read_may_change_between_two_calls(tiny_config: MakeConfig, tmp_path: Path) -> None:
    claim_run(RunFolder(tmp_path / "run", tiny_config()), overwrite=False)
    changed = tiny_config("data.workers=3", "data.cache_gib=0.5")
    claim_run(RunFolder(tmp_path / "run", changed), overwrite=False)
    assert RunFolder.open(tmp_path / "run").config == changed


def test_a_run_of_a_release_without_a_floor_goes_on_without_one(tiny_config: MakeConfig, tmp_path: Path) -> None:
    asked = tiny_config("training.least_steps=300")
    assert as_begun(asked, tmp_path / "run") is asked
    claim_run(RunFolder(tmp_path / "run", tiny_config()), overwrite=False)
    assert as_begun(asked, tmp_path / "run") == asked
    path = tmp_path / "run" / "config.toml"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "least_steps" not in line))
    assert as_begun(asked, tmp_path / "run") == tiny_config()
    for _ in range(2):  # it is the same command that goes on, again and again
        claim_run(RunFolder(tmp_path / "run", as_begun(asked, tmp_path / "run")), overwrite=False)


def test_a_run_begun_before_views_were_compared_without_their_mean_goes_on_as_it_was(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    asked = tiny_config("loss.centred=true", "training.guard=false", "training.held_out_share=0.3")
    claim_run(RunFolder(tmp_path / "run", tiny_config("loss.centred=false")), overwrite=False)
    path = tmp_path / "run" / "config.toml"
    new = ("centred", "guard", "held_out_share", "start_warmup_steps")
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith(new)))
    for _ in range(2):
        goes_on = as_begun(asked, tmp_path / "run")
        assert not goes_on.loss.centred
        claim_run(RunFolder(tmp_path / "run", goes_on), overwrite=False)


def test_how_classifiers_are_trained_decides_nothing_where_one_is_fitted(
    tiny_config: MakeConfig, tmp_path: Path
) -> None:
    claim_run(RunFolder(tmp_path / "fitted", tiny_config()), overwrite=False)
    claim_run(RunFolder(tmp_path / "fitted", tiny_config("classifier.epochs=9")), overwrite=False)
    claim_run(RunFolder(tmp_path / "trained", tiny_config("classifier.head=gru")), overwrite=False)
    for refused in (("classifier.head=gru", "classifier.epochs=9"), ("classifier.head=mean",)):
        with pytest.raises(UsageError, match="another configuration"):
            claim_run(RunFolder(tmp_path / "trained", tiny_config(*refused)), overwrite=False)
    with pytest.raises(UsageError, match="labels_per_class"):
        claim_run(RunFolder(tmp_path / "fitted", tiny_config("classifier.labels_per_class=3")), overwrite=False)


def test_a_folder_that_is_no_run_is_refused_even_with_overwrite(tiny_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is not empty and no run"):
            claim_run(RunFolder(tmp_path, tiny_config()), overwrite=overwrite)
    assert _files(tmp_path) == {"thesis.tex"}


def test_a_folder_with_nothing_but_a_lock_is_free(tiny_config: MakeConfig, tmp_path: Path) -> None:
    with folder_lock(tmp_path, "run"):
        claim_run(RunFolder(tmp_path, tiny_config()), overwrite=False)
    assert _files(tmp_path) == {"config.toml", "writer.lock"}


def test_overwriting_removes_the_runs_own_files_and_no_others(tiny_config: MakeConfig, trained_copy: Path) -> None:
    (trained_copy / "notes.txt").write_text("mine")
    claim_run(RunFolder(trained_copy, tiny_config("training.epochs=9")), overwrite=True)
    assert _files(trained_copy) == {"config.toml", "notes.txt", "writer.lock"}
    assert RunFolder.open(trained_copy).config.training.epochs == 9
    assert not RunFolder.open(trained_copy).is_complete
