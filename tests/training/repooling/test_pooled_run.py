"""Vectors of a trained run made anew: what stays, what is left behind, and how ways to make them are compared."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cocon.core.errors import MismatchError, UsageError
from cocon.core.progress import no_progress
from cocon.embedding.contract import EncoderSpec, ModelContract
from cocon.embedding.neighbours import unit_vectors
from cocon.training.config.files import load_config
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.preparation.held_out import part_to_judge
from cocon.training.models.encoder import Encoder, build_encoder
from cocon.training.repooling.asked import asked_ways
from cocon.training.repooling.choice import WayFigures, best_ways, compare_ways
from cocon.training.repooling.cli import app
from cocon.training.repooling.encoders import Way, repooled
from cocon.training.repooling.learned import fit_pooling
from cocon.training.repooling.pooled_run import PooledRun
from cocon.training.repooling.pooled_run import pool_run as pool_views
from cocon.training.repooling.videos import judged_videos
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of
from cocon.video.views import VIEWS

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]

THIRDS = Way("thirds", 1)
MEAN = Way("mean", 1)
LEARNED = Way("learned", 1)


def pool_run(run: RunFolder, output: Path, way: Way, **settings: Any) -> PooledRun:
    """All views in one way."""
    return pool_views(run, output, dict.fromkeys(run.views, way), **settings)


def test_weights_stay_and_vectors_and_fingerprint_become_others(trained: Path, tmp_path: Path) -> None:
    before = RunFolder.open(trained)
    pooled = pool_run(before, tmp_path / "thirds", THIRDS)
    after = RunFolder.open(tmp_path / "thirds")
    assert after.is_complete and after.config.model.pooling == "thirds"
    assert json.loads((after.path / "complete.json").read_text())["pooled_from"] == "trained"
    assert json.loads((after.path / "complete.json").read_text())["labels_left"] == 6
    for view in before.views:
        (old, old_contract), (new, contract) = before.encoder(view), after.encoder(view)
        assert contract.weights_sha256 == old_contract.weights_sha256
        assert contract.fingerprint != old_contract.fingerprint
        assert pooled.vector_dims[view] == (old_contract.vector_dim, 3 * old_contract.vector_dim)
        assert old_contract.labels and not contract.labels
        clips = torch.randint(0, 256, (1, *contract.clip_shape), dtype=torch.uint8)
        with torch.no_grad():
            expected, found = old(clips), new(clips)
        assert torch.equal(found.blocks, expected.blocks)
        assert found.embedding.shape == (1, contract.vector_dim)
    assert pooled.left_behind == ("the classifiers of rgb, pose",)


def test_a_classifier_is_fitted_to_other_vectors_without_training_again(
    trained: Path, tmp_path: Path, tiny_config: MakeConfig, train_tiny: TrainTiny
) -> None:
    pool_run(RunFolder.open(trained), tmp_path / "thirds", THIRDS)
    config = tiny_config(
        "training.epochs=0", f"training.init_from='{tmp_path / 'thirds'}'", "model.pooling=thirds", "views=['rgb']"
    )
    assert train_tiny(config, tmp_path / "labelled")
    encoder, contract = RunFolder.open(tmp_path / "labelled").encoder("rgb")
    assert (contract.encoder.pooling, contract.method) == ("thirds", "cocon")
    assert contract.weights_sha256 == RunFolder.open(trained).contract("rgb").weights_sha256
    clips = torch.randint(0, 256, (2, *contract.clip_shape), dtype=torch.uint8)
    with torch.no_grad():
        found = encoder(clips)
    assert found.logits is not None and found.block_logits is not None
    assert found.block_logits.shape == (2, contract.clip.num_blocks, 3 * len(contract.labels))


@pytest.mark.parametrize(("classifier", "is_kept"), [("mean", False), ("gru", True)])
def test_a_classifier_that_sees_whole_maps_stays(tiny_config: MakeConfig, classifier: str, is_kept: bool) -> None:
    spec = EncoderSpec("resnet2d3d", (1, 1, 1, 1), 4, classifier)
    encoder = build_encoder(spec, VIEWS["rgb"], num_classes=2).eval()
    contract = contract_of(tiny_config(), "rgb", encoder, method="cocon", labels=("jump", "run"))
    changed, told = repooled(encoder, replace(contract, encoder=spec), THIRDS)
    assert bool(told.labels) == (changed.classifier is not None) == is_kept
    assert told.encoder == replace(spec, pooling="thirds", classifier=classifier if is_kept else "none")


def test_what_cannot_be_made_is_refused_in_words(trained: Path, tmp_path: Path) -> None:
    run = RunFolder.open(trained)
    with pytest.raises(UsageError, match=r"model\.cells \(2\) must be at most 1, the side of the feature map of view"):
        pool_run(run, tmp_path / "cells", Way("mean", 2))
    with pytest.raises(UsageError, match="cannot be replaced by itself"):
        pool_run(run, trained, THIRDS)
    pool_run(run, tmp_path / "thirds", THIRDS)
    with pytest.raises(UsageError, match="is there already"):
        pool_run(run, tmp_path / "thirds", THIRDS)
    pool_run(run, tmp_path / "thirds", THIRDS, overwrite=True)


def test_ways_are_compared_by_the_videos_that_training_would_hold_out(
    trained: Path, many: Path, tiny_config: MakeConfig
) -> None:
    run, config = RunFolder.open(trained), tiny_config(f"data.folder='{many}'")
    encoders = {view: run.encoder(view) for view in run.views}
    videos = judged_videos(run, config)
    part, _ = part_to_judge(open_dataset(config.data), TrainingSection().held_out_share, seed=config.training.seed)
    assert videos.held.entries == part.held
    found = compare_ways(encoders, videos, seed=0, progress_bar=lambda what: nullcontext(no_progress))
    # A feature map of one place has no cells.
    rows = [row for row in found.rows if row.way is not None]
    assert [(row.way, row.view) for row in rows] == [
        (way, view) for way in (MEAN, LEARNED, THIRDS) for view in ("rgb", "pose", "ensemble")
    ]
    dim = encoders["rgb"][1].embedding_dim
    assert [row.vector_dim for row in rows[::3]] == [dim, dim, 3 * dim]
    assert [row.vector_dim for row in rows[2::3]] == [2 * dim, 2 * dim, 6 * dim]
    assert {row.num_videos for row in rows} == {len(videos.held)}
    assert found.best == best_ways(rows)
    together = [row for row in found.rows if row.way is None]
    assert [row.view for row in together] == ["ensemble"] * (len({*found.best.values()}) > 1)


def test_too_few_videos_to_hold_any_out_are_said(trained: Path) -> None:
    run = RunFolder.open(trained)
    with pytest.raises(UsageError, match="labelled videos are fewer than 40; name --pooling and --cells"):
        judged_videos(run, run.config)


def test_each_view_has_its_best_way_and_of_equals_the_shortest() -> None:
    def row(way: Way, view: str, dim: int, probe: float) -> WayFigures:
        return WayFigures(way, view, dim, probe, 50.0, 10)

    rows = [row(THIRDS, "rgb", 12, 90.0), row(MEAN, "rgb", 4, 70.0), row(THIRDS, "flow", 12, 70.0)]
    rows += [row(MEAN, "flow", 4, 70.0), row(MEAN, "ensemble", 8, 99.0)]
    assert best_ways(rows) == {"rgb": THIRDS, "flow": MEAN}


def test_views_of_a_run_may_have_ways_of_their_own(
    trained: Path, tmp_path: Path, tiny_config: MakeConfig, train_tiny: TrainTiny
) -> None:
    arguments = ["--pooling", "thirds", "--pooling", "pose=mean", "--output", str(tmp_path / "mixed"), "--json"]
    told = CliRunner().invoke(app, [str(trained), *arguments])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["ways"]["pose"] == {"pooling": "mean", "cells": 1}
    mixed = RunFolder.open(tmp_path / "mixed")
    assert {view: Way.of(mixed.contract(view).encoder) for view in mixed.views} == {"rgb": THIRDS, "pose": MEAN}
    assert mixed.contract("pose").labels and not mixed.contract("rgb").labels
    # What is trained from its configuration has the same.
    settings = (f"training.init_from='{mixed}'", "training.epochs=0")
    assert train_tiny(load_config(str(mixed.path / "config.toml"), settings), tmp_path / "labelled")
    labelled = RunFolder.open(tmp_path / "labelled")
    assert [labelled.contract(view).encoder.pooling for view in ("rgb", "pose")] == ["thirds", "mean"]
    # One way for all again leaves nothing of it.
    pool_run(labelled, tmp_path / "mean", MEAN)
    assert not RunFolder.open(tmp_path / "mean").config.vectors


@pytest.mark.parametrize(
    ("poolings", "cells", "said"),
    [
        (["halves"], [], "--pooling 'halves' is unknown; available: mean, thirds, learned"),
        (["flow=mean"], [], "names view 'flow', but run .* has rgb, pose"),
        (["colour=mean"], [], "view 'colour' is unknown"),
        (["mean", "thirds"], [], "--pooling is named twice for all views"),
        ([], ["rgb=0"], "--cells '0' must be a whole number from 1 on"),
    ],
)
def test_ways_that_there_are_not_are_refused_in_words(
    trained: Path, poolings: list[str], cells: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        asked_ways(RunFolder.open(trained), poolings, cells)


def test_the_command_says_what_vectors_cost_and_what_is_left_behind(trained: Path, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, [str(trained), "--pooling", "thirds", "--output", str(tmp_path / "thirds")])
    assert found.exit_code == 0, found.output
    assert "vectors by thirds; numbers of a clip's vector: rgb 16 → 48, pose 16 → 48" in found.stdout
    assert "left behind, for they were made for other vectors: the classifiers of rgb, pose" in found.stderr
    assert "cocon train --config" in found.stderr


def test_a_pooling_is_learned_of_frozen_encoders_and_told_apart_from_the_mean(trained: Path, tmp_path: Path) -> None:
    def learn(encoders: Mapping[str, tuple[Encoder, ModelContract]]) -> None:
        for encoder, contract in encoders.values():
            fit_pooling(encoder, _marches(contract.embedding_dim), seed=0)

    before = RunFolder.open(trained)
    pool_run(before, tmp_path / "learned", Way("learned", 1), learn=learn)
    encoder, contract = RunFolder.open(tmp_path / "learned").encoder("rgb")
    assert contract.vector_dim == contract.embedding_dim
    assert contract.weights_sha256 != before.contract("rgb").weights_sha256
    # What was walked one way is told from what was walked the other way, which the mean does not.
    there = torch.from_numpy(_marches(contract.embedding_dim, seed=1)[0])
    with torch.no_grad():
        forth, back = encoder.clip_vectors(there), encoder.clip_vectors(there.flip(1))
    assert float((forth * back).sum()) < 0.9
    pool_run(RunFolder.open(tmp_path / "learned"), tmp_path / "mean", Way("mean", 1))
    assert RunFolder.open(tmp_path / "mean").contract("rgb").weights_sha256 == before.contract("rgb").weights_sha256


def _marches(dim: int, *, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Clips of six blocks, each of another video, that go from one point to another."""
    rng = np.random.default_rng(seed)
    ends = rng.standard_normal((24, 2, 1, dim)).astype(np.float32)
    shares = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    return [unit_vectors((1 - shares) * first + shares * last)[None] for first, last in ends]


def test_a_learned_pooling_is_not_trained_and_comes_with_its_encoders(
    trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="fitted to encoders that are trained already"):
        train_tiny(tiny_config("model.pooling=learned"), tmp_path / "run")
    settings = ("model.pooling=learned", "training.epochs=0", f"training.init_from='{trained}'")
    with pytest.raises(MismatchError, match="has no encoder with a learned pooling"):
        train_tiny(tiny_config(*settings), tmp_path / "run")
