"""The table of all methods on a tiny set: rows, claims, costs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.training.reproduce.cells import method_cells
from cocon.training.reproduce.methods import check_method_claims
from cocon.training.reproduce.rows import Row

Outcome = tuple[int, str, str]
ROWS = {
    *("random-cocon", "random-vicc", "random-frames", "cpc", "cocon", "vicc", "vclr", "cycle"),
    *("vicc-alone", "vclr-without-segment"),
}


def _row(name: str, view: str, metric: str, *values: float) -> Row:
    mean = sum(values) / len(values)
    return Row("m", name, name, "trunk", ("rgb", "flow"), view, metric, mean, 1.0, len(values), 0.0, values)


def _rows(**better: float) -> list[Row]:
    return [
        _row(name, view, metric, *(50 + better.get(name.replace("-", "_"), 0) + noise for noise in (-1, 0, 1)))
        for name in ROWS
        for view in ("rgb", "flow", "ensemble")
        for metric in ("probe_top1", "R@1")
    ]


def test_every_row_has_every_seed_and_trains_its_method() -> None:
    cells = method_cells(("rgb", "flow"), seeds=2, epochs_alone=7)
    assert {cell.row for cell in cells} == ROWS
    assert len({cell.name for cell in cells}) == len(cells) == 2 * len(ROWS)
    alone = next(cell for cell in cells if cell.row == "vicc-alone")
    assert (alone.method, alone.losses) == ("vicc", "vicc")
    assert alone.overrides == {"vicc.cycles": "0", "training.epochs": "7"}


def test_claims_are_judged_against_the_untrained_network_of_the_same_trunk() -> None:
    claims = {claim.statement: claim for claim in check_method_claims(_rows(vclr=5, random_vicc=9), ("rgb", "flow"))}
    verdicts = {statement: claim.comparisons[0].verdict for statement, claim in claims.items()}
    assert verdicts["vclr > its untrained network, in probe or R@1"] == "holds"
    assert verdicts["vicc > its untrained network, in probe or R@1"] == "does not hold"
    assert verdicts["cycle > its untrained network, in probe or R@1"] == "does not hold"
    assert claims["VCLR with the segment loss > without, mean over views"].holds
    assert not claims["ViCC with crossed streams > each alone, in rgb"].holds


@pytest.mark.slow  # the cells and rows of one are in test_ablation.py, every method goes its way in test_runs.py
@pytest.mark.timeout(1800)
def test_the_command_writes_page_and_rows(
    cocon: Callable[..., Outcome], tiny_settings: list[str], figures: Path, tmp_path: Path
) -> None:
    tiny = [*tiny_settings, "training.epochs=1", "vicc.queue_size=4", "vicc.num_prototypes=4", "vclr.queue_size=4"]
    tiny += ["cycle.queue_size=4", "cycle.cycle_queue_size=5", "cycle.num_neighbours=2"]
    # What the preset says of frames and blocks of a method must stay.
    settings = [part for setting in tiny if not setting.startswith("clip.") for part in ("--set", setting)]
    speeds = tmp_path / "encoders.json"
    speeds.write_text(json.dumps({"rows": [{"case": "resnet2d resnet10, width 4, 1×24 px", "value": 1234.5}]}))
    folders = ["--output", tmp_path, "--runs", tmp_path / "runs", "--speeds", speeds]
    code, out, errors = cocon(
        *("reproduce", "methods", "--data", figures, "--name", "tiny", "--seeds", "1", "--jobs", "2"),
        *folders,
        *settings,
    )
    assert code == 0, errors
    rows = json.loads((tmp_path / "methods-tiny.json").read_text())
    assert {row["row"] for row in rows} == ROWS
    assert {row["method"] for row in rows} == {"cocon", "vicc", "vclr", "cycle"}
    assert {row["view"] for row in rows} >= {"rgb", "flow", "ensemble"}
    assert {"probe_top1", "R@1", "R@5", "R@10"} <= {row["metric"] for row in rows}
    assert "| vclr | resnet2d resnet10, width 4, 1×24 px |" in out
    assert "| 1234 |" in out or "| 1235 |" in out
    assert "ViCC with crossed streams > each alone, in rgb" in out


def test_one_view_is_refused_in_one_line(cocon: Callable[..., Outcome], figures: Path) -> None:
    code, _, errors = cocon("reproduce", "methods", "--data", figures, "--set", "views=['rgb']")
    assert code == 2
    assert "ViCC crosses two or more" in errors
    assert errors.count("\n") == 1
