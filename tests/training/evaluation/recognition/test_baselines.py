"""Histograms written out on pictures of which the answer is known, and as rows beside a run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.baselines import color_histogram, evaluate_baseline, flow_histogram
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.evaluation.recognition.result import DEFAULT_OPTIONS

MakeConfig = Callable[..., Config]
Outcome = tuple[int, str, str]


@pytest.mark.parametrize(
    ("moved", "direction"),
    [((6, 0), 0), ((4, 4), 1), ((0, 6), 2), ((-4, 4), 3), ((-6, 0), 4), ((-4, -4), 5), ((0, -6), 6), ((4, -4), 7)],
)
def test_motion_counts_where_it_is_in_the_direction_that_it_has(moved: tuple[int, int], direction: int) -> None:
    flow = np.full((40, 20, 36, 2), 128, np.uint8)
    flow[:, 5:10, 27:] = np.array(moved) + 128  # second row of the grid, last column
    found = flow_histogram(flow).reshape(4, 4, 8)
    assert found.shape == (4, 4, 8)
    assert found[1, 3, direction] == pytest.approx(1)
    assert found.sum() == pytest.approx(1)


def test_motion_weighs_as_far_as_it_goes() -> None:
    flow = np.full((1, 8, 8, 2), 128, np.uint8)
    flow[0, 0, 0], flow[0, 7, 7] = (128 + 9, 128), (128, 128 - 3)
    found = flow_histogram(flow).reshape(4, 4, 8) ** 2
    assert (found[0, 0, 0], found[3, 3, 6]) == (pytest.approx(0.75), pytest.approx(0.25))


def test_what_does_not_move_is_like_everything() -> None:
    still = flow_histogram(np.full((3, 8, 8, 2), 128, np.uint8))
    assert np.linalg.norm(still) == pytest.approx(1)
    assert np.ptp(still) == 0


def test_colours_count_wherever_they_are() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    expected = np.zeros(64)
    for red, green, blue in rgb.reshape(-1, 3).astype(int).tolist():
        expected[red // 64 * 16 + green // 64 * 4 + blue // 64] += 1 / 60
    assert color_histogram(rgb) ** 2 == pytest.approx(expected, abs=1e-6)
    assert color_histogram(rgb[:, ::-1, ::-1]) == pytest.approx(color_histogram(rgb))


def test_a_long_video_is_counted_part_by_part_as_a_whole() -> None:
    flow = np.random.default_rng(0).integers(0, 256, (70, 8, 9, 2), dtype=np.uint8)
    parts = [flow_histogram(flow[start : start + 7]) for start in range(0, 70, 7)]
    moved = [
        np.hypot(*(flow[start : start + 7].astype(float) - 128).reshape(-1, 2).T).sum() for start in range(0, 70, 7)
    ]
    whole = sum(part.astype(float) ** 2 * length for part, length in zip(parts, moved, strict=True)) / sum(moved)
    assert flow_histogram(flow) ** 2 == pytest.approx(whole, abs=1e-6)


@pytest.mark.training
def test_a_baseline_has_the_figures_of_one_view_and_needs_no_encoder_of_it(
    tiny_config: MakeConfig, progress_bar: Callable[[str], object]
) -> None:
    with_flow = EvaluationVideos(tiny_config("views=['rgb', 'flow']"), progress_bar=progress_bar)
    result = evaluate_baseline("flow-histogram", with_flow, DEFAULT_OPTIONS)
    assert [(row.method, row.view) for row in result.metrics] == [("flow-histogram", "flow")]
    assert {"probe_top1", "R@1"} <= result.metrics[0].figures.keys()
    assert "search_R@1" not in result.metrics[0].figures
    without = EvaluationVideos(tiny_config("views=['rgb']"), progress_bar=progress_bar)
    assert evaluate_baseline("flow-histogram", without, DEFAULT_OPTIONS).metrics == result.metrics
    assert without.failures == {}


@pytest.mark.training
def test_baselines_stand_in_the_table_and_the_run_is_compared_with_them(
    cocon: Callable[..., Outcome], trained: Path
) -> None:
    options = ["--baseline", "flow-histogram", "--baseline", "color-histogram", "--no-random"]
    code, output, _ = cocon("evaluate", trained, *options)
    assert code == 0
    rows = [line.split()[:2] for line in output.splitlines()]
    for expected in (["flow-histogram", "flow"], ["color-histogram", "rgb"], ["cocon", "rgb"]):
        assert expected in rows
    assert ["flow-histogram", "ensemble"] in rows  # of the table of differences
    code, output, _ = cocon("evaluate", trained, *options, "--json")
    told = {(row["method"], row["view"]): row for row in json.loads(output)}
    assert told.keys() == {("flow-histogram", "flow"), ("color-histogram", "rgb")} | {
        ("cocon", view) for view in ("rgb", "pose", "ensemble")
    }
    gain = told["cocon", "pose"]["differences"]["flow-histogram"]["R@1"]
    assert gain["gain"] == pytest.approx(told["cocon", "pose"]["R@1"] - told["flow-histogram", "flow"]["R@1"])
