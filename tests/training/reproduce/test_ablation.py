"""The whole ablation on a tiny set: page, rows, going on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.reproduce.ablation import AblationTable
from cocon.training.reproduce.cells import ablation_cells
from cocon.training.reproduce.rows import collect_rows
from cocon.training.reproduce.running import Plan, run_cells
from cocon.training.reproduce.table import reproduce_table
from cocon.training.run_folder.files import EVALUATION_FILE

Outcome = tuple[int, str, str]

TABLE = AblationTable(name="tiny", seeds=1, jobs=2, extras=False, finetune_epochs=0, notes=("a note of mine",))


@pytest.fixture(scope="session")
def plan(tiny_settings: list[str], figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    settings = (*tiny_settings, "views=['rgb','pose']", "training.epochs=1")
    return Plan("figures", settings, figures, tmp_path_factory.mktemp("ablation"), num_threads=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_has_every_row_and_a_second_call_trains_nothing(plan: Plan, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    page = reproduce_table(TABLE, plan, tmp_path, on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4, 4)
    rows = json.loads(page.with_suffix(".json").read_text())
    cells = {(row["row"], row["view"], row["metric"]): row for row in rows}
    for losses in ("random", "cpc", "cpc+sim", "cpc+sync", "cocon"):
        evaluated = {row["view"]: row for row in json.loads((plan.runs / f"{losses}-0" / EVALUATION_FILE).read_text())}
        for view in ("rgb", "pose", "ensemble"):
            row = cells[losses, view, "probe_top1"]
            assert row["seeds"] == 1 and row["views"] == ["rgb", "pose"]
            for name in ("probe_top1", "R@1"):
                assert cells[losses, view, name]["mean"] == pytest.approx(evaluated[view][name], abs=0.01)
    text = page.read_text()
    assert "a note of mine" in text and "| cpc+sync |" in text and "CoCon > CPC, in every view" in text
    before = {path: path.stat().st_mtime_ns for path in plan.runs.rglob("*")}
    again = reproduce_table(TABLE, plan, tmp_path / "again", on_progress=lambda done, total: None)
    assert {path: path.stat().st_mtime_ns for path in plan.runs.rglob("*")} == before
    assert json.loads(again.with_suffix(".json").read_text()) == rows


def test_a_trained_and_an_untrained_cell_become_rows_and_are_not_made_again(plan: Plan, tmp_path: Path) -> None:
    few = Plan(plan.preset, (*plan.settings, "training.least_steps=7"), plan.data, tmp_path, 1)
    cells = [
        cell for cell in ablation_cells(("rgb", "pose"), seeds=1, finetune_epochs=0) if cell.row in ("random", "cocon")
    ]
    calls: list[tuple[int, int | None]] = []
    run_cells(cells, few, jobs=2, on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)  # seven steps, of which an epoch has three
    rows = {(row.row, row.view, row.metric): row for row in collect_rows(cells, few.runs)}
    for losses in ("random", "cocon"):
        judged = json.loads((few.runs / f"{losses}-0" / "evaluation.json").read_text())
        assert rows[losses, "rgb", "R@1"].mean == pytest.approx(judged[0]["R@1"], abs=0.01)
        assert rows[losses, "ensemble", "probe_top1"].seeds == 1
    before = {path: path.stat().st_mtime_ns for path in few.runs.rglob("*")}
    run_cells(cells, few, jobs=2, on_progress=lambda done, total: None)
    assert {path: path.stat().st_mtime_ns for path in few.runs.rglob("*")} == before


def test_figures_of_another_recipe_are_not_taken_for_this_ones(plan: Plan, tmp_path: Path) -> None:
    first = Plan(plan.preset, plan.settings, plan.data, tmp_path, 1)
    claim = ablation_cells(("rgb", "pose"), seeds=1, finetune_epochs=0, extras=False)[:1]
    run_cells(claim, first, jobs=1, on_progress=lambda done, total: None)
    other = Plan(plan.preset, (*plan.settings, "model.width=8"), plan.data, tmp_path, 1)
    with pytest.raises(UsageError, match=r"model\.width is 4, asked for 8"):
        run_cells(claim, other, jobs=1, on_progress=lambda done, total: None)


def test_a_recipe_of_one_view_has_no_ablation(plan: Plan, tmp_path: Path) -> None:
    alone = Plan(plan.preset, (*plan.settings, "views=['rgb']"), plan.data, tmp_path, 1)
    with pytest.raises(UsageError, match="two or more"):
        reproduce_table(TABLE, alone, tmp_path, on_progress=lambda done, total: None)


def test_a_folder_that_is_not_there_is_one_line_and_exit_2(cocon: Callable[..., Outcome], tmp_path: Path) -> None:
    code, _, errors = cocon("reproduce", "ablation", "--data", tmp_path / "none")
    assert code == 2
    assert errors.count("\n") == 1
