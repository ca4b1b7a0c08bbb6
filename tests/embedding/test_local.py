"""A model repository read by ONNX Runtime in this process."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from cocon.client import connect
from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import BLOCKS, EMBEDDING, LOGITS, EncoderSpec, ModelContract
from cocon.embedding.embedder import ENCODER, Embedder, ModelEmbedder
from cocon.embedding.local import LocalRepository, LocalSession, execution_providers
from cocon.embedding.repository import INT8

MakeContract = Callable[..., ModelContract]

WEIGHT = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
CLIPS = np.random.default_rng(1).integers(0, 256, (5, 2, 3, 8, 8, 3), dtype=np.uint8)


def _write_model(folder: Path, contract: ModelContract, *, scale: float = 1.0, outputs: Sequence[str] = ()) -> None:
    """A graph: mean colour of each block, a linear map to D, unit length; logits are the first K numbers."""
    nodes = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "pixel_axes"], ["colours"], keepdims=0),
        helper.make_node("MatMul", ["colours", "weight"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["blocks"], axis=-1, p=2),
        helper.make_node("ReduceMean", ["blocks", "block_axis"], ["mean"], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["embedding"], axis=-1, p=2),
        helper.make_node("Slice", ["mean", "zero", "num_labels", "block_axis"], ["logits"]),
        helper.make_node("Slice", ["blocks", "zero", "num_labels", "last_axis"], ["block_logits"]),
    ]
    constants = {
        "weight": WEIGHT * np.float32(scale) + np.float32(scale - 1.0),
        "pixel_axes": np.array([2, 3, 4]),
        "block_axis": np.array([1]),
        "last_axis": np.array([2]),
        "zero": np.array([0]),
        "num_labels": np.array([len(contract.labels)]),
    }
    names = outputs or tuple(contract.output_shapes)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, ["B", *contract.clip_shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    folder.mkdir(parents=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "model.onnx"
    )
    (folder / "contract.json").write_text(contract.to_json())


@pytest.fixture
def root(tmp_path: Path, make_contract: MakeContract) -> Path:
    """A repository with one rgb model, version 1."""
    _write_model(tmp_path / "repository" / "cocon_rgb" / "1", make_contract())
    return tmp_path / "repository"


def _reference_embedding(scale: float = 1.0) -> np.ndarray:
    projected = CLIPS.astype(np.float64).mean(axis=(2, 3, 4)) @ (WEIGHT * scale + scale - 1.0)
    blocks = projected / np.linalg.norm(projected, axis=-1, keepdims=True)
    mean = blocks.mean(axis=1)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def test_a_model_of_the_repository_embeds_clips(root: Path) -> None:
    with LocalRepository(root).open(ENCODER, "rgb", num_threads=1) as embedder:
        outputs = embedder.embed(CLIPS)
    assert np.allclose(outputs.embedding, _reference_embedding(), atol=1e-5)
    assert outputs.blocks.shape == (5, 2, 4)
    assert outputs.logits is None


def test_a_classifiers_logits_come_with_the_embedding(root: Path, make_contract: MakeContract) -> None:
    contract = make_contract(labels=("run", "jump"), encoder=EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "mean"))
    _write_model(root / "cocon_rgb" / "2", contract)
    with LocalRepository(root).open(ENCODER, "rgb") as embedder:
        outputs = embedder.embed(CLIPS)
        assert embedder.contract == contract
        assert embedder.has_block_logits
    assert outputs.logits is not None and outputs.block_logits is not None
    assert (outputs.logits.shape, outputs.block_logits.shape) == ((5, 2), (5, 2, 2))
    np.testing.assert_allclose(outputs.block_logits.mean(axis=1), outputs.logits, atol=1e-6)


def test_a_model_exported_before_there_were_block_logits_works_without(root: Path, make_contract: MakeContract) -> None:
    contract = make_contract(labels=("run", "jump"), encoder=EncoderSpec("resnet2d3d", (1, 1, 1, 1), 16, "mean"))
    _write_model(root / "cocon_rgb" / "2", contract, outputs=(EMBEDDING, BLOCKS, LOGITS))
    with LocalRepository(root).open(ENCODER, "rgb") as embedder:
        outputs = embedder.embed(CLIPS)
        assert not embedder.has_block_logits
    assert outputs.logits is not None
    assert outputs.block_logits is None


def test_the_highest_version_wins_by_number_not_by_name(root: Path, make_contract: MakeContract) -> None:
    _write_model(root / "cocon_rgb" / "9", make_contract(weights_sha256="9" * 64), scale=0.9)
    _write_model(root / "cocon_rgb" / "10", make_contract(weights_sha256="a" * 64), scale=0.5)
    with LocalRepository(root).open(ENCODER, "rgb") as embedder:
        assert (embedder.name, embedder.version, embedder.contract.weights_sha256) == ("cocon_rgb", "10", "a" * 64)
        assert np.allclose(embedder.embed(CLIPS).embedding, _reference_embedding(0.5), atol=1e-5)


def test_the_version_that_was_promoted_wins_over_a_newer_one(root: Path, make_contract: MakeContract) -> None:
    _write_model(root / "cocon_rgb" / "2", make_contract(weights_sha256="2" * 64), scale=0.5)
    (root / "cocon_rgb" / "3").mkdir()  # somebody copies it just now
    (root / "cocon_rgb" / "config.pbtxt").write_text(
        "version_policy { specific { versions: [1, 2] } } "
        'parameters { key: "current_version" value { string_value: "1" } }'
    )
    with LocalRepository(root).open(ENCODER, "rgb") as embedder:
        assert embedder.version == "1"
        assert np.allclose(embedder.embed(CLIPS).embedding, _reference_embedding(), atol=1e-5)


def test_views_are_listed_in_the_order_of_the_view_table(root: Path) -> None:
    for name in ("cocon_mask", "cocon_flow", "cocon_rgb_int8", "cocon", "other_pose"):
        (root / name).mkdir()
    assert LocalRepository(root).views == ("rgb", "flow", "mask")


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_version_that_appears_while_one_is_opened_is_not_mixed_with_it(
    root: Path, make_contract: MakeContract, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    """An export between the look at the contract and the loading of the file, which keeps what was there or not."""
    read_text = Path.read_text

    def read_before_an_export(path: Path, *arguments: Any, **options: Any) -> str:
        text = read_text(path, *arguments, **options)
        if path.name == "contract.json" and not (root / "cocon_rgb" / "2").exists():
            _write_model(root / "cocon_rgb" / "2", make_contract(weights_sha256="2" * 64), scale=0.5)
            if is_replaced:
                shutil.rmtree(path.parent)
        return text

    monkeypatch.setattr(Path, "read_text", read_before_an_export)
    with connect(f"local:{root}").open(ENCODER, "rgb") as embedder:
        scale, version, weights = (0.5, "2", "2") if is_replaced else (1.0, "1", "0")
        assert (embedder.version, embedder.contract.weights_sha256) == (version, weights * 64)
        assert np.allclose(embedder.embed(CLIPS).embedding, _reference_embedding(scale), atol=1e-5)
    assert (root / "cocon_rgb" / "2").exists()


def test_a_version_that_is_written_anew_while_it_is_opened_is_not_mixed_with_what_it_was(
    root: Path, make_contract: MakeContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_text, is_anew = Path.read_text, False

    def read_before_it_is_written_anew(path: Path, *arguments: Any, **options: Any) -> str:
        nonlocal is_anew
        text = read_text(path, *arguments, **options)
        if path.name == "contract.json" and not is_anew:
            is_anew = True
            shutil.rmtree(path.parent)
            _write_model(path.parent, make_contract(weights_sha256="2" * 64), scale=0.5)
        return text

    monkeypatch.setattr(Path, "read_text", read_before_it_is_written_anew)
    with connect(f"local:{root}").open(ENCODER, "rgb") as embedder:
        assert embedder.contract.weights_sha256 == "2" * 64
        assert np.allclose(embedder.embed(CLIPS).embedding, _reference_embedding(0.5), atol=1e-5)


def _record(root: Path, **parameters: str) -> None:
    """Write what an export would record of version 1, among what else a configuration has."""
    text = "".join(
        f"parameters {{ key: {json.dumps(f'{key}.1')} value {{ string_value: {json.dumps(value)} }} }}\n"
        for key, value in parameters.items()
    )
    (root / "cocon_rgb" / "config.pbtxt").write_text(
        f'name: "cocon_rgb"\ninput {{ name: "clip" dims: [2, 3] }}\n{text}'
    )


def test_a_model_file_that_is_not_the_recorded_one_is_a_mismatch(root: Path, make_contract: MakeContract) -> None:
    path = root / "cocon_rgb" / "1" / "model.onnx"
    _record(root, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    LocalRepository(root).open(ENCODER, "rgb").close()
    before = path.stat()
    _write_model(root / "aside", make_contract(), scale=0.5)
    path.write_bytes((root / "aside" / "model.onnx").read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(MismatchError, match=r"model\.onnx' is another file than was exported .*; export it again"):
        LocalRepository(root).open(ENCODER, "rgb")


def test_a_contract_that_is_not_the_recorded_one_is_a_mismatch(root: Path, make_contract: MakeContract) -> None:
    _record(root, contract=make_contract().to_json())
    LocalRepository(root).open(ENCODER, "rgb").close()
    (root / "cocon_rgb" / "1" / "contract.json").write_text(make_contract(weights_sha256="1" * 64).to_json())
    with pytest.raises(MismatchError, match=r"another contract than 'contract\.1' in 'config\.pbtxt'"):
        LocalRepository(root).open(ENCODER, "rgb")


def test_a_model_and_its_record_that_are_written_anew_while_they_are_read_are_read_again(
    root: Path, make_contract: MakeContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read_bytes = root / "cocon_rgb" / "1" / "model.onnx", Path.read_bytes
    _record(root, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    _write_model(root / "aside", make_contract(), scale=0.5)
    renewed = (root / "aside" / "model.onnx").read_bytes()

    def read_after_an_export(of: Path) -> bytes:
        if of == path and read_bytes(path) != renewed:
            path.write_bytes(renewed)
            _record(root, sha256=hashlib.sha256(renewed).hexdigest())
        return read_bytes(of)

    monkeypatch.setattr(Path, "read_bytes", read_after_an_export)
    with LocalRepository(root).open(ENCODER, "rgb") as embedder:
        assert np.allclose(embedder.embed(CLIPS).embedding, _reference_embedding(0.5), atol=1e-5)


@pytest.mark.parametrize("content", [b"garbage", b"\xff\xfe", b"input {" * 5_000])
def test_a_configuration_that_is_none_is_a_mismatch_that_names_it(root: Path, content: bytes) -> None:
    (root / "cocon_rgb" / "config.pbtxt").write_bytes(content)
    with pytest.raises(MismatchError, match=r"config\.pbtxt' is no model configuration"):
        LocalRepository(root).open(ENCODER, "rgb")


def test_a_missing_repository_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model repository '.*absent' does not exist or is no folder; make one"):
        LocalRepository(tmp_path / "absent").open(ENCODER, "rgb")


def test_a_missing_model_lists_what_there_is(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model of view 'pose'; it has: rgb"):
        LocalRepository(root).open(ENCODER, "pose")
    with pytest.raises(UsageError, match=r"no model 'cocon_rgb_int8'; make it with 'cocon export --variant int8'"):
        replace(LocalRepository(root), model_format=INT8).open(ENCODER, "rgb")
    with pytest.raises(UsageError, match="it has: none"):
        LocalRepository(tmp_path).open(ENCODER, "rgb")


def test_a_missing_contract_is_a_mismatch(root: Path) -> None:
    (root / "cocon_rgb" / "1" / "contract.json").unlink()
    with pytest.raises(MismatchError, match=r"contract\.json' is missing; export the model again"):
        LocalRepository(root).open(ENCODER, "rgb")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\x00garbage", b"[1, 2"])
def test_a_garbage_contract_is_a_mismatch_that_names_the_file(root: Path, content: bytes) -> None:
    (root / "cocon_rgb" / "1" / "contract.json").write_bytes(content)
    with pytest.raises(MismatchError, match=r"contract\.json' is no contract"):
        LocalRepository(root).open(ENCODER, "rgb")


@pytest.mark.parametrize("content", [None, b"", b"garbage", bytes(range(256)) * 50])
def test_a_garbage_or_missing_model_file_is_a_mismatch_that_names_it(root: Path, content: bytes | None) -> None:
    path = root / "cocon_rgb" / "1" / "model.onnx"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MismatchError, match=r"model '.*model\.onnx' cannot be loaded.*export it again"):
        LocalRepository(root).open(ENCODER, "rgb")


def test_a_model_without_the_contracts_tensors_is_refused_when_loaded(
    tmp_path: Path, make_contract: MakeContract
) -> None:
    _write_model(tmp_path / "1", make_contract(), outputs=["embedding"])
    with pytest.raises(MismatchError, match=r"has no tensor \['blocks'\]; export it again"):
        ModelEmbedder(LocalSession(tmp_path / "1" / "model.onnx", make_contract()))


def test_clips_of_another_shape_are_refused_before_they_reach_the_model(root: Path) -> None:
    with LocalRepository(root).open(ENCODER, "rgb") as embedder, pytest.raises(MismatchError, match="do not fit"):
        embedder.embed(CLIPS[:, :1])


def test_a_local_embedder_is_an_embedder(root: Path) -> None:
    embedder: Embedder = LocalRepository(root).open(ENCODER, "rgb")
    assert embedder.contract.view == "rgb"


def test_cuda_is_not_asked_for_without_a_device() -> None:
    providers = list(execution_providers())
    assert providers[-1] == "CPUExecutionProvider"
    assert Path("/dev/nvidia0").exists() or len(providers) == 1
