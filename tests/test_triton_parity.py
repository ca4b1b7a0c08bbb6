"""From a run through `cocon export` to a real Triton: every format answers what the trained encoders do."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput

from cocon.client.models.connect import connect
from cocon.client.models.server import TritonServer
from cocon.core.errors import UsageError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion import fuse_embeddings, fuse_probabilities, softmax
from cocon.embedding.local import LocalRepository
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL, BoundaryContract
from cocon.embedding.tracking.feature_maps import FEATURE_MAPS
from cocon.embedding.videos.fused_model import open_fused
from cocon.export.artefacts.deployable import Deployable, TorchEmbedder
from cocon.export.artefacts.parity_clips import mixed_with_noise, moving_squares
from cocon.export.models.boundaries import sound_boundary_head
from cocon.export.publishing import export_encoders
from cocon.export.sources import ExportOptions, FeatureMapOptions, ViewSource
from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess
from cocon.training.boundary_head.learning import BoundarySettings
from cocon.training.boundary_head.network import BoundaryHead
from cocon.training.config.run import Config
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.boundary_heads import BoundaryRecord
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles, contract_of, tensors_sha256
from cocon.video.views import view_named
from tests.asking import infer

pytestmark = pytest.mark.triton

LABELS = ("wave", "jump", "turn")
VIEWS = ("rgb", "flow")
Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as training leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("run")
    config = Config.model_validate(
        {
            "views": VIEWS,
            "data": {"folder": str(folder / "gone")},
            "clip": {"num_blocks": 3, "frames_per_block": 4},
            "view": {view: {"resize_px": 32, "crop_px": 32} for view in VIEWS},
            "model": {"depth": "resnet10", "width": 8, "num_predicted": 1},
        }
    )
    (folder / "config.toml").write_text(config.to_toml())
    for seed, view in enumerate(VIEWS):
        torch.manual_seed(seed)
        encoder = build_encoder(config.encoder_spec("mean"), view_named(view), num_classes=len(LABELS))
        RunFolder.open(folder).save_encoder(encoder, contract_of(config, view, encoder, method="cocon", labels=LABELS))
    return folder


@pytest.fixture(scope="module")
def head(run: Path) -> BoundaryHead:
    """A boundary head of the run's view rgb, with random weights."""
    encoder = ViewFiles(run / "views" / "rgb").contract()
    torch.manual_seed(2)
    head = BoundaryHead(encoder.embedding_dim).eval()
    contract = BoundaryContract(
        "rgb", encoder.fingerprint, encoder.embedding_dim, 2, 0.5, 5.0, tensors_sha256(head.state_dict())
    )
    RunFolder.open(run).save_boundary_head(
        head, BoundaryRecord(contract, BoundarySettings(), "untrimmed", 1, {"AUC": 0.0})
    )
    return head


