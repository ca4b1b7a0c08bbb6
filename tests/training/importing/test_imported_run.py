"""The run that an import leaves: `cocon evaluate`, `cocon export` and further training take it for their own."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cocon.core.errors import MismatchError
from cocon.embedding.contract import ModelContract
from cocon.export.cards.record import training_of_run
from cocon.export.cards.training import training_text
from cocon.export.packing.pack import pack_run
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.methods.building import build_method
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles
from cocon.training.run_folder.warm_start import restore_encoders
from cocon.video.clips import ClipSpec
from cocon.video.estimation.flow import FlowSpec
from cocon.video.geometry import Geometry
from cocon.video.store.dataset import DatasetFolder

Import = Callable[..., list[ModelContract]]
Outcome = tuple[int, str, str]

SMALL = {"blocks": (1, 1, 1, 1), "width": 4}


def test_views_of_different_depth_become_one_run_of_the_published_geometry(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rgb = save(make_state(blocks=(2, 2, 2, 2), width=4), "rgb", mode="imgs")
    others = {"flow": 2, "kphm": 17, "seg": 1}
    files = [save(make_state(**SMALL, channels=others[mode]), mode, mode=mode) for mode in others]
    contracts = import_into(rgb, *files, size_px=224)
    run = tmp_path / "run"
    assert RunFolder.open(run).views == ("rgb", "flow", "pose", "mask")
    assert [contract.geometry for contract in contracts] == [
        Geometry(240, 224),
        Geometry(137, 128),
        Geometry(64, 64),
        Geometry(64, 64),
    ]
    assert {contract.clip for contract in contracts} == {
        ClipSpec(8, 5, step_seconds=None, step_frames=3, short_video="shrink")
    }
    assert contracts[1].flow == FlowSpec(0.04, "tvl1", 240)
    assert RunFolder.open(run).config.data.folder == Path("unknown")  # not that of any data set of this project
    assert [len(contract.encoder.blocks_per_stage) for contract in contracts] == [4] * 4
    assert contracts[0].encoder.blocks_per_stage != contracts[1].encoder.blocks_per_stage
    assert [RunFolder.open(run).encoder(view)[1] for view in RunFolder.open(run).views] == contracts
    origins = json.loads((run / "complete.json").read_text())["files"]
    assert origins["pose"].keys() == {"name", "sha256", "epoch"}
    assert (origins["pose"]["name"], origins["pose"]["epoch"]) == ("kphm", 7)
    assert "view 'pose' was trained on key-point logits" in caplog.text


def test_settings_take_the_place_of_the_published_ones(make_state: Any, save: Any, import_into: Import) -> None:
    settings = ("clip.step_seconds=0.1", "view.rgb.resize_px=64", "view.rgb.crop_px=64")
    (contract,) = import_into(save(make_state(**SMALL)), settings=settings)
    assert (contract.clip.step_seconds, contract.clip.step_frames) == (0.1, None)
    assert contract.geometry == Geometry(64, 64)


def test_the_command_says_what_it_made_and_how_it_failed(
    cocon: Callable[..., Outcome], make_state: Any, save: Any, optimizer_of: Any, tmp_path: Path
) -> None:
    state = make_state(**SMALL, classes=2)
    run, file = tmp_path / "run", save(state, optimizer=optimizer_of(state, freezes=True))
    (tmp_path / "labels.txt").write_text("1 walk\n2 run\n")
    arguments = ("import", "--from", "cocon", "--output", run, file)
    code, output, errors = cocon(*arguments, "--labels", tmp_path / "labels.txt")
    assert (code, output, errors) == (0, f"{run} holds cocon rgb (resnet10 at 128 px, epoch 7, 2 classes)\n", "")
    assert RunFolder.open(run).encoder("rgb")[1].labels == ("walk", "run")
    code, output, errors = cocon(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("error: run ")
    code, output, errors = cocon(*arguments, "--overwrite", "--json", "--view", "rgb")
    row = json.loads(output)["encoders"][0]
    assert (code, row["view"], row["num_labels"]) == (0, "rgb", 2)
    assert row["fingerprint"] == RunFolder.open(run).encoder("rgb")[1].fingerprint
    code, output, errors = cocon(*arguments[:-1], "--overwrite", "--view", "flow", file)
    assert (code, output) == (5, "")
    assert errors.count("\n") == 1
    assert RunFolder.open(run).encoder("rgb")[1].labels == ("class 0", "class 1")  # the refused import removed nothing


def test_a_classifier_of_the_other_project_is_refused_or_it_is_said_that_it_may_be_one(
    make_state: Any, save: Any, optimizer_of: Any, import_into: Import, caplog: pytest.LogCaptureFixture
) -> None:
    """Both have the same keys; the released code of CoCon never trains the aggregator of a classifier."""
    state = make_state(**SMALL, classes=2)
    files = {
        whose: save(state, whose, optimizer=optimizer_of(state, freezes=whose == "cocon")) for whose in ("cocon", "dpc")
    }
    for given, other in (("cocon", "dpc"), ("dpc", "cocon")):
        with pytest.raises(MismatchError, match=f"has a classifier of .*use --from {other}"):
            import_into(files[other], source=given, overwrite=True)
        (contract,) = import_into(files[given], source=given, overwrite=True)
        assert contract.method == given
    assert caplog.text == ""
    import_into(save(state, "bare"), source="dpc", overwrite=True)
    assert "does not tell whether its classifier is of CoCon or of DPC" in caplog.text
    assert "taken for one of DPC; if it recognises little, import it --from cocon" in caplog.text
    caplog.clear()
    import_into(save(state, "marked", mode="imgs"), overwrite=True)
    import_into(save(make_state(**SMALL), "plain"), overwrite=True)
    assert caplog.text == ""


def test_a_classifier_of_flow_is_said_to_have_learned_from_wrapped_bytes(
    make_state: Any, save: Any, import_into: Import, caplog: pytest.LogCaptureFixture
) -> None:
    import_into(save(make_state(**SMALL, channels=2)))
    assert caplog.text == ""
    import_into(save(make_state(**SMALL, channels=2, classes=2)), overwrite=True)
    assert "lets bytes of flow wrap around below zero" in caplog.text
    assert caplog.text.count("WARNING") == 1


def test_an_imported_run_is_evaluated_and_its_export_passes_the_parity_gate(
    cocon: Callable[..., Outcome], figures: Path, make_state: Any, save: Any, tmp_path: Path
) -> None:
    state = make_state(**SMALL, classes=6)
    run, repository = tmp_path / "run", tmp_path / "repository"
    geometry = ("view.rgb.resize_px=32", "view.rgb.crop_px=32", "clip.num_blocks=4", "clip.step_frames=1")
    settings = [part for setting in geometry for part in ("--set", setting)]
    assert cocon("import", "--from", "dpc", "--output", run, *settings, save(state))[0] == 0
    code, output, _ = cocon("evaluate", run, "--data", figures, "--no-random", "--json")
    assert code == 0
    assert {row["view"] for row in json.loads(output)} >= {"rgb"}
    code, output, errors = cocon("export", "--run", run, "--repository", repository, "--no-torchscript", "--json")
    assert (code, [model["model"] for model in json.loads(output)["models"]]) == (0, ["cocon_rgb"]), errors


def test_the_card_of_an_imported_run_tells_its_files_and_no_recipe_of_ours(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    rgb, flow = save(make_state(**SMALL, classes=2), "a|b.pth.tar"), save(make_state(**SMALL, channels=2), "flow")
    import_into(rgb, flow)
    pack_run(tmp_path / "run", tmp_path / "packed")
    card = (tmp_path / "packed/README.md").read_text()
    for view, file in (("rgb", rgb), ("flow", flow)):
        sha256, shown = hashlib.sha256(file.read_bytes()).hexdigest(), file.name.replace("|", "\\|")
        assert f"| `{view}` | `{shown}` | `{sha256}` | `7` |" in card
    assert "Imported from files of the released code of CoCon, not trained here." in card
    assert "Not known: the videos, the seed and the settings" in card
    assert "What it learned from is not known" in card
    told = card.partition("## Training")[2]
    for ours in ("seed 0", "Data set", "| loss |", "| optimizer |", "| training |", "`unknown`", "figures"):
        assert ours not in told
    assert str(tmp_path) not in card


def test_training_goes_on_from_an_imported_encoder(
    make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    import_into(save(make_state(**SMALL), "rgb"), save(make_state(**SMALL, channels=2), "flow"))
    config = RunFolder.open(tmp_path / "run").config
    training = config.training.model_copy(update={"init_from": tmp_path / "run"})
    method = build_method(config)
    assert restore_encoders(method, config.model_copy(update={"training": training})) == ["rgb", "flow"]
    clips = torch.randint(0, 256, (1, 2, 5, 64, 64, 2), dtype=torch.uint8)
    imported, _ = ViewFiles(tmp_path / "run" / "views" / "flow").encoder()
    with torch.no_grad():
        before, after = imported(clips).embedding, method.encoders["flow"].eval()(clips).embedding
    assert torch.allclose(before, after, atol=1e-6)


def test_statistics_that_a_file_lacks_are_those_of_the_videos_that_are_named(
    figures: Path, make_state: Any, save: Any, import_into: Import, tmp_path: Path
) -> None:
    state = make_state(**SMALL, statistics=False)
    assert not any("running" in name for name in state)
    settings = ("view.rgb.resize_px=36", "view.rgb.crop_px=32", "clip.step_frames=1", "clip.num_blocks=4")
    (contract,) = import_into(save(state), source="dpc", calibrate=figures, settings=settings)
    assert (contract.method, contract.encoder.backbone) == ("dpc", "resnet2d3d")
    config = RunFolder.open(tmp_path / "run").config
    assert config.data.folder == figures.resolve()
    training = training_of_run(RunFolder.open(tmp_path / "run"))
    assert training.generator is None  # the statistics are those of drawn figures, the weights are not
    assert f"they were estimated on videos of `{figures.name}`." in training_text(training, [contract])
    encoder, _ = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert torch.equal(encoder.backbone.conv1.weight, state["backbone.conv1.weight"])
    seen: list[Tensor] = []
    encoder.backbone.bn1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    dataset = DatasetFolder.open(figures)
    frames = VideoFrames(dataset.videos, figures, view_requests(config), cache_gib=1)
    batch = next(iter(clip_batches(frames, config, (), first_step=0, num_steps=1, seed=3)))
    with torch.no_grad():
        encoder.feature_maps(batch["clips"]["rgb"])
    normed = encoder.backbone.bn1
    assert normed.running_mean is not None and normed.running_var is not None
    sd = seen[0].std(dim=(0, 2, 3, 4))
    assert ((seen[0].mean(dim=(0, 2, 3, 4)) - normed.running_mean).abs() < 0.5 * sd).all()
    assert (normed.running_var.sqrt() / sd - 1).abs().max() < 0.5
