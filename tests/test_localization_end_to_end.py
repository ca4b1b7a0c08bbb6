"""From untrimmed videos to located actions: heads are trained and judged, exported, and asked by the client."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from cocon.client import VideoEmbedder, connect
from cocon.client.commands.main import main
from cocon.client.locate import dense_hop
from cocon.client.pipeline.block_order import ordered_blocks
from cocon.core.errors import UsageError
from cocon.embedding.locating.boundary_model import BOUNDARY_MODEL
from cocon.embedding.repository import ONNX
from cocon.export.artefacts.parity_clips import moving_squares
from cocon.export.models.boundaries import sound_boundary_head
from cocon.export.publishing import export_encoders
from cocon.export.sources import ExportOptions, ViewSource
from cocon.training.annotations.activitynet import read_activitynet
from cocon.training.boundary_head.learning import BlockSequence, boundary_probabilities
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.locating.untrimmed_blocks import block_sequences
from cocon.training.evaluation.tasks import TaskRequest, TaskResult, evaluate_task
from cocon.training.figures.figures import make_figures
from cocon.training.figures.settings import UntrimmedSettings
from cocon.training.models.encoder import build_encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import DatasetFolder
from cocon.video.views import view_named

pytestmark = pytest.mark.training

VIEWS = ("rgb", "mask")
FIGURES = ("AR@1", "AR@10", "AR@100", "AUC", "mAP@0.5", "mAP@0.75", "mAP")


@contextmanager
def silent_bar(description: str, unit: str = "videos") -> Iterator[object]:
    yield lambda done, total: None


@pytest.fixture(scope="module")
def untrimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training and two validation videos of 5 s, two actions each."""
    root = tmp_path_factory.mktemp("untrimmed")
    make_figures(root, UntrimmedSettings(num_videos=4, seconds=5.0, size_px=32, view_size_px=16), workers=1)
    return root


@pytest.fixture(scope="module")
def run(untrimmed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as training leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("run")
    config = Config.model_validate(
        {
            "views": VIEWS,
            "data": {"folder": str(untrimmed)},
            "clip": {"num_blocks": 3, "frames_per_block": 2, "step_seconds": 0.1},
            "view": {view: {"resize_px": 24, "crop_px": 24} for view in VIEWS},
            "model": {"depth": "resnet10", "width": 4, "num_predicted": 1},
            "training": {"batch_size": 2},
        }
    )
    (folder / "config.toml").write_text(config.to_toml())
    for seed, view in enumerate(VIEWS):
        torch.manual_seed(seed)
        encoder = build_encoder(config.encoder_spec("none"), view_named(view))
        RunFolder.open(folder).save_encoder(encoder, contract_of(config, view, encoder, method="cocon", labels=()))
    return folder


def _judged(run: Path, data: Path, annotations: Path | None, *, has_random: bool = False) -> TaskResult:
    request = TaskRequest(RunFolder.open(run), data, annotations, has_random=has_random, progress_bar=silent_bar)
    return evaluate_task("localization", request)


@pytest.fixture(scope="module")
def judged(run: Path, untrimmed: Path) -> TaskResult:
    return _judged(run, untrimmed, None, has_random=True)


@pytest.fixture(scope="module")
def repository(run: Path, judged: TaskResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert judged.rows
    folder = tmp_path_factory.mktemp("exported") / "model_repository"
    encoder, contract = RunFolder.open(run).encoder("rgb")
    source = ViewSource(
        encoder, contract, moving_squares(contract), boundaries=sound_boundary_head(RunFolder.open(run), "rgb")
    )
    exported = export_encoders([source], folder, ExportOptions(formats=(ONNX,)))
    assert [model.model for model in exported] == ["cocon_rgb", "cocon_rgb_boundaries"]
    assert not any(model.is_new for model in export_encoders([source], folder, ExportOptions(formats=(ONNX,))))
    return folder


def test_every_view_and_all_together_are_judged_beside_uniform_segments_and_untrained_networks(
    judged: TaskResult, run: Path
) -> None:
    names = [(row["method"], row["view"], row["segments"]) for row in judged.rows]
    hows = ("boundary head", "uniform")
    assert names == [
        (method, view, how) for method in ("random", "cocon") for view in (*VIEWS, "ensemble") for how in hows
    ]
    assert all(tuple(row)[3:] == FIGURES for row in judged.rows) and not judged.failures
    for row in judged.rows:  # more proposals recall more, and a stricter overlap is reached by fewer
        recalls, precisions = ([float(row[name]) for name in names] for names in (FIGURES[:3], FIGURES[4:6]))
        assert 0 <= recalls[0] <= recalls[1] <= recalls[2] <= 100
        assert 100 >= precisions[0] >= max(precisions[1], float(row["mAP"])) and 0.99 * recalls[0] <= float(row["AUC"])
    uniform = {row["AR@100"] for row in judged.rows if row["segments"] == "uniform"}
    assert len(uniform) == 1 and uniform.pop() > 50  # they know nothing of any encoder
    for view in RunFolder.open(run).views:
        kept = RunFolder.open(run).boundary_head(view)
        (row,) = (r for r in judged.rows if (r["method"], r["view"], r["segments"]) == ("cocon", view, hows[0]))
        assert kept is not None and kept[1].figures == {name: row[name] for name in FIGURES}
        assert kept[1].num_videos == 2


def test_heads_are_trained_on_the_training_videos_alone(
    judged: TaskResult, run: Path, untrimmed: Path, tmp_path: Path
) -> None:
    """With other annotations of the validation videos figures are others and heads the same; without, it is refused."""
    head = RunFolder.open(run).boundary_head("rgb")
    content = json.loads((untrimmed / "annotations.json").read_text())
    others = [entry for entry in content["database"].values() if entry["subset"] == "validation"]
    for entry in others:
        entry["annotations"] = entry["annotations"][:1]
    changed, copy = tmp_path / "annotations.json", Path(shutil.copytree(run, tmp_path / "run"))
    changed.write_text(json.dumps(content))
    other = _judged(copy, untrimmed, changed)
    assert other.rows[1] != judged.rows[7] and other.rows[1].keys() == judged.rows[7].keys()  # uniform segments
    again = RunFolder.open(copy).boundary_head("rgb")
    assert head is not None and again is not None
    assert again[1].contract == head[1].contract
    for entry in others:
        entry["annotations"] = []
    changed.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="subset 'validation'"):
        _judged(run, untrimmed, changed)


def test_a_packed_run_is_judged_and_left_as_it_is(
    judged: TaskResult, run: Path, untrimmed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packed = Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("boundary_head.*")))
    (packed / "SHA256SUMS").touch()
    files = sorted(packed.rglob("*"))
    request = TaskRequest(RunFolder.open(packed), untrimmed, None, has_random=False, progress_bar=silent_bar)
    assert evaluate_task("localization", request).rows == judged.rows[6:]
    assert sorted(packed.rglob("*")) == files
    assert "is packed, so it keeps no boundary heads" in caplog.text


