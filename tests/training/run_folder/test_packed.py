"""A packed run: small, without private paths, and a run to everything that takes one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from cocon.core.errors import GateError, MismatchError, StorageError, UsageError
from cocon.export.artefacts.parity_clips import clips_of_run, figure_clips
from cocon.export.packing.pack import Packed, pack_run
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import claim_run
from cocon.training.run_folder.view_files import contract_of
from cocon.video.views import view_named
from tests.disks import full_disk, unwritable

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
Outcome = tuple[int, str, str]

MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def packed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run, packed; nothing may write here."""
    folder = tmp_path_factory.mktemp("pretrained") / "tiny"
    pack_run(trained, folder, license="apache-2.0")
    return folder


@pytest.fixture
def packed_copy(trained: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    pack_run(trained, tmp_path / "packed")
    return tmp_path / "packed"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("view", ["rgb", "pose"])
def test_a_packed_encoder_gives_the_vectors_that_the_run_gives(trained: Path, packed: Path, view: str) -> None:
    before, contract = RunFolder.open(trained).encoder(view)
    after, packed_contract = RunFolder.open(packed).encoder(view)
    clips = torch.from_numpy(clips_of_run(RunFolder.open(trained), contract))
    with torch.no_grad():
        cosines = (before(clips).embedding * after(clips).embedding).sum(dim=1)
    assert cosines.min() >= 0.9999
    assert packed_contract.fingerprint != contract.fingerprint
    assert packed_contract.is_compatible(contract)
    assert packed_contract.labels == contract.labels


def test_weights_are_stored_in_half_precision_and_norms_as_they_are(trained: Path, packed: Path) -> None:
    before = load_file(trained / "views/rgb/weights.safetensors")
    after = load_file(packed / "views/rgb/weights.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert tensor.dtype == (torch.float16 if tensor.ndim > 1 else before[name].dtype)
        assert torch.equal(tensor, before[name].to(tensor.dtype))


def test_a_packed_run_consists_of_what_is_written_down_and_its_sums_are_right(packed: Path) -> None:
    weights = {f"views/{view}/{name}" for view in ("rgb", "pose") for name in ("weights.safetensors", "contract.json")}
    assert content(packed).keys() == {"config.toml", "complete.json", "README.md", "SHA256SUMS"} | weights
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=packed, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert len(checked.stdout.splitlines()) == len(content(packed)) - 1


def test_no_path_of_this_machine_is_packed(trained: Path, packed: Path, figures: Path) -> None:
    assert RunFolder.open(trained).config.data.folder == figures
    assert RunFolder.open(packed).config.data.folder == Path("data") / figures.name
    for name, data in content(packed).items():
        assert str(figures.parent).encode() not in data, name
        assert str(trained.parent).encode() not in data, name


def test_messages_about_videos_stay_behind(trained_copy: Path, tmp_path: Path) -> None:
    summary = json.loads((trained_copy / "complete.json").read_text())
    RunFolder.open(trained_copy).mark_complete(summary | {"failed": {"a": "video '/home/me/a.mp4' cannot be decoded"}})
    pack_run(trained_copy, tmp_path / "packed")
    packed = json.loads((tmp_path / "packed/complete.json").read_text())
    agreement = packed.pop("half_precision_cosine")
    assert 0.9999 <= agreement <= 1
    assert packed == summary | {"failed": {"a": "left out"}, "generated": "figures"}


def test_the_card_and_the_figures_travel_along(trained_copy: Path, tmp_path: Path) -> None:
    rows = [{"method": "cocon", "view": "rgb", "probe_top1": 61.25, "R@1": 50.5}]
    (trained_copy / "evaluation.json").write_text(json.dumps(rows))
    gain = {"over": "untrained", "points": 4.25, "standard_error": 1.5, "is_better": True}
    (trained_copy / "verdict.json").write_text(json.dumps({"judged_on": "12 videos", "gains": [gain]}))
    pack_run(trained_copy, tmp_path / "packed", license="apache-2.0")
    assert json.loads((tmp_path / "packed/evaluation.json").read_text()) == rows
    card = (tmp_path / "packed/README.md").read_text()
    assert "At its end, on 12 videos, probe top-1 and R@1 of all views on average: +4.2 ± 1.5 points over" in card
    assert "verdict.json" in (tmp_path / "packed/SHA256SUMS").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "apache-2.0"
    assert "| cocon | rgb | 61.2 | 50.5 |" in card
    agreement = json.loads((tmp_path / "packed/complete.json").read_text())["half_precision_cosine"]
    assert "Measured before the weights were rounded to half precision" in card
    assert f"have a cosine of at least {agreement:.6f} to those before." in card
    for view in ("rgb", "pose"):
        assert RunFolder.open(tmp_path / "packed").encoder(view)[1].fingerprint in card


def test_packing_again_gives_the_same_bytes_and_only_on_demand(trained: Path, packed_copy: Path) -> None:
    before = content(packed_copy)
    with pytest.raises(UsageError, match=r"is there already; .* --overwrite"):
        pack_run(trained, packed_copy)
    (packed_copy / "README.md").write_text("changed")
    pack_run(trained, packed_copy, overwrite=True)
    assert content(packed_copy) == before
    assert [path.name for path in packed_copy.parent.iterdir()] == [packed_copy.name]


def test_what_was_packed_packs_again_and_remembers_how_far_it_is_from_the_trained(packed: Path, tmp_path: Path) -> None:
    pack_run(packed, tmp_path / "again")
    first, again = (json.loads((folder / "complete.json").read_text()) for folder in (packed, tmp_path / "again"))
    assert again["half_precision_cosine"] == first["half_precision_cosine"] < 1


def test_what_is_no_complete_run_or_no_packed_folder_is_refused(trained_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty and no packed run"):
        pack_run(trained_copy, tmp_path / "mine", overwrite=True)
    assert content(tmp_path / "mine").keys() == {"thesis.tex"}
    (trained_copy / "complete.json").unlink()
    with pytest.raises(UsageError, match="is not complete"):
        pack_run(trained_copy, tmp_path / "packed")


@pytest.mark.parametrize("factor", [1e-7, 1e7], ids=["too small", "too large"])
def test_weights_beyond_half_precision_are_refused(
    trained_copy: Path, tiny_config: MakeConfig, tmp_path: Path, factor: float
) -> None:
    """Batch normalisation takes the factor out again, so in single precision the encoder is what it was."""
    encoder, contract = RunFolder.open(trained_copy).encoder("rgb")
    norm = encoder.backbone.bn1
    assert norm.running_mean is not None and norm.running_var is not None
    clips = torch.from_numpy(clips_of_run(RunFolder.open(trained_copy), contract))
    with torch.no_grad():
        expected = encoder(clips).embedding
        encoder.backbone.conv1.weight.mul_(factor)
        norm.weight.div_((norm.running_var + norm.eps).sqrt() * factor / norm.eps**0.5)
        norm.running_mean.mul_(factor)
        norm.running_var.zero_()
        torch.testing.assert_close(encoder(clips).embedding, expected, rtol=0, atol=1e-4)
    labels = contract.labels
    RunFolder.open(trained_copy).save_encoder(
        encoder, contract_of(tiny_config(), "rgb", encoder, method="cocon", labels=labels)
    )
    with pytest.raises(GateError, match="half precision is not enough"):
        pack_run(trained_copy, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_a_flipped_byte_is_one_line_and_exit_code_5(
    cocon: Callable[..., Outcome], packed_copy: Path, tmp_path: Path
) -> None:
    path = packed_copy / "views/rgb/weights.safetensors"
    tensors = load_file(path)
    tensors["backbone.conv1.weight"].view(torch.uint8).view(-1)[0] ^= 1
    save_file(tensors, path)
    with pytest.raises(MismatchError, match="are not the ones its contract was written for"):
        RunFolder.open(packed_copy).encoder("rgb")
    code, output, errors = cocon("export", "--run", packed_copy, "--repository", tmp_path / "repository")
    assert (code, output) == (5, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=packed_copy, capture_output=True)
    assert checked.returncode == 1


def test_a_packed_run_is_exported_where_its_data_is_not(
    cocon: Callable[..., Outcome], packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, contract = RunFolder.open(packed).encoder("pose")
    assert np.array_equal(clips_of_run(RunFolder.open(packed), contract), figure_clips(contract))
    code, output, _ = cocon("export", "--run", packed, "--repository", "repository", "--no-torchscript", "--json")
    assert code == 0
    models = {model["model"]: model for model in json.loads(output)["models"]}
    assert models.keys() == {"cocon_rgb", "cocon_pose", "cocon_fuse", "cocon"}
    assert models["cocon_pose"]["parity"]["min_cosine"] >= 0.99999
    card = Path("repository/cocon_pose/README.md").read_text()
    assert contract.fingerprint in card
    assert "Apache License 2.0." in card


def test_a_packed_run_is_judged_like_the_run(cocon: Callable[..., Outcome], packed: Path, figures: Path) -> None:
    code, output, _ = cocon("evaluate", packed, "--data", figures, "--no-random", "--json")
    assert code == 0
    assert {row["view"] for row in json.loads(output)} >= {"rgb", "pose", "ensemble"}


def test_a_packed_run_is_a_start_for_another(
    packed: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    config = tiny_config(f"training.init_from='{packed}'", "training.epochs=0", "classifier.epochs=1")
    train_tiny(config, tmp_path / "run")
    for view in RunFolder.open(packed).views:
        started, _ = RunFolder.open(tmp_path / "run").encoder(view)
        source, _ = RunFolder.open(packed).encoder(view)
        for name, tensor in source.backbone.state_dict().items():
            assert torch.equal(tensor, started.backbone.state_dict()[name]), (view, name)


def test_the_command_packs_and_says_what_it_packed(
    cocon: Callable[..., Outcome], trained: Path, tmp_path: Path
) -> None:
    code, output, errors = cocon("pack", "--run", trained, "--output", tmp_path / "packed")
    assert code == 0
    assert output.startswith("packed rgb, pose of ")
    assert "rgb: comparing with the run" in errors
    assert RunFolder.open(tmp_path / "packed").views == ("rgb", "pose")


@pytest.mark.training
def test_encoders_of_the_demo_pack_into_five_megabytes(tmp_path: Path) -> None:
    config = load_config("figures", [f"data.folder='{tmp_path / 'gone'}'"])
    run = tmp_path / "run"
    claim_run(RunFolder(run, config), overwrite=False)
    labels = tuple(f"action {number}" for number in range(12))
    for view in config.views:
        torch.manual_seed(0)
        spec = config.encoder_spec(config.classifier.head)
        encoder = build_encoder(spec, view_named(view), num_classes=len(labels))
        RunFolder.open(run).save_encoder(encoder, contract_of(config, view, encoder, method="cocon", labels=labels))
    RunFolder.open(run).mark_complete({"videos": 480, "failed": {}, "labels": labels, "minutes": 1.0})
    packed = pack_run(run, tmp_path / "packed")
    assert packed == Packed(config.views, sum(map(len, content(tmp_path / "packed").values())), packed.min_cosine)
    assert packed.num_bytes <= MAX_BYTES


def test_a_full_disk_leaves_nothing_and_a_link_stays(trained: Path, tmp_path: Path) -> None:
    link, real = tmp_path / "link", tmp_path / "real"
    link.symlink_to("real")
    with full_disk(1000), pytest.raises(StorageError, match=f"^'{real}' cannot be written: File too large; "):
        pack_run(trained, link)
    with unwritable(tmp_path), pytest.raises(UsageError, match=f"^packed run '{real}' cannot be written: Permission"):
        pack_run(trained, link)
    assert list(tmp_path.iterdir()) == [link]
    pack_run(trained, link)
    assert link.is_symlink()
    assert (real / "SHA256SUMS").is_file()
