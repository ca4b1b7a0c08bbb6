"""Curves of what a run measured while it was trained."""

import json
from pathlib import Path

from cocon.training.evaluation.report.curves import curve_panels


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
