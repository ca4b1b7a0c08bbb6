"""Judging a run: every view and their fusion, beside the untrained networks, and `cocon evaluate`."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.data.augment import centred_clip
from cocon.training.evaluation.recognition.blocks import ClipProtocol
from cocon.training.evaluation.recognition.compared_runs import method_names
from cocon.training.evaluation.recognition.evaluate import (
    EvaluationVideos,
    evaluate_random,
    evaluate_run,
    run_features,
)
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import ViewMetrics, is_figure
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.evaluation.report.tables import class_table, metric_table, write_confusion
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import ViewFiles
from cocon.video.clips import grid_indices
from tests.training.relabelling import relabel

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
Outcome = tuple[int, str, str]
ORDERED = {"ordered_probe_top1", "ordered_R@1", "ordered_R@5"}
OF_MOMENTS = {"best_moment_R@1", "best_moment_R@5"}
FIGURES = {"probe_top1", "knn_top1", "R@1", "R@5", "R@10", "R@20", "R@50", "search_R@1"} | ORDERED | OF_MOMENTS
OF_CLASSIFIER = {"classifier_top1", "classifier_top5"}
# All training videos are of one body, so there are no groups to learn weights from.
ROWS = ("rgb", "pose", "ensemble")


@pytest.fixture(scope="module")
def videos(tiny_config: MakeConfig, progress_bar: Callable[[str], object]) -> EvaluationVideos:
    return EvaluationVideos(tiny_config(), progress_bar=progress_bar)


def _features(vectors: dict[str, NDArray[np.float32]], labels: list[str]) -> VideoFeatures:
    return VideoFeatures(vectors, np.array(labels), np.array([f"group {index}" for index in range(len(labels))]))


def test_a_run_is_judged_by_every_view_and_their_fusion(trained: Path, videos: EvaluationVideos) -> None:
    rows = evaluate_run(RunFolder.open(trained), videos).metrics
    assert [(row.method, row.view) for row in rows] == [("cocon", view) for view in ROWS]
    for row in rows:
        assert row.figures.keys() == FIGURES | OF_CLASSIFIER
        assert row.gallery_size == 6
        assert row.recall[1] <= row.recall[5] <= row.recall[10] == 100  # six videos, one of each class


def test_figures_of_a_view_are_shares_of_its_test_videos(trained: Path, videos: EvaluationVideos) -> None:
    """Counted again in the plainest way, one view and one test video after the other."""
    features = run_features(RunFolder.open(trained), videos)
    train, test = features["train"], features["test"]
    for row in evaluate_run(RunFolder.open(trained), videos).metrics[:2]:
        gallery, queries = train.embeddings[row.view], test.embeddings[row.view]
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(gallery, train.labels)
        hits: dict[str, list[bool]] = {name: [] for name in ("probe", "classifier", "knn", "R@1", "R@5")}
        for index, label in enumerate(test.labels):
            cosines = gallery @ queries[index]
            nearest = train.labels[np.argsort(-cosines)]
            votes = {name: np.exp(cosines[train.labels == name] / 0.07).sum() for name in train.labels}
            hits["probe"].append(probe.predict(queries[index : index + 1])[0] == label)
            hits["classifier"].append(test.classes[test.probabilities[row.view][index].argmax()] == label)
            hits["knn"].append(max(votes, key=lambda name: votes[name]) == label)
            hits["R@1"].append(nearest[0] == label)
            hits["R@5"].append(label in nearest[:5])
        found = (row.probe_top1, row.classifier_top1, row.knn_top1, row.recall[1], row.recall[5])
        assert found == pytest.approx([100 * np.mean(each) for each in hits.values()])


def test_best_moments_are_counted_from_the_clips_that_the_mean_is_of(trained: Path, videos: EvaluationVideos) -> None:
    features = run_features(RunFolder.open(trained), videos)
    for view in ("rgb", "pose"):
        clips = {split: np.split(of.clips[view], np.cumsum(of.num_clips)[:-1]) for split, of in features.items()}
        for split, of in features.items():
            assert min(map(len, clips[split])) >= 2
            means = np.stack([own.mean(axis=0) for own in clips[split]])
            unit = means / np.linalg.norm(means, axis=1, keepdims=True)
            assert unit == pytest.approx(of.embeddings[view], abs=1e-5)
        hits = []
        for query, label in zip(clips["test"], features["test"].labels, strict=True):
            alike = [float((own @ query.T).max()) for own in clips["train"]]
            hits.append(features["train"].labels[int(np.argmax(alike))] == label)
        row = next(row for row in evaluate_features(features, "cocon").metrics if row.view == view)
        assert row.to_dict()["best_moment_R@1"] == pytest.approx(100 * np.mean(hits))


def test_the_best_moment_of_several_views_is_the_clip_that_is_most_alike_in_all_of_them() -> None:
    """One clip of each video shows its class, half of it in either view; the others show something of their own."""
    labels = list("abcd" * 3)
    kinds = np.array(["abcd".index(label) for label in labels])

    def videos(seed: int) -> VideoFeatures:
        rng = np.random.default_rng(seed)
        clips, means = {}, {}
        for view, half in {"rgb": kinds // 2, "pose": kinds % 2}.items():
            own = rng.normal(size=(12, 4, 32))
            own[:, 2] = 20 * np.eye(32)[half] + rng.normal(size=(12, 32))
            own = (own / np.linalg.norm(own, axis=2, keepdims=True)).astype(np.float32)
            mean = own.mean(axis=1)
            clips[view], means[view] = own.reshape(48, 32), mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return replace(_features(means, labels), clips=clips, num_clips=np.full(12, 4))

    rgb, pose, *together = evaluate_features({"train": videos(0), "test": videos(1)}, "cocon").metrics
    assert max(rgb.best_moment_recall[1], pose.best_moment_recall[1]) < 80
    for row in together:
        assert row.best_moment_recall == {1: 100, 5: 100}


def test_the_untrained_networks_are_judged_alike_and_always_the_same(videos: EvaluationVideos, trained: Path) -> None:
    rows = evaluate_random(videos).metrics
    assert [(row.method, row.view) for row in rows] == [("random", view) for view in ROWS]
    assert evaluate_random(videos).metrics == rows
    assert (
        evaluate_run(RunFolder.open(trained), videos).metrics == evaluate_run(RunFolder.open(trained), videos).metrics
    )


def test_fusion_joins_what_each_view_knows() -> None:
    """One view tells a and b from c and d, the other a and c from b and d; only together they name the class."""
    rng = np.random.default_rng(0)
    labels = list("abcd" * 8)
    first = np.array([[1, 0] if label in "ab" else [0, 1] for label in labels], np.float32)
    second = np.array([[1, 0] if label in "ac" else [0, 1] for label in labels], np.float32)

    def noisy() -> VideoFeatures:
        views = {"rgb": first, "pose": second}
        noise = {view: vectors + 0.1 * rng.normal(size=vectors.shape) for view, vectors in views.items()}
        unit = {v: (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for v, x in noise.items()}
        return _features(unit, labels)

    one, other, fused, learned = evaluate_features({"train": noisy(), "test": noisy()}, "cocon").metrics
    assert one.probe_top1 < 80
    assert other.probe_top1 < 80
    assert fused.probe_top1 > 90
    assert fused.recall[1] == fused.knn_top1 == 100
    assert learned.probe_top1 > 90
    assert learned.recall[1] == 100
    assert learned.weights.keys() == {f"{of}_{view}" for of in ("probe", "retrieval") for view in ("rgb", "pose")}
    assert min(learned.weights.values()) > 0.1


def test_one_view_has_no_fusion() -> None:
    vectors = np.eye(4, dtype=np.float32)
    features = _features({"rgb": vectors}, list("abcd"))
    (row,) = evaluate_features({"train": features, "test": features}, "cpc").metrics
    recall = dict.fromkeys((1, 5, 10, 20, 50), 100.0)
    assert replace(row, chance={}) == ViewMetrics(
        "cpc", "rgb", 100.0, recall, 100.0, gallery_size=4, num_questions=4, num_classes=4
    )
    assert row.chance == {"probe_top1": 25, "knn_top1": 25, "R@1": 25} | dict.fromkeys(
        ("R@5", "R@10", "R@20", "R@50"), 100
    )


@pytest.mark.parametrize(
    "override",
    ["view.rgb.crop_px=20", "clip.num_blocks=4", "clip.step_seconds=0.1", "views=['rgb']"],
)
def test_a_run_that_sees_other_clips_is_refused(
    override: str, tiny_config: MakeConfig, train_tiny: TrainTiny, progress_bar: Callable[[str], object], tmp_path: Path
) -> None:
    views = ["views=['rgb', 'flow']", "classifier.head=none", "training.epochs=1"]
    train_tiny(tiny_config(*views), tmp_path / "run")
    videos = EvaluationVideos(tiny_config(*views, override), progress_bar=progress_bar)
    with pytest.raises(UsageError, match="has other views, clips or geometry than the run it is compared with"):
        evaluate_run(RunFolder.open(tmp_path / "run"), videos)


def test_both_splits_need_labels(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    manifest = figures_copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test", ",train"))
    with pytest.raises(UsageError, match="has no labelled videos in split 'test'"):
        EvaluationVideos(tiny_config(f"data.folder={figures_copy}"), progress_bar=progress_bar)


def test_a_probe_needs_two_classes(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    manifest = figures_copy / "manifest.csv"
    lines = [line.split(",") for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(",".join([*line[:2], line[2] and "bow", *line[3:]]) for line in lines[1:]))
    manifest.write_text(",".join(lines[0]) + "\n" + manifest.read_text())
    with pytest.raises(UsageError, match="has only the class 'bow' in split 'train'"):
        EvaluationVideos(tiny_config(f"data.folder={figures_copy}"), progress_bar=progress_bar)


def test_evaluate_prints_json_rows_of_run_and_random(
    cocon: Callable[..., Outcome], trained: Path, videos: EvaluationVideos
) -> None:
    code, output, errors = cocon("evaluate", trained, "--json")
    assert (code, errors) == (0, "")
    rows = json.loads(output)
    for row in rows:
        counted = FIGURES | (OF_CLASSIFIER if row["method"] == "cocon" else set())
        assert {name for name in row if is_figure(name)} == counted
        beside = {f"{name}_{what}" for name in counted for what in ("se", "chance")}
        gains = row.pop("differences", {})
        assert row.keys() == counted | beside | {"method", "view", "gallery_size", "num_questions", "num_classes"}
        assert gains.keys() == ({"random"} if row["method"] == "cocon" else set())
    assert rows == [
        row.to_dict()
        for row in (*evaluate_random(videos).metrics, *evaluate_run(RunFolder.open(trained), videos).metrics)
    ]


def test_evaluate_shows_a_table_with_baselines(
    cocon: Callable[..., Outcome], trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("method=cpc", "classifier.head=none", "training.epochs=1"), tmp_path / "cpc")
    code, output, _ = cocon("evaluate", trained, "--baseline", tmp_path / "cpc", "--no-random")
    assert code == 0
    table, gains = output.split("cocon against the others")
    rows = [line.split()[:2] for line in table.splitlines() if line.startswith(("cpc", "cocon"))]
    assert rows == [[method, view] for method in ("cpc", "cocon") for view in ROWS]
    assert [line.split()[:2] for line in gains.splitlines() if line.startswith("cpc")] == [["cpc", v] for v in ROWS]
    assert "6 test videos of 6 classes, per cent ± standard error" in table
    assert "among 6 training videos, cosine, not centred" in table
    assert "kNN: all 6 training videos vote" in table
    titles = next(line for line in table.splitlines() if line.startswith("method"))
    assert "R@5" in titles and "R@10" not in titles  # which finds all there are
    chance = next(line for line in table.splitlines() if line.startswith("chance")).split()
    assert chance[1] == "16.7"


def test_evaluate_judges_by_what_the_options_say(cocon: Callable[..., Outcome], trained: Path, tmp_path: Path) -> None:
    options = ["--no-random", "--centred", "--few-shot", "--per-class", "--paper-weights", "--crops", "5"]
    code, output, _ = cocon("evaluate", trained, *options, "--confusion", tmp_path / "confusion.csv")
    assert code == 0
    assert "cosine, centred per set" in output
    assert "probe 1 per class" in output
    rows = [line.split()[:2] for line in output.splitlines() if line.startswith("cocon ")]
    assert rows == [["cocon", view] for view in (*ROWS, "ensemble_paper")]
    for by in ("linear probe", "classifier"):
        assert f"cocon, ensemble: each class by the {by}, per cent" in output
    with (tmp_path / "confusion.csv").open(newline="") as stream:
        matrix = list(csv.DictReader(stream))
    assert len(matrix) == 4 * 2 * 6  # a class each of the six test videos, by probe and by classifier
    for row in matrix:
        assert sum(int(row[name]) for name in row if name not in ("method", "view", "by", "class")) == 1
    code, output, _ = cocon("evaluate", trained, *options, "--json")
    rows = json.loads(output)
    paper = rows[-1]
    assert paper["weight_probe_rgb"] == paper["weight_retrieval_rgb"] == pytest.approx(2 / 3)
    assert all(len(row["per_class"]) == len(row["per_class_of_classifier"]) == 6 for row in rows)
    assert all("probe_1_per_class" in row for row in rows)


def test_evaluate_takes_so_many_clips_of_each_video(
    cocon: Callable[..., Outcome], trained: Path, tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    code, output, _ = cocon("evaluate", trained, "--no-random", "--clips", "2", "--json")
    assert code == 0
    videos = EvaluationVideos(tiny_config(), progress_bar=progress_bar, protocol=ClipProtocol(num_clips=2))
    assert json.loads(output) == [row.to_dict() for row in evaluate_run(RunFolder.open(trained), videos).metrics]
    code, output, errors = cocon("evaluate", trained, "--clips", "2", "--hop-blocks", "1")
    assert (code, output) == (2, "")
    assert errors == "error: a hop of 1 blocks and a number of clips (2) exclude each other; give one\n"


def test_evaluate_refuses_another_number_of_crops(cocon: Callable[..., Outcome], trained: Path) -> None:
    code, output, errors = cocon("evaluate", trained, "--crops", "3")
    assert (code, output) == (2, "")
    assert errors == "error: number of crops (3) must be one of 1, 5, 10\n"


def test_a_fine_tuned_classifier_is_judged_by_its_own_softmax(
    tiny_config: MakeConfig, train_tiny: TrainTiny, progress_bar: Callable[[str], object], tmp_path: Path
) -> None:
    config = tiny_config("classifier.mode=finetune", "classifier.head=gru", "classifier.epochs=1", "training.epochs=1")
    train_tiny(config, tmp_path / "run")
    videos = EvaluationVideos(config, progress_bar=progress_bar)
    features = run_features(RunFolder.open(tmp_path / "run"), videos)
    result = evaluate_features(features, "cocon")
    test = features["test"]
    assert test.classes == result.labels
    encoder, contract = RunFolder.open(tmp_path / "run").encoder("rgb")
    assert contract.encoder.classifier == "gru"
    decoded = videos.frames["test"][0].views["rgb"]
    grid = grid_indices(decoded.timestamps, contract.clip)
    starts = [*range(0, len(grid) - 5, 2), *([len(grid) - 6] if len(grid) % 2 else [])]
    clips = np.stack([centred_clip(decoded, grid[start : start + 6].reshape(3, 2), 24) for start in starts])
    with torch.no_grad():
        softmax = encoder(torch.from_numpy(clips)).logits.softmax(dim=1).mean(dim=0).numpy()
    assert test.probabilities["rgb"][0] == pytest.approx(softmax, abs=1e-5)
    together = (test.probabilities["rgb"] + test.probabilities["pose"]) / 2
    assert result.by_classifier is not None
    assert result.by_classifier.probabilities["ensemble"] == pytest.approx(together)
    for view, table in (*test.probabilities.items(), ("ensemble", together)):
        row = next(row for row in result.metrics if row.view == view)
        ranks = [
            (-row).argsort().tolist().index(result.labels.index(t)) for row, t in zip(table, test.labels, strict=True)
        ]
        assert row.classifier_top1 == pytest.approx(100 * np.mean(np.array(ranks) < 1))
        assert row.classifier_top5 == pytest.approx(100 * np.mean(np.array(ranks) < 5))


def test_evaluate_judges_on_another_dataset(cocon: Callable[..., Outcome], trained: Path, figures_copy: Path) -> None:
    for path in figures_copy.glob("videos/*"):
        path.write_bytes(b"no video")
    code, output, errors = cocon("evaluate", trained, "--data", figures_copy)
    assert (code, output) == (3, "")
    assert errors.splitlines()[-1].startswith("error: ")


def test_a_video_that_fails_is_named_once_and_the_code_is_3_after_everything_was_printed(
    cocon: Callable[..., Outcome], trained: Path, figures_copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (figures_copy / "videos" / "figure_00006.mp4").write_bytes(b"no video")
    code, output, errors = cocon("evaluate", trained, "--data", figures_copy, "--json")
    assert code == 3
    assert len(json.loads(output)) == 2 * len(ROWS)
    assert errors == "1 video was left out, see the warnings; the figures are of the others\n"
    assert caplog.text.count("figure_00006' is left out") == 1


def test_data_of_other_classes_is_judged_by_its_own_and_the_classifier_is_left_out_and_it_is_said(
    cocon: Callable[..., Outcome], trained: Path, figures_copy: Path, tmp_path: Path
) -> None:
    """One class of the data is one of the classifier's, as `jump` is of many."""
    relabel(figures_copy, lambda index, label: ("jump", "sit", "run")[index % 3])
    options = ["--data", figures_copy, "--report", tmp_path / "page", "--confusion", tmp_path / "confusion.csv"]
    code, output, errors = cocon("evaluate", trained, *options)
    assert code == 0
    reason = "the classifier of cocon is not judged: of its 6 classes it shares 1 of the 3 classes of the data (jump)"
    assert reason in output
    assert "classifier top-1" not in output
    chance = next(line for line in output.splitlines() if line.startswith("chance")).split()
    assert chance[1] == "33.3"
    page = (tmp_path / "page" / "index.html").read_text()
    assert "of 3 classes" in page
    assert "33.3" in page
    assert reason.removeprefix("the ") in page
    with (tmp_path / "confusion.csv").open(newline="") as stream:
        matrix = list(csv.DictReader(stream))
    assert {row["by"] for row in matrix} == {"probe"}
    assert set(matrix[0]) == {"method", "view", "by", "class", "jump", "run", "sit"}
    code, output, errors = cocon("evaluate", trained, "--data", figures_copy, "--json")
    rows = json.loads(output)
    assert all("classifier_top1" not in row and row["probe_top1_chance"] == pytest.approx(100 / 3) for row in rows)
    assert all(("classifier_not_judged" in row) == (row["method"] == "cocon") for row in rows)
    assert errors.startswith(reason)


