"""Judging a run: every view and their fusion, beside the untrained networks, and `cocon evaluate`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.embedding.cli import main
from cocon.training.config import Config
from cocon.training.evaluation.features import VideoFeatures
from cocon.training.evaluation.judging import Merit, Videos, judge, judge_random, judge_run
from cocon.video.errors import UsageError

MakeConfig = Callable[..., Config]
TrainTiny = Callable[..., bool]
Outcome = tuple[int, str, str]
FIGURES = {"probe_top1", "R@1", "R@5", "R@10", "R@20"}


@pytest.fixture
def cocon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`cocon(*arguments)`: exit code, stdout and stderr."""

    def of(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["cocon", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
        assert isinstance(ending.value.code, int)
        return ending.value.code, *capsys.readouterr()

    return of


@pytest.fixture(scope="module")
def videos(tiny_config: MakeConfig, progress_bar: Callable[[str], object]) -> Videos:
    return Videos(tiny_config(), progress_bar=progress_bar)


def _features(vectors: dict[str, NDArray[np.float32]], labels: list[str]) -> VideoFeatures:
    return VideoFeatures(vectors, np.array(labels), np.array([f"group {index}" for index in range(len(labels))]))


def test_a_run_is_judged_by_every_view_and_their_fusion(trained: Path, videos: Videos) -> None:
    merits = judge_run(trained, videos)
    assert [(merit.method, merit.view) for merit in merits] == [
        ("cocon", "rgb"),
        ("cocon", "pose"),
        ("cocon", "ensemble"),
    ]
    for merit in merits:
        figures = {name: value for name, value in merit.to_dict().items() if name not in ("method", "view")}
        assert figures.keys() == FIGURES
        assert all(0 <= value <= 100 for value in figures.values())
        assert merit.recall[1] <= merit.recall[5] <= merit.recall[10] == 100  # six videos, one of each class


def test_the_untrained_networks_are_judged_alike_and_always_the_same(videos: Videos, trained: Path) -> None:
    merits = judge_random(videos)
    assert [(merit.method, merit.view) for merit in merits] == [
        ("random", "rgb"),
        ("random", "pose"),
        ("random", "ensemble"),
    ]
    assert judge_random(videos) == merits
    assert judge_run(trained, videos) == judge_run(trained, videos)


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

    one, other, fused = judge({"train": noisy(), "test": noisy()}, "cocon")
    assert one.probe_top1 < 80
    assert other.probe_top1 < 80
    assert fused.probe_top1 > 90
    assert fused.recall[1] == 100


def test_one_view_has_no_fusion() -> None:
    vectors = np.eye(4, dtype=np.float32)
    features = _features({"rgb": vectors}, list("abcd"))
    assert judge({"train": features, "test": features}, "cpc") == [
        Merit("cpc", "rgb", 100.0, {1: 100.0, 5: 100.0, 10: 100.0, 20: 100.0})
    ]


@pytest.mark.parametrize(
    "override",
    ["view.rgb.crop_px=20", "clip.num_blocks=4", "clip.step_seconds=0.1", "flow.interval_seconds=0.1", "views=['rgb']"],
)
def test_a_run_that_sees_other_clips_is_refused(
    override: str, tiny_config: MakeConfig, train_tiny: TrainTiny, progress_bar: Callable[[str], object], tmp_path: Path
) -> None:
    views = ["views=['rgb', 'flow']", "classifier.head=none", "training.epochs=1"]
    train_tiny(tiny_config(*views), tmp_path / "run")
    videos = Videos(tiny_config(*views, override), progress_bar=progress_bar)
    with pytest.raises(UsageError, match="has other views, clips or geometry than the run it is compared with"):
        judge_run(tmp_path / "run", videos)


def test_both_splits_need_labels(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    manifest = figures_copy / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test", ",train"))
    with pytest.raises(UsageError, match="has no labelled videos in split 'test'"):
        Videos(tiny_config(f"data.folder={figures_copy}"), progress_bar=progress_bar)


def test_a_probe_needs_two_classes(
    figures_copy: Path, tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    manifest = figures_copy / "manifest.csv"
    lines = [line.split(",") for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(",".join([*line[:2], line[2] and "bow", *line[3:]]) for line in lines[1:]))
    manifest.write_text(",".join(lines[0]) + "\n" + manifest.read_text())
    with pytest.raises(UsageError, match="has only the class 'bow' in split 'train'"):
        Videos(tiny_config(f"data.folder={figures_copy}"), progress_bar=progress_bar)


def test_evaluate_prints_json_rows_of_run_and_random(cocon: Callable[..., Outcome], trained: Path) -> None:
    code, output, errors = cocon("evaluate", trained, "--json")
    assert (code, errors) == (0, "")
    rows = json.loads(output)
    assert [(row["method"], row["view"]) for row in rows] == [
        (method, view) for method in ("random", "cocon") for view in ("rgb", "pose", "ensemble")
    ]
    for row in rows:
        assert row.keys() == {"method", "view"} | FIGURES
        assert all(0 <= row[name] <= 100 for name in FIGURES)


def test_evaluate_shows_a_table_with_baselines(
    cocon: Callable[..., Outcome], trained: Path, tiny_config: MakeConfig, train_tiny: TrainTiny, tmp_path: Path
) -> None:
    train_tiny(tiny_config("loss.losses=cpc", "classifier.head=none", "training.epochs=1"), tmp_path / "cpc")
    code, output, _ = cocon("evaluate", trained, "--baseline", tmp_path / "cpc", "--no-random")
    assert code == 0
    rows = [line.split()[1:4:2] for line in output.splitlines() if line.startswith("│")]
    assert rows == [[method, view] for method in ("cpc", "cocon") for view in ("rgb", "pose", "ensemble")]


def test_evaluate_judges_on_another_dataset(cocon: Callable[..., Outcome], trained: Path, figures_copy: Path) -> None:
    for path in figures_copy.glob("videos/*"):
        path.write_bytes(b"no video")
    code, output, errors = cocon("evaluate", trained, "--data", figures_copy)
    assert (code, output) == (3, "")
    assert errors.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("what", ["nothing", "no run"])
def test_evaluating_what_is_no_run_is_one_line(what: str, cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    code, output, errors = cocon("evaluate", tmp_path / "none" if what == "nothing" else tmp_path)
    assert (code, output) == (2, "")
    assert errors.count("\n") == 1
    assert "is no training run" in errors
