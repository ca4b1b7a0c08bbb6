"""What a report is made of: maps, confusions, the table of metrics, curves, strips of neighbours, thumbnails."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.report.content import confused_pairs, projections, table_rows
from cocon.training.evaluation.report.curves import curve_panels
from cocon.training.evaluation.report.plots import NUM_DISTINCT, class_mark, confusion_plot
from cocon.training.evaluation.report.strips import retrieval_strips, thumbnails
from cocon.video.store.dataset import VideoEntry


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _features(embeddings: dict[str, NDArray[np.float32]], labels: list[str]) -> VideoFeatures:
    entries = tuple(VideoEntry(f"video {index}", Path(f"{index}.mp4"), label) for index, label in enumerate(labels))
    return VideoFeatures(embeddings, np.array(labels), np.array(labels), entries)


def _clusters(labels: list[str], *, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """A direction of its own for every class."""
    axes = np.eye(8)[np.unique(labels, return_inverse=True)[1]]
    return _unit(axes + noise * np.random.default_rng(seed).normal(size=axes.shape))


def test_there_is_a_map_per_number_of_views_and_fusing_a_good_view_parts_the_classes() -> None:
    labels = list("abc" * 8)
    embeddings = {"rgb": _clusters(labels, noise=3.0), "flow": _clusters(labels, noise=0.1, seed=1)}
    one, both = projections(_features(embeddings, labels))
    assert (one.views, both.views) == (("rgb",), ("rgb", "flow"))
    assert one.silhouette is not None
    assert both.silhouette is not None
    assert both.silhouette > one.silhouette
    assert both.points.shape == (24, 2)
    again = projections(_features(embeddings, labels))[1]
    np.testing.assert_array_equal(both.points, again.points)


def test_the_silhouette_is_that_of_cosine_distances() -> None:
    """Rousseeuw 1987: (b - a) / max(a, b); a: mean distance within the class, b: to the nearest other class."""
    labels = np.array(list("aabbbc"))
    vectors = _clusters(labels.tolist(), noise=0.5)
    distances = 1 - vectors @ vectors.T
    values = []
    for index, label in enumerate(labels):
        own = (labels == label) & (np.arange(len(labels)) != index)
        if not own.any():
            values.append(0.0)
            continue
        a = distances[index, own].mean()
        b = min(distances[index, labels == other].mean() for other in set(labels) - {label})
        values.append((b - a) / max(a, b))
    (found,) = projections(_features({"rgb": vectors}, labels.tolist()))
    assert found.silhouette == pytest.approx(np.mean(values), abs=1e-5)


@pytest.mark.parametrize("num_videos", [1, 2, 3, 5])
@pytest.mark.parametrize("is_collapsed", [False, True])
def test_few_or_equal_videos_have_a_map_too(num_videos: int, is_collapsed: bool) -> None:
    labels = list("ababa")[:num_videos]
    vectors = _clusters(["a"] * num_videos if is_collapsed else labels, noise=0.0 if is_collapsed else 0.5)
    (found,) = projections(_features({"rgb": vectors}, labels))
    assert found.points.shape == (num_videos, 2)
    assert np.isfinite(found.points).all()


def test_a_map_of_very_many_videos_shows_some_of_every_part() -> None:
    labels = ["a"] * 2500 + ["b"] * 2500
    vectors = np.zeros((5000, 2), np.float32)
    vectors[:, 0] = 1
    thinned = _features({"rgb": vectors}, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cocon.training.evaluation.report.content._MAX_MAPPED", 10)
        (found,) = projections(thinned)
    assert found.labels.tolist() == ["a"] * 5 + ["b"] * 5


def test_confused_pairs_are_sorted_and_leave_out_what_is_right() -> None:
    counts = np.array([[50, 2, 1], [0, 8, 2], [0, 0, 9]])
    pairs = confused_pairs(counts, ["a", "b", "c"])
    assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [("b", "c", 2), ("a", "b", 2), ("a", "c", 1)]
    assert pairs[0].share == pytest.approx(0.2)
    assert confused_pairs(counts, ["a", "b", "c"], most=1) == pairs[:1]


def test_the_best_of_a_column_is_all_that_look_equal_and_weights_are_no_figures() -> None:
    first = {"method": "cpc", "view": "rgb", "probe_top1": 70.04, "R@1": 50.0, "gallery_size": 9}
    second = first | {"view": "ensemble", "probe_top1": 69.99, "R@1": float("nan"), "weight_probe_rgb": 0.75}
    groups = table_rows([first, second, first | {"R@1": 49.0}])
    assert [[row.view for row in rows] for rows in groups] == [["rgb", "ensemble"], ["rgb"]]
    (one, joint), (again,) = groups
    assert (one.best, joint.best, again.best) == ({"probe_top1", "R@1"}, {"probe_top1"}, {"probe_top1"})
    assert joint.figures == {"probe_top1": 70.0, "R@1": None}
    assert joint.weights == {"probe rgb": 0.75}


def test_curves_are_sorted_into_panels_and_half_a_line_is_passed_over(tmp_path: Path) -> None:
    lines = [
        {"phase": "pretrain", "step": 3, "epoch": 1, "loss": 2.0, "cpc/rgb": 1.5, "cpc/flow": 1.0, "sim/rgb-flow": 0.5},
        {"phase": "pretrain", "step": 6, "epoch": 2, "loss": 1.0, "cpc/rgb": 1.0, "cpc/flow": 0.5, "sim/rgb-flow": 0.4},
        {"phase": "probe", "step": 6, "epoch": 2, "probe_top1/rgb": 40.0},
        {"phase": "classify", "step": 9, "epoch": 1, "accuracy/rgb": 0.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text + '{"phase": "pretrain", "st')
    panels = {panel.title: dict(panel.lines) for panel in curve_panels(tmp_path)}
    assert list(panels) == [
        "Total loss",
        "L_cpc per view",
        "L_sim per pair of views",
        "Classifier: accuracy",
        "Probe: probe top1",
    ]
    assert panels["Total loss"] == {"": [(1, 2.0), (2, 1.0)]}
    assert panels["L_cpc per view"] == {"rgb": [(1, 1.5), (2, 1.0)], "flow": [(1, 1.0), (2, 0.5)]}


def test_a_run_without_a_journal_has_no_curves(tmp_path: Path) -> None:
    assert curve_panels(tmp_path) == []


def test_strips_show_hits_and_misses_of_different_classes_by_rank() -> None:
    train = _features({}, list("aabb"))
    test = _features({}, list("abb"))
    gallery = _unit(np.array([[1, 0], [1, 0.2], [0, 1], [0.2, 1]]))
    queries = _unit(np.array([[1, 0.1], [0.1, 1], [1, 0]]))  # a hit, a hit, a miss
    hit, miss = retrieval_strips(train, test, gallery, queries, num_neighbours=3)
    assert [strip.query.video_id for strip in (hit, miss)] == ["video 0", "video 2"]
    assert [found.is_same_class for found in hit.neighbours] == [True, True, False]
    assert [found.is_same_class for found in miss.neighbours] == [False, False, True]
    assert (hit.num_right, miss.num_right) == (2, 1)
    for strip, query in ((hit, 0), (miss, 2)):
        scores = sorted((queries[query] @ gallery.T).tolist(), reverse=True)[:3]
        assert [found.score for found in strip.neighbours] == pytest.approx(scores, abs=1e-6)


def test_there_are_no_more_strips_than_asked_for_and_one_of_a_class() -> None:
    labels = [f"class {index // 2:02d}" for index in range(40)]
    features = _features({}, labels)
    vectors = _unit(np.random.default_rng(0).normal(size=(40, 8)))
    strips = retrieval_strips(features, features, vectors, vectors)
    chosen = [strip.query.label for strip in strips]
    assert len(chosen) == len(set(chosen)) == 8
    assert {chosen[0], chosen[-1]} == {"class 00", "class 19"}


def test_a_thumbnail_is_the_middle_of_the_middle_frame_and_a_broken_video_has_none(
    figures: Path, tmp_path: Path
) -> None:
    video = min((figures / "videos").iterdir())
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    seen: list[tuple[int, int | None]] = []
    made = thumbnails([video, broken, video, tmp_path / "missing.mp4"], on_progress=lambda *done: seen.append(done))
    assert list(made) == [video]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    picture = cv2.imdecode(np.frombuffer(made[video], np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (120, 120, 3)
    capture = cv2.VideoCapture(str(video))
    frames = []
    while (read := capture.read())[0]:
        side = min(read[1].shape[:2])
        top, left = ((length - side) // 2 for length in read[1].shape[:2])
        frames.append(cv2.resize(read[1][top : top + side, left : left + side], (120, 120)))
    differences = [np.abs(frame.astype(float) - picture).mean() for frame in frames]
    assert abs(int(np.argmin(differences)) - len(frames) // 2) <= 1


def test_marks_of_classes_differ_until_they_repeat() -> None:
    marks = [class_mark(index) for index in range(NUM_DISTINCT)]
    assert len(set(marks)) == NUM_DISTINCT >= 30
    assert class_mark(NUM_DISTINCT) == marks[0]


def test_a_class_whose_name_is_no_text_is_drawn_with_its_bytes() -> None:
    plot = confusion_plot(np.eye(2, dtype=np.int64), ["jump", "\udcff"])
    svg = base64.b64decode(plot.light.partition(",")[2]).decode()
    assert ">jump<" in svg
    assert r">\xff<" in svg
