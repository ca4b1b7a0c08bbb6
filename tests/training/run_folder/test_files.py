"""The run folder: what is read back from it, and that none of it is a pickle."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cocon.core.errors import MismatchError, StorageError, UsageError
from cocon.embedding.contract import EncoderSpec
from cocon.training.config.run import Config
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import claim_run
from cocon.training.run_folder.view_files import contract_of, weights_sha256
from cocon.video.views import VIEWS
from tests.disks import full_disk

MakeConfig = Callable[..., Config]


def _encoder(num_classes: int = 0) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4, "mean"), VIEWS["rgb"], num_classes=num_classes)


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_without_a_configuration_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no training run \(no config.toml\)"):
        RunFolder.open(tmp_path)


def test_a_run_that_has_saved_nothing_yet_says_so(tiny_config: MakeConfig, tmp_path: Path) -> None:
    claim_run(RunFolder(tmp_path / "run", tiny_config()), overwrite=False)
    run = RunFolder.open(tmp_path / "run")
    with pytest.raises(UsageError, match="has saved no encoder yet"):
        run.encoder("rgb")


def test_a_saved_encoder_gives_the_same_outputs_when_loaded(tiny_config: MakeConfig, tmp_path: Path) -> None:
    claim_run(RunFolder(tmp_path, tiny_config()), overwrite=False)
    encoder = _encoder(num_classes=2)
    contract = contract_of(tiny_config(), "rgb", encoder, method="cocon", labels=("jump", "run"))
    RunFolder.open(tmp_path).save_encoder(encoder, contract)
    loaded, read = RunFolder.open(tmp_path).encoder("rgb")
    clips = torch.randint(0, 256, (2, 3, 2, 24, 24, 3), dtype=torch.uint8)
    assert read == contract
    assert not loaded.training
    with torch.no_grad():
        for mine, theirs in zip(encoder.eval()(clips), loaded(clips), strict=True):
            assert torch.equal(mine, theirs)


def test_an_encoder_is_found_by_its_views_name_in_the_papers_code(trained: Path) -> None:
    _, contract = RunFolder.open(trained).encoder("kphm")
    assert contract.view == "pose"


def test_a_view_that_the_run_does_not_have_is_refused_with_those_it_has(trained: Path) -> None:
    with pytest.raises(UsageError, match="has no encoder of view 'flow'; it has: rgb, pose"):
        RunFolder.open(trained).encoder("flow")


def test_one_changed_weight_is_noticed(trained_copy: Path) -> None:
    path = trained_copy / "views" / "rgb" / "weights.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name].view(-1)[0] += 1e-3
    save_file(tensors, path)
    with pytest.raises(MismatchError, match="are not the ones its contract was written for"):
        RunFolder.open(trained_copy).encoder("rgb")


@pytest.mark.parametrize("damage", ["truncated", "missing", "of another view", "one tensor short"])
def test_weights_that_do_not_fit_their_contract_are_a_mismatch(damage: str, trained_copy: Path) -> None:
    path = trained_copy / "views" / "rgb" / "weights.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "missing":
        path.unlink()
    elif damage == "of another view":
        path.write_bytes((trained_copy / "views" / "pose" / "weights.safetensors").read_bytes())
    else:
        tensors = load_file(path)
        tensors.pop(next(name for name in tensors if name.endswith("weight")))
        save_file(tensors, path)
    with pytest.raises(MismatchError, match="do not fit their contract"):
        RunFolder.open(trained_copy).encoder("rgb")


def test_a_contract_changed_by_hand_is_a_mismatch(trained_copy: Path) -> None:
    path = trained_copy / "views" / "rgb" / "contract.json"
    content = json.loads(path.read_text())
    content["clip"]["step_seconds"] = 0.5
    path.write_text(json.dumps(content))
    with pytest.raises(MismatchError, match="was changed after it was written"):
        RunFolder.open(trained_copy).encoder("rgb")


def test_the_weights_digest_ignores_the_classifier_and_sees_every_other_tensor() -> None:
    encoder = _encoder(num_classes=2)
    digest = weights_sha256(encoder)
    assert digest == weights_sha256(_encoder(num_classes=2))
    tensors = encoder.state_dict()
    classifier = {name for name in tensors if name.startswith("classifier.")}
    assert 0 < len(classifier) < len(tensors)
    for name, tensor in tensors.items():
        kept = tensor.clone()
        tensor.view(-1)[-1] += 1
        assert (weights_sha256(encoder) == digest) == (name in classifier), name
        tensor.copy_(kept)
    assert weights_sha256(encoder) == digest


def test_the_weights_digest_does_not_depend_on_the_memory_format() -> None:
    encoder = _encoder()
    digest = weights_sha256(encoder)
    encoder.backbone.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in the stubs
    assert weights_sha256(encoder) == digest


def test_the_state_of_a_run_holds_only_tensors_and_plain_containers(trained: Path) -> None:
    state = torch.load(trained / "state.pt", weights_only=True)
    learned = {
        "method",
        "optimizer",
        "schedule",
        "precision",
        "restored",
        "normalisations",
        "random",
        "step",
        "start_warmup",
    }
    assert set(state) == learned | {"journal", "seconds", "trained_in", "footage", "held_out", "guard", "early_stop"}
    _check_plain(state)


def _check_plain(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in (str, int)
            _check_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item)
    else:
        assert value is None or type(value) in (torch.Tensor, int, float, str, bool), type(value)


def test_no_file_of_a_run_is_a_pickle(trained: Path) -> None:
    for name in _files(trained) - {"state.pt"}:  # the test above reads that one
        assert not zipfile.is_zipfile(trained / name)
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError)), (trained / name).open("rb") as stream:
            pickle.load(stream)


def test_a_run_consists_of_what_is_written_down(trained: Path) -> None:
    files = _files(trained)
    board = {name for name in files if name.startswith("tensorboard/events.out.tfevents.")}
    names = ("weights.safetensors", "aggregator.safetensors", "contract.json")
    weights = {f"views/{view}/{name}" for view in ("rgb", "pose") for name in names}
    assert board
    assert files - board == {"config.toml", "metrics.jsonl", "state.pt", "complete.json", "writer.lock"} | weights


def test_without_a_state_there_is_nothing_to_go_on_from(tiny_config: MakeConfig, tmp_path: Path) -> None:
    assert RunFolder(tmp_path, tiny_config()).state() is None


def test_a_state_reads_back_as_written(tiny_config: MakeConfig, tmp_path: Path) -> None:
    run = RunFolder(tmp_path, tiny_config())
    state = {"step": 3, "tensors": [torch.arange(3)], "journal": {"sums": {"loss": 0.1 + 0.2}, "count": 2}}
    run.save_state(state)
    read = run.state()
    assert read is not None
    assert torch.equal(read["tensors"][0], torch.arange(3))
    assert (read["step"], read["journal"]) == (3, state["journal"])
    assert _files(tmp_path) == {"state.pt"}


def test_a_full_disk_leaves_the_state_and_the_weights_of_before(tiny_config: MakeConfig, tmp_path: Path) -> None:
    claim_run(RunFolder(tmp_path, tiny_config()), overwrite=False)
    run, encoder = RunFolder.open(tmp_path), _encoder()
    contract = contract_of(tiny_config(), "rgb", encoder, method="cocon", labels=())
    run.save_state({"step": 1})
    run.save_encoder(encoder, contract)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    writes = {
        "state.pt": lambda: run.save_state({"step": 2, "large": torch.zeros(10_000)}),
        "views/rgb/weights.safetensors": lambda: run.save_encoder(encoder, contract),
        "complete.json": lambda: run.mark_complete({"a": "long " * 1000}),
    }
    for name, write in writes.items():
        message = f"^'{tmp_path / name}' cannot be written: File too large; "
        with full_disk(1000), pytest.raises(StorageError, match=message):
            write()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
