"""A version's number is never given to other weights, and what calls others says which of their versions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.config_files import (
    CURRENT_KEY,
    parameter,
    read_config,
    steps_of,
    tensors_of,
    write_config,
)
from cocon.embedding.repository import CONFIG_FILE, ONNX
from cocon.export.publishing import export_encoders
from cocon.export.repository.numbering import new_version, remember
from cocon.export.sources import ExportOptions, ViewSource

MakeSource = Callable[..., ViewSource]
ONNX_ONLY = ExportOptions(formats=(ONNX,))


def noted(root: Path, **versions: int) -> Path:
    (root / ".versions.json").write_text(json.dumps(versions))
    return root


def test_the_next_number_is_above_what_was_noted_what_is_there_and_what_is_recorded(tmp_path: Path) -> None:
    assert new_version(tmp_path, "cocon_rgb") == 1
    (tmp_path / "cocon_rgb" / "4").mkdir(parents=True)
    assert new_version(tmp_path, "cocon_rgb") == 5
    (tmp_path / "cocon_rgb" / CONFIG_FILE).write_text('parameters { key: "contract.7" value { string_value: "{}" } }')
    assert new_version(tmp_path, "cocon_rgb") == 8  # of before numbers were noted
    assert new_version(noted(tmp_path, cocon_rgb=11), "cocon_rgb") == 12
    remember(tmp_path, {"cocon_rgb": 3, "cocon_flow": 2})
    assert (new_version(tmp_path, "cocon_rgb"), new_version(tmp_path, "cocon_flow")) == (12, 3)


def test_a_wanted_number_that_was_used_is_refused(tmp_path: Path) -> None:
    assert new_version(noted(tmp_path, cocon_rgb=2), "cocon_rgb", 3) == 3
    with pytest.raises(UsageError, match=r"--version 2: model 'cocon_rgb' has used the numbers up to 2.*give 3"):
        new_version(tmp_path, "cocon_rgb", 2)


@pytest.mark.parametrize("text", ["", "[1]", '{"cocon_rgb": "two"}', "{"])
def test_notes_that_cannot_be_read_are_no_reason_to_begin_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / ".versions.json").write_text(text)
    with pytest.raises(MismatchError, match=r"versions.json' does not say which version numbers were used"):
        new_version(tmp_path, "cocon_rgb")


def test_a_deleted_number_is_not_used_again_and_its_records_go(
    two_views: Path, tmp_path: Path, make_source: MakeSource
) -> None:
    repository = Path(shutil.copytree(two_views, tmp_path / "repository"))
    export_encoders([make_source("rgb", seed=2)], repository, ONNX_ONLY)
    shutil.rmtree(repository / "cocon_rgb" / "2")
    export_encoders([make_source("rgb", seed=3)], repository, ONNX_ONLY)
    config = read_config(repository / "cocon_rgb" / CONFIG_FILE)
    assert {key.rpartition(".")[2] for key in config.parameters if "." in key} == {"1", "3"}
    # Another fusion as well: it is of that very version.
    ensemble = read_config(repository / "cocon" / CONFIG_FILE)
    assert steps_of(ensemble, 2)["cocon_rgb"] == 2
    assert steps_of(ensemble, 3) == {"cocon_flow": 1, "cocon_fuse": 1, "cocon_rgb": 3}
    assert list(ensemble.version_policy.specific.versions) == [3]  # the steps are of that one
    called = {step.model_name: step.model_version for step in ensemble.ensemble_scheduling.step}
    assert called == steps_of(ensemble, 3)
    assert {
        step.model_name: step.model_version for step in tensors_of(repository / "cocon", 2).ensemble_scheduling.step
    } == steps_of(ensemble, 2)

    shutil.rmtree(repository / "cocon_rgb")
    rows = export_encoders([make_source("rgb")], repository, ONNX_ONLY)
    assert [(row.model, row.version) for row in rows if row.is_new] == [("cocon_rgb", 4), ("cocon", 4)]
    with pytest.raises(UsageError, match="up to 4"):
        export_encoders([make_source("rgb", seed=5)], repository, ExportOptions(formats=(ONNX,), version=4))
    rows = export_encoders([make_source("rgb", seed=5)], repository, ExportOptions(formats=(ONNX,), version=9))
    assert [(row.model, row.version) for row in rows if row.is_new] == [("cocon_rgb", 9), ("cocon", 9)]


def test_an_export_does_not_change_what_an_operator_has_chosen_to_serve(
    two_views: Path, tmp_path: Path, make_source: MakeSource
) -> None:
    repository = Path(shutil.copytree(two_views, tmp_path / "repository"))
    path = repository / "cocon_rgb" / CONFIG_FILE
    config = read_config(path)
    config.version_policy.specific.versions.append(1)
    config.parameters[CURRENT_KEY].string_value = "1"
    write_config(config, path)
    export_encoders([make_source("rgb", labels=("sit", "stand"))], repository, ONNX_ONLY)
    kept = read_config(path)
    assert (list(kept.version_policy.specific.versions), parameter(kept, CURRENT_KEY)) == ([1], "1")
    assert [list(output.dims) for output in kept.output] == [list(output.dims) for output in config.output]
    assert (repository / "cocon_rgb" / "labels.txt").read_text() == "wave\njump\nturn\n"
    assert [
        tensor.dims[-1] for tensor in tensors_of(repository / "cocon_rgb", 2).output if tensor.name == "logits"
    ] == [2]
    again = export_encoders([make_source("rgb", labels=("sit", "stand"))], repository, ONNX_ONLY)
    assert not any(row.is_new for row in again)
    shutil.rmtree(repository / "cocon_rgb" / "1")  # what was chosen is gone: the newest is served
    export_encoders([make_source("rgb", seed=8)], repository, ONNX_ONLY)
    assert not read_config(path).HasField("version_policy")
