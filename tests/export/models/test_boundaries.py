"""The written boundary model computes what the head does, at any length and batch; another one is not published."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.local import LocalSession
from cocon.embedding.locating.boundary_model import BoundaryContract, BoundaryModel
from cocon.export.models.boundaries import check_boundaries, write_boundaries
from cocon.training.boundary_head.network import BoundaryHead

CONTRACT = BoundaryContract("rgb", "0" * 64, 12, hop_frames=4, min_seconds=1.0, max_seconds=5.0, weights_sha256="")


def head_of(seed: int) -> BoundaryHead:
    torch.manual_seed(seed)
    head = BoundaryHead(12)
    head.scale_by([torch.randn(50, 12) / 3])
    return head.eval()


@pytest.fixture
def model(tmp_path: Path) -> BoundaryModel:
    write_boundaries(head_of(0), tmp_path / "model.onnx")
    return BoundaryModel(LocalSession(tmp_path / "model.onnx", CONTRACT))


@pytest.mark.parametrize(("size", "length"), [(1, 1), (1, 333), (5, 12)])
def test_onnx_runtime_gives_the_probabilities_of_the_head(model: BoundaryModel, size: int, length: int) -> None:
    blocks = np.random.default_rng(0).standard_normal((size, length, 12), np.float32)
    with torch.no_grad():
        expected = torch.sigmoid(head_of(0)(torch.from_numpy(blocks))).numpy()
    found = model.probabilities(blocks)
    assert found.dtype == np.float32 and found.shape == (size, length, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_gate_passes_the_head_itself_and_no_other(model: BoundaryModel) -> None:
    assert check_boundaries(head_of(0), model).max_abs_difference <= 1e-5
    with pytest.raises(GateError, match="1 blocks, against the trained head"):
        check_boundaries(head_of(1), model)


def test_what_a_model_gives_must_be_finite_and_its_tensors_those_of_the_contract(tmp_path: Path) -> None:
    head = head_of(0)
    with torch.no_grad():
        head.scale[3] = torch.nan
    write_boundaries(head, tmp_path / "model.onnx")
    model = BoundaryModel(LocalSession(tmp_path / "model.onnx", CONTRACT))
    with pytest.raises(MismatchError, match=r"must be finite and \[2, 5, 3\]; export it again"):
        model.probabilities(np.zeros((2, 5, 12), np.float32))
    with pytest.raises(MismatchError, match="other tensors than its contract"):
        LocalSession(tmp_path / "model.onnx", replace(CONTRACT, embedding_dim=13))


def test_blocks_of_another_shape_are_refused(model: BoundaryModel) -> None:
    for shape in ((1, 5, 11), (5, 12), (1, 0, 12)):
        with pytest.raises(MismatchError, match="float32"):
            model.probabilities(np.zeros(shape, np.float32))