def test_a_view_that_nobody_has_made_is_left_out_and_it_is_said(
    cocon: Callable[..., Outcome], trained: Path, figures_copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(figures_copy / "views")
    code, output, _ = cocon("evaluate", trained, "--data", figures_copy, "--json")
    assert code == 0
    assert {(row["method"], row["view"]) for row in json.loads(output)} == {("random", "rgb"), ("cocon", "rgb")}
    assert f"not judged: pose, stored for no video of '{figures_copy}'; make it: cocon views make" in caplog.text


def test_views_can_be_chosen_and_what_is_judged_of_one_is_the_same_beside_others(
    cocon: Callable[..., Outcome], trained: Path
) -> None:
    code, output, _ = cocon("evaluate", trained, "--view", "pose", "--json")
    assert code == 0
    chosen = json.loads(output)
    assert [(row["method"], row["view"]) for row in chosen] == [("random", "pose"), ("cocon", "pose")]
    _, output, _ = cocon("evaluate", trained, "--json", "--no-random")
    (whole,) = (row for row in json.loads(output) if row["view"] == "pose")
    assert {name: value for name, value in chosen[1].items() if name != "differences"} == whole
    code, output, errors = cocon("evaluate", trained, "--view", "flow")
    assert (code, output) == (2, "")
    assert errors == "error: the run has no encoder of view 'flow'; it has: rgb, pose\n"


def test_rows_are_called_by_the_contract_and_told_apart_by_the_run_where_they_are_alike(
    trained: Path, tmp_path: Path
) -> None:
    for name, methods in {"a": "cpc cpc", "b": "cpc cpc", "c": "random random", "d": "dpc random"}.items():
        shutil.copytree(trained, tmp_path / name)
        for view, method in zip(("rgb", "pose"), methods.split(), strict=True):
            path = tmp_path / name / "views" / view / "contract.json"
            path.write_text(replace(ViewFiles(path.parent).contract(), method=method).to_json())
    a, b, c, d = (RunFolder.open(tmp_path / name) for name in "abcd")
    assert method_names([a, b, c, d, RunFolder.open(trained)], has_random=False) == [
        f"cpc ({a})",
        f"cpc ({b})",
        "random",
        "dpc+random",
        "cocon",
    ]
    assert method_names([a, c], has_random=True) == ["cpc", f"random ({c})"]


def test_a_run_is_called_as_its_contract_says(trained: Path, videos: EvaluationVideos, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    for folder in (tmp_path / "run" / "views").iterdir():
        (folder / "contract.json").write_text(replace(ViewFiles(folder).contract(), method="random").to_json())
    assert {row.method for row in evaluate_run(RunFolder.open(tmp_path / "run"), videos).metrics} == {"random"}


@pytest.mark.parametrize(
    ("option", "place", "rule"),
    [
        ("--confusion", "folder", "is a folder; name a file"),
        ("--confusion", "file/confusion.csv", "cannot be written into"),
        ("--report", "file", "cannot be made"),
        ("--report", "file/report", "cannot be made"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_judged(
    option: str,
    place: str,
    rule: str,
    cocon: Callable[..., Outcome],
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cocon.training.evaluation.recognition.evaluate.EvaluationVideos.features", None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("here already")
    code, output, errors = cocon("evaluate", trained, option, tmp_path / place)
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {option} '{tmp_path / place}' {rule}")
    assert errors.count("\n") == 1


def test_a_library_that_is_missing_is_said_before_anything_is_judged(
    cocon: Callable[..., Outcome], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cocon.training.evaluation.recognition.evaluate.EvaluationVideos.features", None)
    monkeypatch.delitem(sys.modules, "cocon.training.evaluation.report.page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, output, errors = cocon("evaluate", trained, "--report", tmp_path / "report")
    assert (code, output) == (2, "")
    assert errors == "error: 'jinja2' is not installed; run: pip install 'cocon[client]'\n"


def test_classes_whose_names_are_no_text_are_written_with_their_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = _features({"rgb": np.eye(2, dtype=np.float32)}, ["jump", "\udcff"])
    result = evaluate_features({"train": videos, "test": videos}, "cocon (\udcfe)")
    write_confusion([result], tmp_path / "confusion.csv")
    rows = (tmp_path / "confusion.csv").read_text(encoding="utf-8").splitlines()
    head, *counts = [r"method,view,by,class,jump,\xff", r"cocon (\xfe),rgb,probe,jump,1,0"]
    assert rows == [head, *counts, r"cocon (\xfe),rgb,probe,\xff,0,1"]
    class_table(result)
    metric_table(result.metrics)
    printed = capsys.readouterr().out
    assert r"\xff" in printed
    assert r"cocon (\xfe)" in printed


@pytest.mark.parametrize("what", ["nothing", "no run"])
def test_evaluating_what_is_no_run_is_one_line(what: str, cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    code, output, errors = cocon("evaluate", tmp_path / "none" if what == "nothing" else tmp_path)
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert "is no training run" in errors