def test_the_card_tells_how_well_segments_are_found_but_not_named(repository: Path) -> None:
    (card,) = (repository / "cocon_rgb_boundaries").rglob("README.md")
    text = card.read_text(encoding="utf-8")
    assert "AR@10 " in text and "AUC " in text and "mAP" not in text


def test_the_client_sees_the_blocks_and_boundaries_that_the_head_was_trained_on(
    run: Path, repository: Path, untrimmed: Path
) -> None:
    video = read_activitynet(untrimmed)[0]
    encoder, contract = RunFolder.open(run).encoder("rgb")
    dataset = DatasetFolder.open(untrimmed)
    entries = [entry for entry in dataset.videos if entry.video_id == video.video_id]
    frames = VideoFrames(entries, untrimmed, {"rgb": ViewRequest(contract.geometry)}, cache_gib=0)
    sequences = block_sequences({"rgb": (encoder, contract)}, frames, on_progress=lambda *_: None)
    expected: BlockSequence = sequences["rgb"][video.video_id]
    url = f"local:{repository}"
    with VideoEmbedder(url) as embedder:
        embedder.hop_frames = dense_hop(contract.clip, 1)
        blocks = ordered_blocks(embedder.embed(video.path), contract.clip)
    begins, vectors = blocks.at_hop(1)
    np.testing.assert_allclose(begins + 0.05, expected.times_seconds, atol=0.02)
    cosines = (vectors * expected.blocks).sum(axis=1)
    assert cosines[3:-4].min() > 0.99999  # near the ends, some lie between two that a clip has
    assert cosines.min() > 0.99
    kept = RunFolder.open(run).boundary_head("rgb")
    assert kept is not None
    model = connect(url).open(BOUNDARY_MODEL, "rgb")
    found = model.probabilities(expected.blocks[None])[0]
    np.testing.assert_allclose(found, boundary_probabilities(kept[0], expected), atol=1e-5)


def test_client_locate_prints_the_actions_of_a_video(
    repository: Path, untrimmed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    video = read_activitynet(untrimmed)[-1]

    def locate(*more: str) -> str:
        command = ["client", "locate", str(video.path), "--url", f"local:{repository}", *more]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    found = json.loads(locate("--json", "--top", "3"))
    assert found["model"] == "cocon_rgb" and 1 <= len(found["actions"]) <= 3
    for action in found["actions"]:
        assert 0 <= action["start_seconds"] < action["end_seconds"] <= video.duration_seconds
        assert action["label"] is None and 0 < action["score"] <= 1
    scores = [action["score"] for action in found["actions"]]
    assert scores == sorted(scores, reverse=True)
    assert f"{found['actions'][0]['start_seconds']:.3f}" in locate()
    assert json.loads(locate("--json", "--min-score", "1"))["actions"] == []
