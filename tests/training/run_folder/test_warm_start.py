"""Starting from the encoders of another run: which are taken, and what is refused."""

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import Normalisation
from cocon.training.config.run import Config
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles
from cocon.training.run_folder.warm_start import (
    architecture_settings,
    method_names,
    restore_encoders,
    source_files,
    vectors_settings,
)

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
WeightsOf = Callable[[Path], dict[str, torch.Tensor]]


@pytest.fixture
def bare(trained: Path, tmp_path: Path) -> Path:
    """Nothing but the encoder of rgb of a run."""
    shutil.copytree(trained / "views" / "rgb", tmp_path / "bare" / "views" / "rgb")
    return tmp_path / "bare"


def test_the_views_that_a_bare_folder_has_are_restored_and_the_others_said_to_start_untrained(
    bare: Path, trained: Path, tiny_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config(f"training.init_from='{bare}'")
    method = build_method(config)
    untrained = {name: tensor.clone() for name, tensor in method.encoders["pose"].state_dict().items()}
    with caplog.at_level(logging.WARNING):
        assert restore_encoders(method, config) == ["rgb"]
    assert [message.split(":")[0] for message in caplog.messages] == ["view 'pose' starts untrained"]
    source = RunFolder.open(trained).encoder("rgb")[0].state_dict()
    restored = method.encoders
    assert restored["rgb"].classifier is None
    assert all(torch.equal(tensor, source[name]) for name, tensor in restored["rgb"].state_dict().items())
    assert all(torch.equal(tensor, untrained[name]) for name, tensor in restored["pose"].state_dict().items())


def test_another_architecture_is_refused_in_one_line_that_names_the_differences(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config(f"training.init_from='{trained}'", "model.width=8", "model.depth=resnet18")
    with pytest.raises(MismatchError) as caught:
        train_tiny(config, tmp_path / "run")
    assert "view 'rgb'" in str(caught.value)
    assert "width is 4, configured 8" in str(caught.value)
    assert "blocks_per_stage is (1, 1, 1, 1), configured (2, 2, 2, 2)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_without_any_of_the_views_is_refused_before_anything_is_overwritten(
    bare: Path, trained_copy: Path, tiny_config: MakeConfig, train_tiny: TrainTiny
) -> None:
    for source in (bare / "none", trained_copy):
        config = tiny_config(f"training.init_from='{source}'")
        with pytest.raises(UsageError, match=r"is no folder|cannot start from itself"):
            train_tiny(config, trained_copy, overwrite=True)
    assert (trained_copy / "complete.json").is_file()


def test_a_share_of_zero_keeps_the_restored_backbone_and_trains_the_rest(
    bare: Path, trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    settings = [f"training.init_from='{bare}'", "optimizer.backbone_learning_rate_share=0.0", "classifier.head=none"]
    train_tiny(tiny_config(*settings), tmp_path / "run")
    before, after = weights_of(trained), weights_of(tmp_path / "run")
    names = [name for name in after if name.endswith("weight")]
    assert {name.split(".")[0] for name in names} == {"rgb", "pose"}
    assert all(torch.equal(before[name], after[name]) == name.startswith("rgb.") for name in names)
    assert RunFolder.open(tmp_path / "run").state() is not None


def test_an_encoders_own_normalisation_is_taken_over_and_kept_when_a_run_goes_on(
    bare: Path, trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    encoder, contract = RunFolder.open(trained).encoder("rgb")
    own = Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    ViewFiles(bare / "views" / "rgb").save_encoder(encoder, dataclasses.replace(contract, normalisation=own))
    config = tiny_config(f"training.init_from='{bare}'", "classifier.head=none")
    for _ in range(2):
        assert train_tiny(config, tmp_path / "run")
        for view, expected in (("rgb", own), ("pose", None)):
            assert RunFolder.open(tmp_path / "run").encoder(view)[1].normalisation == expected
        assert torch.allclose(RunFolder.open(tmp_path / "run").encoder("rgb")[0].mean, 255 * torch.tensor(own.mean))
        shutil.rmtree(bare, ignore_errors=True)
        shutil.rmtree(tmp_path / "run" / "views")
        (tmp_path / "run" / "complete.json").unlink()


@pytest.mark.parametrize("view", ["rgb", "pose"])
def test_one_view_of_another_depth_is_enough_to_be_refused(
    view: str, trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    deeper = tiny_config("model.depth=resnet18", "training.epochs=0", "classifier.head=none", f"views=['{view}']")
    train_tiny(deeper, tmp_path / "mixed")
    (other,) = {"rgb", "pose"} - {view}
    shutil.copytree(trained / "views" / other, tmp_path / "mixed" / "views" / other)
    config = tiny_config(f"training.init_from='{tmp_path / 'mixed'}'")
    with pytest.raises(MismatchError, match=rf"view '{view}' .* blocks_per_stage is \(2, 2, 2, 2\), configured"):
        train_tiny(config, tmp_path / "run")


def test_a_run_goes_on_without_the_one_it_started_from(
    bare: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config(f"training.init_from='{bare}'")
    train_tiny(config, tmp_path / "run")
    (tmp_path / "run" / "complete.json").unlink()
    shutil.rmtree(bare)
    assert train_tiny(config, tmp_path / "run")


def test_without_pre_training_a_run_is_fine_tuned_and_keeps_the_name_of_its_method(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, weights_of: WeightsOf, tmp_path: Path
) -> None:
    settings = [f"training.init_from='{trained}'", "training.epochs=0", "method=cpc"]
    train_tiny(tiny_config(*settings, "classifier.mode=finetune", "classifier.head=gru"), tmp_path)
    assert RunFolder.open(tmp_path).config.training.epochs == 0
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["step"]) for line in lines] == [("classify", 3), ("classify", 6)]
    encoder, contract = RunFolder.open(tmp_path).encoder("rgb")
    assert (contract.method, contract.encoder.classifier) == ("cocon", "gru")
    source = dict(RunFolder.open(trained).encoder("rgb")[0].backbone.named_parameters())
    drift = [(parameter - source[name]).abs().max().item() for name, parameter in encoder.backbone.named_parameters()]
    assert 0 < max(drift) < 0.05  # from there, and not from an untrained one


def test_without_pre_training_and_without_a_source_the_encoder_is_called_random(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("training.epochs=0", "classifier.mode=finetune"), tmp_path)
    assert RunFolder.open(tmp_path).encoder("pose")[1].method == "random"


def test_views_start_from_different_runs_with_the_architectures_of_those(
    trained: Path, bare: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    larger = tiny_config("model.width=8", "model.backbone=resnet2d3d_inflated", "training.epochs=0", "views=['rgb']")
    train_tiny(larger, tmp_path / "larger")
    settings = (f"training.init_from='{trained}'", f"training.init_from_of.rgb='{tmp_path / 'larger'}'")
    with pytest.raises(MismatchError, match=r"backbone is resnet2d3d_inflated, configured resnet2d3d; width is 8"):
        train_tiny(tiny_config(*settings), tmp_path / "run")
    taken = architecture_settings(tiny_config(*settings), None)
    assert taken.keys() == {"rgb"}
    config = tiny_config(*settings, *taken.values(), "classifier.head=none")
    method = build_method(config)
    assert restore_encoders(method, config) == ["rgb", "pose"]
    for view, run in (("rgb", tmp_path / "larger"), ("pose", trained)):
        source = RunFolder.open(run).encoder(view)[0].state_dict()
        assert all(torch.equal(tensor, source[name]) for name, tensor in method.encoders[view].state_dict().items())
    assert train_tiny(config, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    assert {view: run.contract(view).embedding_dim for view in run.views} == {"rgb": 64, "pose": 16}
    shutil.rmtree(tmp_path / "larger")
    assert architecture_settings(tiny_config(*settings), run.config) == taken  # the run goes on without it


@pytest.mark.parametrize("change", [{"backbone": "resnet\n99"}, {"backbone": "vit"}])
def test_an_architecture_that_nothing_builds_is_refused_in_one_line(
    change: dict[str, Any], bare: Path, tiny_config: MakeConfig
) -> None:
    files = ViewFiles(bare / "views" / "rgb")
    contract = files.contract()
    strange = dataclasses.replace(contract, encoder=dataclasses.replace(contract.encoder, **change))
    (files.folder / "contract.json").write_text(strange.to_json())
    with pytest.raises(MismatchError, match="view 'rgb'") as caught:
        architecture_settings(tiny_config(f"training.init_from='{bare}'"), None)
    assert "\n" not in str(caught.value)


def test_a_run_named_for_a_view_must_have_it(bare: Path, tiny_config: MakeConfig) -> None:
    for view, problem in (("pose", "has no encoder of it"), ("flow", "views has only rgb, pose")):
        config = tiny_config(f"training.init_from_of.{view}='{bare}'")
        with pytest.raises(UsageError, match=f"init_from_of has .* for view '{view}', but {problem}"):
            source_files(config)


def test_vectors_keep_what_those_of_the_encoders_to_start_from_do(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    first = ("views=['rgb']", "training.epochs=0", "model.pooling=thirds", "view.rgb.crop_px=48", "model.cells=2")
    assert train_tiny(tiny_config(*first, "view.rgb.resize_px=56"), tmp_path / "first")
    start = f"training.init_from='{tmp_path / 'first'}'"
    of_small = {"rgb": 'vectors.rgb={pooling = "thirds", cells = 1}'}  # 24 px have one place
    assert vectors_settings(tiny_config(start), None) == of_small
    large = ("view.rgb.crop_px=48", "view.rgb.resize_px=56")
    taken = vectors_settings(tiny_config(start, *large), None)
    assert taken == {"rgb": 'vectors.rgb={pooling = "thirds", cells = 2}'}
    config = tiny_config(start, *large, *taken.values())
    assert (config.vectors_of("rgb"), config.vectors_of("pose")) == (("thirds", 2), ("mean", 1))
    assert vectors_settings(config, None) == {}
    assert vectors_settings(tiny_config(start), tiny_config(start)) == {}  # a run that begun without them goes on so
    shutil.rmtree(tmp_path / "first")
    assert vectors_settings(tiny_config(start, *large), config) == taken
    assert vectors_settings(tiny_config(), None) == {}


@pytest.mark.training
def test_the_command_takes_the_architecture_over_unless_one_is_set(
    trained: Path,
    tiny_settings: list[str],
    cocon: Callable[..., tuple[int, str, str]],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    narrow = [setting for setting in tiny_settings if not setting.startswith("model.width")]
    settings = [
        part for setting in (*narrow, "views=['rgb', 'pose']", "model.num_predicted=1") for part in ("--set", setting)
    ]
    settings += ["--set", "training.epochs=1", "--set", "classifier.head=none"]
    arguments = ("train", "--preset", "demo", "--output", tmp_path / "run", *settings, "--init-from", f"imgs={trained}")
    code, _, errors = cocon(*arguments, "--set", "model.width=8")
    assert (code, errors.count("\n")) == (5, 1)
    assert "width is 4, configured 8" in errors
    with caplog.at_level(logging.WARNING):
        code, _, errors = cocon(*arguments)
    assert code == 0, errors
    taken = 'trunk.rgb={backbone = "resnet2d3d", depth = "resnet10", width = 4}'
    assert caplog.messages == [
        f"taken from the encoders to start from, in place of the preset's: {taken}",
        "view 'pose' starts untrained: no run is named for it",
    ]
    contracts = [RunFolder.open(tmp_path / "run").contract(view).encoder.width for view in ("rgb", "pose")]
    assert contracts == [4, 16]
    assert cocon(*arguments[:4], tmp_path / "set", *arguments[5:], "--set", "model.pooling=thirds")[0] == 0
    assert RunFolder.open(tmp_path / "set").contract("rgb").encoder.pooling == "thirds"
    code, output, errors = cocon(*arguments)
    assert (code, "is complete already" in output) == (0, True)
    code, _, errors = cocon(*arguments, "--init-from", f"rgb={trained}")
    assert (code, errors.count("\n")) == (2, 1)
    assert "for the same views" in errors


def test_what_labels_alone_have_trained_is_called_supervised_where_others_start_from_it(
    tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    no_pretraining = "training.epochs=0", "views=['rgb']"
    tuned = tiny_config(*no_pretraining, "classifier.mode=finetune", "classifier.epochs=1", "classifier.least_steps=0")
    assert train_tiny(tuned, tmp_path / "tuned")
    fitted = tiny_config(*no_pretraining)
    assert train_tiny(fitted, tmp_path / "fitted")
    assert {RunFolder.open(tmp_path / name).contract("rgb").method for name in ("tuned", "fitted")} == {"random"}
    from_tuned, from_fitted = (
        tiny_config(*no_pretraining, f"training.init_from='{tmp_path / name}'") for name in ("tuned", "fitted")
    )
    assert _names(from_tuned, from_fitted) == ({"rgb": "supervised"}, {"rgb": "random"})
    (tmp_path / "tuned" / "config.toml").unlink()
    assert _names(from_tuned) == ({"rgb": "random"},)


def _names(*configs: Config) -> tuple[dict[str, str], ...]:
    return tuple(method_names(config, is_trained=False) for config in configs)
