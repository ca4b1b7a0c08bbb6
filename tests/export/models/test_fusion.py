"""Weights that `cocon evaluate` has found go into the graph, into what is told of it, and into what clients fuse by."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cocon.client.models.connect import connect
from cocon.core.errors import MismatchError
from cocon.embedding.config_files import parameter, read_config
from cocon.embedding.fusion import fuse_embeddings
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.neighbours import unit_vectors
from cocon.embedding.videos.fused_model import open_fused
from cocon.export.cards.record import TrainingRecord
from cocon.export.drafts import fusion_drafts
from cocon.export.repository.folder import publish, staging
from cocon.export.repository.stage import Stage
from cocon.export.sources import ViewSource
from cocon.training.run_folder.length import TrainedLength

pytestmark = pytest.mark.training

MakeSource = Callable[..., ViewSource]
LEARNED = {"method": "cocon", "view": "ensemble_learned", "probe_top1": 99.9, "R@1": 98.5}
WEIGHTS = {"weight_retrieval_rgb": 0.05, "weight_retrieval_flow": 0.2, "weight_retrieval_pose": 0.75}


def trained(sources: list[ViewSource], *rows: Mapping[str, Any]) -> list[ViewSource]:
    """The same of one run, which was judged so."""
    encoders = {source.contract.view: source.contract.fingerprint for source in sources}
    equal = {"method": "cocon", "view": "ensemble", "probe_top1": 95.5, "R@1": 90.5}
    training = TrainingRecord("gym", None, TrainedLength(7), 5, {}, merits=(equal, *rows), encoders=encoders)
    return [replace(source, training=training) for source in sources]


def record_of(repository: Path) -> FusionRecord:
    record = FusionRecord.current(repository)
    assert record is not None
    return record


def fingerprint_of_client(repository: Path) -> str:
    with closing(connect(f"local:{repository}")) as host:
        return open_fused(host, ["all"]).fingerprint


def fused(repository: Path, sources: list[ViewSource]) -> list[str]:
    """Export the fusion again, of encoders that are there or come; which of its models are new."""
    with staging(repository) as folder:
        stage = Stage(repository, folder, overwrite=False, on_progress=lambda text: None)
        new = [
            row.model
            for draft in fusion_drafts(sources, repository, staged=folder)
            if (row := stage.prepare(draft)).is_new
        ]
        for name in new:
            publish(folder / name, repository / name)
    return new


@pytest.fixture
def repository(two_views: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(two_views, tmp_path / "model_repository"))


@pytest.fixture
def pair(make_source: MakeSource) -> list[ViewSource]:
    """The encoders that are there."""
    return [make_source("rgb"), make_source("flow", seed=1)]


def test_learned_weights_are_in_the_graph_in_the_record_and_in_the_client(
    repository: Path, pair: list[ViewSource]
) -> None:
    before = record_of(repository).fingerprint
    assert fused(repository, trained(pair, LEARNED | WEIGHTS)) == ["cocon_fuse", "cocon"]
    record = record_of(repository)
    assert record.weights == pytest.approx({"rgb": 0.2, "flow": 0.8})
    assert record.fingerprint == fingerprint_of_client(repository) != before
    told = parameter(read_config(repository / "cocon" / "config.pbtxt"), "fusion.2")
    assert told == record.to_json()
    graph = onnxruntime.InferenceSession(repository / "cocon_fuse" / "2" / "model.onnx")
    rng = np.random.default_rng(0)
    views = {
        view: unit_vectors(rng.normal(size=(4, record.embedding_dim // 2)).astype(np.float32))
        for view in ("flow", "rgb")
    }
    logits = {f"logits_{view}": np.zeros((4, 3), np.float32) for view in views}
    (found,) = graph.run(["embedding"], {f"embedding_{view}": vectors for view, vectors in views.items()} | logits)
    np.testing.assert_allclose(found, fuse_embeddings(views, {"flow": 0.8, "rgb": 0.2}), atol=1e-6)
    card = (repository / "cocon" / "README.md").read_text()
    assert "| cocon | ensemble_learned | 99.9 | 98.5 |" in card
    assert "| cocon | ensemble |" not in card
    assert "flow 0.8, rgb 0.2" in card
    # One view of the run alone: the fusion with the other one, which is there, stays.
    assert fused(repository, trained(pair, LEARNED | WEIGHTS)[:1]) == []


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (LEARNED,),
        (LEARNED | {"weight_retrieval_rgb": 0.5},),
        (LEARNED | WEIGHTS | {"method": "dpc"},),
        (LEARNED | WEIGHTS, LEARNED | WEIGHTS),
    ],
)
def test_without_weights_of_all_its_encoders_every_view_counts_the_same(
    repository: Path, pair: list[ViewSource], rows: tuple[dict[str, Any], ...]
) -> None:
    assert fused(repository, trained(pair, *rows)) == []
    assert record_of(repository).weights == {"flow": 0.5, "rgb": 0.5}


def test_views_that_learned_in_different_ways_have_the_weights_of_their_run(pair: list[ViewSource]) -> None:
    rgb, flow = (source.contract for source in pair)
    together = LEARNED | {"method": "cocon+supervised", "weight_retrieval_rgb": 0.5, "weight_retrieval_flow": 0.4}
    training = trained(pair, LEARNED | WEIGHTS, together)[0].training
    assert training is not None
    mixed = replace(training, method="cocon+supervised").fusion_weights([rgb, replace(flow, method="supervised")])
    assert mixed == {"rgb": 0.5, "flow": 0.4}
    assert training.fusion_weights([rgb, flow]) == {"rgb": 0.05, "flow": 0.2}


def test_an_encoder_of_another_run_beside_them_counts_the_same(
    repository: Path, pair: list[ViewSource], make_source: MakeSource
) -> None:
    fused(repository, trained(pair, LEARNED | WEIGHTS))
    other = make_source("rgb", seed=9)
    fused(repository, [other])
    record = record_of(repository)
    assert record.weights == {"flow": 0.5, "rgb": 0.5}
    assert record.fingerprints["rgb"] == other.contract.fingerprint
    with pytest.raises(MismatchError, match="another encoder of view 'rgb' than 'cocon_rgb'"):
        fingerprint_of_client(repository)  # the fusion alone was published