@pytest.fixture(scope="module")
def repository(run: Path, head: BoundaryHead, tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded = [RunFolder.open(run).encoder(view) for view in RunFolder.open(run).views]
    folder = tmp_path_factory.mktemp("served") / "model_repository"
    sources = [
        ViewSource(
            encoder,
            contract,
            moving_squares(contract),
            boundaries=sound_boundary_head(RunFolder.open(run), contract.view),
        )
        for encoder, contract in loaded
    ]
    export_encoders(sources, folder, ExportOptions(feature_maps=FeatureMapOptions(size_px=48)))
    return folder


@pytest.fixture(scope="module")
def url(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("triton")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        server = ServerProcess(repository, Address.on_free_ports(), log=folder / "triton.log", timeout_s=600)
        with server:
            yield server.url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url) as connected:
        yield connected


def clips_of(repository: Path, view: str) -> NDArray[np.uint8]:
    with LocalRepository(repository).open(ENCODER, view) as embedder:
        contract = embedder.contract
    return mixed_with_noise(moving_squares(contract), 16)


def assert_near(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert found.shape == expected.shape
    dot = (found * expected).sum(axis=-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert dot.min() >= 0.9999
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [1, 3, 16])
def test_both_formats_answer_what_the_encoder_does(
    client: InferenceServerClient, run: Path, repository: Path, view: str, size: int
) -> None:
    clips = clips_of(repository, view)[:size]
    encoder, contract = RunFolder.open(run).encoder(view)
    expected = TorchEmbedder(Deployable(encoder), contract).embed(clips).named()
    served = infer(client, f"cocon_{view}", {"clip": clips})
    scripted = infer(client, f"cocon_{view}_torchscript", {"clip": clips})
    assert list(served) == list(expected)
    assert list(scripted) == [f"{name}__{position}" for position, name in enumerate(expected)]
    for (name, tensor), other in zip(expected.items(), scripted.values(), strict=True):
        assert_near(served[name], tensor)
        assert_near(other, tensor)


def test_the_ensemble_answers_what_fusion_in_the_client_does(client: InferenceServerClient, repository: Path) -> None:
    clips = {view: clips_of(repository, view) for view in VIEWS}
    served = infer(client, "cocon", {f"clip_{view}": array for view, array in clips.items()})
    local = {}
    for view in VIEWS:
        with LocalRepository(repository).open(ENCODER, view) as embedder:
            local[view] = embedder.embed(clips[view])
    assert_near(served["embedding"], fuse_embeddings({view: outputs.embedding for view, outputs in local.items()}))
    logits = {view: outputs.logits for view, outputs in local.items() if outputs.logits is not None}
    shares = {view: softmax(array) for view, array in logits.items()}
    assert_near(served["probabilities"], fuse_probabilities(shares))


def test_a_client_asks_all_views_by_one_request_and_is_told_the_same(
    client: InferenceServerClient, url: str, repository: Path
) -> None:
    def num_requests(name: str) -> int:
        return int(client.get_inference_statistics(name).model_stats[0].inference_stats.success.count)

    blocks = {view: clips_of(repository, view).reshape(-1, 4, 32, 32, view_named(view).channels) for view in VIEWS}
    runs = [{view: pixels[begin:end] for view, pixels in blocks.items()} for begin, end in ((0, 3), (3, 8), (8, 40))]
    with closing(connect(url)) as host:
        model = open_fused(host, ["all"])
        before = {name: num_requests(name) for name in ("cocon", "cocon_fuse")}
        together, apart = (each.embed(runs) for each in (model, replace(model, joint=None)))
        for run, expected in zip(together, apart, strict=True):
            for view in VIEWS:
                np.testing.assert_array_equal(run[view].vectors, expected[view].vectors)
                np.testing.assert_array_equal(run[view].logits, expected[view].logits)
        assert num_requests("cocon") == before["cocon"] + 1
        assert num_requests("cocon_fuse") == before["cocon_fuse"]  # nobody asked for it
        lacking = [runs[0], {"rgb": runs[1]["rgb"]}]
        assert [list(run) for run in model.embed(lacking)] == [["flow", "rgb"], ["rgb"]]
        assert num_requests("cocon") == before["cocon"] + 1
        host.confirm()
        assert open_fused(host, ["rgb"]).joint is None


def test_boundaries_of_any_length_are_what_the_head_says(url: str, head: BoundaryHead) -> None:
    with TritonServer(url) as server:
        model = server.open(BOUNDARY_MODEL, "rgb")
        for size, length in ((1, 40), (3, 7), (2, 1)):
            blocks = np.random.default_rng(length).standard_normal((size, length, head.embedding_dim), np.float32)
            with torch.no_grad():
                expected = head(torch.from_numpy(blocks)).sigmoid().numpy()
            np.testing.assert_allclose(model.probabilities(blocks), expected, rtol=0, atol=1e-5)
        with pytest.raises(UsageError, match=r"cocon_flow_boundaries.*train one with"):
            server.open(BOUNDARY_MODEL, "flow")


def test_feature_maps_are_those_of_the_trained_stage(url: str, run: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), np.uint8)
    encoder, contract = RunFolder.open(run).encoder("rgb")
    with torch.no_grad():
        expected = encoder.frame_maps(torch.from_numpy(frames)[:, None], "layer2")[:, 0].numpy()
    with TritonServer(url) as server:
        model = server.open(FEATURE_MAPS, "rgb")
        assert model.contract.fingerprint == contract.fingerprint
        assert_near(model.maps(frames), expected)
        with pytest.raises(UsageError, match=r"cocon_flow_feature_map.*cocon export --feature-maps"):
            server.open(FEATURE_MAPS, "flow")


def test_the_server_hands_out_the_contract_of_the_version_it_serves(
    client: InferenceServerClient, repository: Path
) -> None:
    parameters = client.get_model_config("cocon_rgb").config.parameters
    served = ModelContract.from_json(parameters["contract.1"].string_value)
    with LocalRepository(repository).open(ENCODER, "rgb") as local:
        assert (served, "1") == (local.contract, local.version)
    fusion = client.get_model_config("cocon").config.parameters["fusion.1"].string_value
    assert json.loads(fusion)["views"]["rgb"] == served.fingerprint


def test_classes_come_with_their_labels(client: InferenceServerClient, repository: Path) -> None:
    """Triton's classification extension reads `labels.txt`."""
    from tritonclient.grpc import InferRequestedOutput

    clips = clips_of(repository, "rgb")[:1]
    tensor = InferInput("clip", list(clips.shape), "UINT8")
    tensor.set_data_from_numpy(clips)
    result = client.infer("cocon_rgb", [tensor], outputs=[InferRequestedOutput("logits", class_count=1)])
    assert result.as_numpy("logits")[0, 0].decode().split(":")[2] in LABELS
