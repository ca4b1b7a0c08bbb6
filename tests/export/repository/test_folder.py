"""Versions and models appear whole or not at all."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc import model_config_pb2 as triton

from cocon.core.errors import GateError, StorageError, UsageError
from cocon.embedding.config_files import read_config, write_config
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER, assert_congruent
from cocon.embedding.local import LocalRepository
from cocon.embedding.repository import ONNX, latest_version
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.parity import Parity
from cocon.export.models import encoders
from cocon.export.models.fusion import Fusion, check_fuse, write_fuse
from cocon.export.publishing import export_encoders
from cocon.export.repository.folder import publish, staging
from cocon.export.sources import ExportOptions, ViewSource
from tests.disks import full_disk, unwritable

MakeSource = Callable[..., ViewSource]
ONNX_ONLY = ExportOptions(formats=(ONNX,))


@pytest.fixture
def repository(two_views: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(two_views, tmp_path / "model_repository"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def newest_of(repository: Path) -> tuple[ModelContract, str]:
    with LocalRepository(repository).open(ENCODER, "rgb") as model:
        return model.contract, model.version


def encoder_files(view: str) -> list[str]:
    formats = {f"cocon_{view}": "onnx", f"cocon_{view}_torchscript": "pt"}
    names = ("1/config.pbtxt", "1/contract.json", "1/model.{}", "README.md", "config.pbtxt", "labels.txt")
    return [f"{model}/{name.format(ending)}" for model, ending in formats.items() for name in names]


def test_layout(two_views: Path) -> None:
    assert sorted(content(two_views)) == [
        ".versions.json",
        ".writer.lock",
        "cocon/1/config.pbtxt",
        "cocon/1/fusion.json",
        "cocon/README.md",
        "cocon/config.pbtxt",
        "cocon/labels.txt",
        *encoder_files("flow"),
        "cocon_fuse/1/config.pbtxt",
        "cocon_fuse/1/model.onnx",
        "cocon_fuse/README.md",
        "cocon_fuse/config.pbtxt",
        "cocon_fuse/labels.txt",
        *encoder_files("rgb"),
    ]
    assert (two_views / "cocon_rgb" / "labels.txt").read_text() == "wave\njump\nturn\n"


def test_the_local_repository_reads_it_and_equals_the_encoder(two_views: Path, make_source: MakeSource) -> None:
    source = make_source("rgb")
    with LocalRepository(two_views).open(ENCODER, "rgb") as embedder:
        assert embedder.contract == source.contract
        assert_congruent(TorchEmbedder(Deployable(source.encoder), source.contract), embedder, source.clips)


@pytest.mark.parametrize(
    ("name", "backend", "outputs"),
    [
        ("cocon_rgb", "onnxruntime", ["embedding", "blocks", "logits", "block_logits"]),
        ("cocon_rgb_torchscript", "pytorch", ["embedding__0", "blocks__1", "logits__2", "block_logits__3"]),
    ],
)
def test_the_configuration_says_all_that_triton_and_clients_need(
    two_views: Path, make_source: MakeSource, name: str, backend: str, outputs: list[str]
) -> None:
    config = read_config(two_views / name / "config.pbtxt")
    contract = make_source("rgb").contract
    assert (config.name, config.backend, config.max_batch_size) == (name, backend, 16)
    assert [(clip.name, list(clip.dims), clip.data_type) for clip in config.input] == [
        ("clip", list(contract.clip_shape), triton.TYPE_UINT8)
    ]
    assert [output.name for output in config.output] == outputs
    assert config.output[2].label_filename == "labels.txt"
    assert [warm_up.batch_size for warm_up in config.model_warmup] == [1, 2, 4, 8, 16]
    assert [group.count for group in config.instance_group] == [1]
    assert config.HasField("dynamic_batching")
    assert ModelContract.from_json(config.parameters["contract.1"].string_value) == contract
    assert Parity.from_json(config.parameters["parity.1"].string_value).min_cosine >= 0.99999
    assert config.parameters["intra_op_thread_count" if backend == "onnxruntime" else "INTRA_OP_THREAD_COUNT"]


def test_the_same_again_changes_nothing(repository: Path, make_source: MakeSource) -> None:
    before = content(repository)
    exported = export_encoders([make_source("rgb"), make_source("flow", seed=1)], repository, ExportOptions())
    assert [(row.model, row.version, row.is_new) for row in exported] == [
        (name, 1, False)
        for name in (
            "cocon_rgb",
            "cocon_rgb_torchscript",
            "cocon_flow",
            "cocon_flow_torchscript",
            "cocon_fuse",
            "cocon",
        )
    ]
    assert content(repository) == before


def test_a_model_of_before_there_was_an_output_is_written_anew(repository: Path, make_source: MakeSource) -> None:
    path = repository / "cocon_rgb" / "config.pbtxt"
    config = read_config(path)
    assert config.output.pop().name == "block_logits"
    write_config(config, path)
    (repository / "cocon_rgb" / "1" / "config.pbtxt").unlink()  # that came later, too
    exported = export_encoders([make_source("rgb")], repository, ONNX_ONLY)
    assert [(row.model, row.version) for row in exported if row.is_new] == [("cocon_rgb", 2), ("cocon", 2)]
    assert read_config(path).output[3].name == "block_logits"


def test_a_damaged_model_is_written_anew(repository: Path, make_source: MakeSource) -> None:
    (repository / "cocon_rgb" / "1" / "model.onnx").write_bytes(b"damaged")
    exported = export_encoders([make_source("rgb")], repository, ONNX_ONLY)
    assert [(row.model, row.version) for row in exported if row.is_new] == [("cocon_rgb", 2), ("cocon", 2)]


def test_new_weights_become_a_new_version_and_the_old_one_stays(repository: Path, make_source: MakeSource) -> None:
    before = content(repository)
    source = make_source("rgb", seed=2)
    exported = export_encoders([source], repository, ONNX_ONLY)
    # The ensemble's fused fingerprint follows; the formula of the fusion does not change.
    assert [(row.model, row.version) for row in exported if row.is_new] == [("cocon_rgb", 2), ("cocon", 2)]
    after = content(repository)
    assert after["cocon_rgb/1/model.onnx"] == before["cocon_rgb/1/model.onnx"]
    config = read_config(repository / "cocon_rgb" / "config.pbtxt")
    assert ModelContract.from_json(config.parameters["contract.1"].string_value) == make_source("rgb").contract
    assert ModelContract.from_json(config.parameters["contract.2"].string_value) == source.contract
    assert newest_of(repository) == (source.contract, "2")
    ensemble = read_config(repository / "cocon" / "config.pbtxt")
    assert json.loads(ensemble.parameters["fusion.2"].string_value)["views"]["rgb"] == source.contract.fingerprint


def test_a_new_classifier_alone_is_a_new_version(repository: Path, make_source: MakeSource) -> None:
    source = make_source("rgb")
    source.encoder.get_parameter("classifier.fc.bias").data += 1.0
    exported = export_encoders([source], repository, ONNX_ONLY)
    assert [(row.model, row.version) for row in exported if row.is_new] == [("cocon_rgb", 2), ("cocon", 2)]


def test_other_labels_are_a_new_version_with_a_new_label_file(repository: Path, make_source: MakeSource) -> None:
    exported = export_encoders([make_source("rgb", labels=("sit", "stand"))], repository, ONNX_ONLY)
    assert [row.model for row in exported if row.is_new] == ["cocon_rgb", "cocon_fuse", "cocon"]
    assert (repository / "cocon_rgb" / "labels.txt").read_text() == "sit\nstand\n"
    assert (repository / "cocon_rgb" / "1" / "model.onnx").is_file()
    # The views no longer agree on classes, so the ensemble fuses embeddings only.
    outputs = [output.name for output in read_config(repository / "cocon" / "config.pbtxt").output]
    assert outputs[:2] == ["embedding", "embedding_flow"]


def test_another_contract_is_refused_unless_overwritten(repository: Path, make_source: MakeSource) -> None:
    before = content(repository)
    source = make_source("rgb", side_px=48)
    with pytest.raises(UsageError, match=r"'cocon_rgb' .* has another contract .*crop_px=32.*crop_px=48.*--overwrite"):
        export_encoders([source], repository, ONNX_ONLY)
    assert content(repository) == before
    export_encoders([source], repository, ExportOptions(formats=(ONNX,), overwrite=True))
    assert newest_of(repository) == (source.contract, "2")
    assert not (repository / "cocon_rgb" / "1").exists()


def test_nothing_is_published_when_one_model_fails_its_gate(
    repository: Path, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(repository)
    good, wrong = make_source("rgb", seed=3), make_source("flow", seed=3)
    file = encoders._FILES[ONNX]

    def write_wrong(deployable: Deployable, contract: ModelContract, path: Path) -> None:
        if contract.view == "flow":
            deployable.encoder.std *= 1.1
        file.write(deployable, contract, path)

    monkeypatch.setitem(encoders._FILES, ONNX, replace(file, write=write_wrong))
    with pytest.raises(GateError, match="cocon_flow: output"):
        export_encoders([good, wrong], repository, ONNX_ONLY)
    assert content(repository) == before


def write_model(folder: Path, versions: list[int], labels: list[str]) -> None:
    """A model whose versions and configuration say to which labels they belong."""
    config = triton.ModelConfig(name=folder.name)
    config.output.add(name="logits", dims=[len(labels)])
    for version in versions:
        config.parameters[f"contract.{version}"].string_value = str(version)
    for version in versions[-1:] if folder.parent.name.startswith(".") else versions:
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "contract.json").write_text(str(len(labels)))
    write_config(config, folder / "config.pbtxt")
    (folder / "README.md").write_text(f"card of {versions}")
    (folder / "labels.txt").write_text("\n".join(labels))


def interrupt_at(number: int, patch: pytest.MonkeyPatch) -> None:
    """End the process, so to speak, instead of the file operation with this number."""
    count = itertools.count()

    def interrupted(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def checked(path: Path, target: Path) -> Path:
            if next(count) == number:
                raise KeyboardInterrupt
            return move(path, target)

        return checked

    patch.setattr(Path, "rename", interrupted(Path.rename))
    patch.setattr(Path, "replace", interrupted(Path.replace))


@pytest.mark.parametrize(
    ("labels", "number"),
    [(["a", "b"], 0), (["a", "b"], 1), (["a", "b"], 2), (["a", "b", "c"], 0), (["a", "b", "c"], 1)],
)
def test_an_interrupted_publication_leaves_a_whole_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: list[str], number: int
) -> None:
    target = tmp_path / "cocon_rgb"
    write_model(target, [1, 2], ["a", "b"])
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch, staging(tmp_path) as folder:
        write_model(folder / "cocon_rgb", [1, 2, 3], labels)
        interrupt_at(number, patch)
        publish(folder / "cocon_rgb", target)
    with staging(tmp_path) as folder:  # what the next export does first
        config = read_config(target / "config.pbtxt")
        newest = latest_version(target)
        num_labels = int((target / str(newest) / "contract.json").read_text())
        assert newest == 2
        assert config.parameters[f"contract.{newest}"].string_value == str(newest)
        assert list(config.output[0].dims) == [num_labels] == [len((target / "labels.txt").read_text().split())]
        write_model(folder / "cocon_rgb", [1, 2, 3], labels)
        publish(folder / "cocon_rgb", target)
    assert [path.name for path in sorted(target.iterdir())] == [
        "1",
        "2",
        "3",
        "README.md",
        "config.pbtxt",
        "labels.txt",
    ]
    assert (target / "README.md").read_text() == "card of [1, 2, 3]"
    assert [path.name for path in tmp_path.glob(".*")] == [".writer.lock"]


def test_an_interrupted_export_leaves_the_old_models_in_service(
    repository: Path, make_source: MakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source("rgb", seed=4)
    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        interrupt_at(1, patch)
        export_encoders([source], repository, ONNX_ONLY)
    with LocalRepository(repository).open(ENCODER, "rgb") as embedder:
        assert embedder.contract == make_source("rgb").contract
        embedder.embed(source.clips)


def test_one_view_needs_no_ensemble_and_two_exports_exclude_each_other(tmp_path: Path, make_source: MakeSource) -> None:
    exported = export_encoders([make_source("mask", labels=())], tmp_path / "new", ONNX_ONLY)
    assert [row.model for row in exported] == ["cocon_mask"]
    with staging(tmp_path / "new"), pytest.raises(UsageError, match="another export writes"), staging(tmp_path / "new"):
        pass


@pytest.mark.parametrize("labels", [(), ("wave", "jump")])
def test_the_fusing_model_equals_the_formula(make_source: MakeSource, tmp_path: Path, labels: tuple[str, ...]) -> None:
    views = ("flow", "mask", "rgb")
    fusion = Fusion(tuple(make_source(view, labels=labels).contract for view in views))
    path = tmp_path / "model.onnx"
    write_fuse(fusion, path)
    assert check_fuse(fusion, path).max_abs_difference <= 1e-6


def test_a_fusing_model_with_other_weights_is_refused(
    make_source: MakeSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = Fusion((make_source("flow").contract, make_source("rgb").contract))
    path = tmp_path / "model.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(Fusion, "weights", property(lambda self: {"flow": 0.4, "rgb": 0.6}))
        write_fuse(fusion, path)
    with pytest.raises(GateError, match="differs from the fusion formula"):
        check_fuse(fusion, path)


def test_fusion_takes_views_in_alphabetical_order_only(make_source: MakeSource) -> None:
    with pytest.raises(ValueError, match="two views or more, in alphabetical order"):
        Fusion((make_source("rgb").contract, make_source("flow").contract))


def test_a_full_disk_leaves_the_models_as_they_are(repository: Path, make_source: MakeSource) -> None:
    before = content(repository)
    message = f"^model repository '{repository}' cannot be written: File too large; "
    with full_disk(1000), pytest.raises(StorageError, match=message):
        export_encoders([make_source("rgb", seed=4)], repository, ONNX_ONLY)
    assert content(repository) == before
    with unwritable(repository), pytest.raises(UsageError, match=f"^model repository '{repository}' cannot be written"):
        export_encoders([make_source("rgb", seed=4)], repository, ONNX_ONLY)


def test_a_linked_model_is_replaced_and_what_it_led_to_is_kept(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    for folder in (tmp_path / "far", tmp_path / "new"):
        folder.mkdir()
        (folder / "who").write_text(folder.name)
    with staging(repository):
        (repository / "cocon_rgb").symlink_to(tmp_path / "far")
        publish(tmp_path / "new", repository / "cocon_rgb", keep_versions=False)
    assert (repository / "cocon_rgb" / "who").read_text() == "new"
    assert (tmp_path / "far" / "who").read_text() == "far"
    assert [path.name for path in repository.iterdir() if path.is_dir()] == ["cocon_rgb"]
