"""The table of real videos: what is trained for it, what stands on its page, and runs of others that are judged."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.training.config.files import load_config
from cocon.training.evaluation.recognition.result import MetricOptions
from cocon.training.reproduce import running
from cocon.training.reproduce.cells import Cell
from cocon.training.reproduce.real import RealTable, check_real_claims
from cocon.training.reproduce.real_cells import PackedEncoders, real_cells
from cocon.training.reproduce.rows import Row, collect_rows
from cocon.training.reproduce.running import Plan
from cocon.training.run_folder.files import EVALUATION_FILE, RunFolder
from cocon.video.store.dataset import DatasetFolder

Outcome = tuple[int, str, str]
VIEWS = ("rgb", "pose")
PACKED = PackedEncoders(Path("pretrained/people"), "0a1b2c3d", ("model.width=4",))
METRICS = ("probe_top1", "R@1", "probe_1_per_class", "ordered_probe_top1")


def _row(name: str, view: str, metric: str, *values: float) -> Row:
    mean = sum(values) / len(values)
    sd = 1.0 if len(values) > 1 else 0.0
    return Row("cocon", name, name, "trunk", VIEWS, view, metric, mean, sd, len(values), 2.0, values)


def _rows(cells: Sequence[Cell], **better: float) -> list[Row]:
    rows = []
    for name, kind in {cell.row: cell.kind for cell in cells}.items():
        level = 50 + better.get(name.replace("-", "_"), 0.0)
        views = {"baseline": ("flow",)}.get(kind, (*VIEWS, "ensemble", "ensemble_learned"))
        metrics = (*METRICS, "finetune_top1") if kind == "finetuned" else METRICS
        values = (level,) if kind in ("baseline", "frozen") else (level - 1, level, level + 1)
        rows += [_row(name, view, metric, *values) for view in views for metric in metrics]
    return rows


def test_every_cell_has_a_folder_of_its_own_and_comes_after_the_one_it_starts_from() -> None:
    names: list[str] = []
    for cell in real_cells(VIEWS, seeds=2, packed=PACKED, few_labels=(1, 5)):
        assert not cell.starts_from or cell.starts_from in names
        names.append(cell.name)
    assert len(set(names)) == len(names)
    # Two baselines and the packed ones once, for they are the same for every seed.
    assert len(names) == 3 + 2 * (5 + 3 * 3)


def test_figures_of_other_weights_are_not_taken_for_those_of_the_packed_encoders() -> None:
    other = PackedEncoders(PACKED.folder, "ffffffff", PACKED.settings)
    theirs, ours = (
        {cell.name for cell in real_cells(VIEWS, seeds=1, packed=packed, few_labels=()) if cell.packed}
        for packed in (PACKED, other)
    )
    assert theirs and not theirs & ours


def test_without_packed_encoders_labels_are_added_to_what_was_trained_here() -> None:
    cells = {cell.row: cell for cell in real_cells(VIEWS, seeds=1, few_labels=(5,))}
    assert not any("packed" in row for row in cells)
    assert cells["finetuned-trained"].starts_from == "cocon-0"
    assert cells["finetuned-untrained"].starts_from == ""
    assert cells["finetuned-trained-5"].overrides["classifier.labels_per_class"] == "5"
    assert not any("finetuned" in cell.row for cell in real_cells(VIEWS, seeds=1, few_labels=None))


def test_what_holds_is_judged_by_the_figures() -> None:
    cells = real_cells(VIEWS, seeds=3, packed=PACKED, few_labels=())
    rows = _rows(cells, packed=5, packed_trained=9, cocon=7, flow_histogram=8, finetuned_trained=0.5)
    claims = {claim.statement: claim for claim in check_real_claims(rows, VIEWS)}
    assert claims["packed > untrained, in every view"].holds  # by one run against three, of which only these vary
    assert claims["packed-trained > untrained, in every view"].holds
    verdicts = {
        name: {one.where: one.verdict for one in claims[f"{name}, fused > flow-histogram"].comparisons}
        for name in ("packed", "packed-trained")
    }
    assert verdicts["packed"]["ensemble_learned R@1"] == "one seed"  # neither varies
    assert verdicts["packed-trained"]["ensemble_learned R@1"] == "within one sd"
    assert claims["packed-trained > cocon, fused"].holds
    tuned = "fine-tuned from trained encoders, fused"
    assert [one.verdict for one in claims[f"{tuned} > from nothing"].comparisons] == ["within one sd"]
    probed = claims[f"{tuned} > their ordered probe"].comparisons
    assert [(one.where, one.verdict) for one in probed] == [
        ("ensemble_learned finetune_top1 over ordered_probe_top1", "does not hold")
    ]


@pytest.fixture(scope="module")
def plan(tiny_settings: list[str], figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    settings = (*tiny_settings, "views=['rgb','pose']", "training.epochs=1")
    few_shot = MetricOptions(has_few_shot=True)
    return Plan("demo", settings, figures, tmp_path_factory.mktemp("real"), num_threads=1, options=few_shot)


def test_packed_encoders_and_histograms_are_judged_and_nothing_is_trained(plan: Plan, trained: Path) -> None:
    packed = PackedEncoders.read(trained, VIEWS)
    assert {"model.width=4", "clip.num_blocks=3", "view.rgb.crop_px=24"} <= set(packed.settings)
    cells = [
        cell
        for cell in real_cells(VIEWS, seeds=1, packed=packed, few_labels=None)
        if cell.row in ("packed", "color-histogram")
    ]
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    for cell in cells:
        running._claimed(cell, plan)
        running._run_cell(cell, plan)  # what a process of its own does
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before
    judged = {cell.row: json.loads((plan.runs / cell.name / EVALUATION_FILE).read_text()) for cell in cells}
    assert [row["view"] for row in judged["color-histogram"]] == ["rgb"]
    assert [row["view"] for row in judged["packed"]] == ["rgb", "pose", "ensemble"]
    assert all("probe_1_per_class" in row for rows in judged.values() for row in rows)
    assert not any((plan.runs / cell.name / "views").exists() for cell in cells)


def test_the_first_run_of_a_row_says_how_long_it_takes(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (cell for cell in real_cells(VIEWS, seeds=2, few_labels=None) if cell.row == "cpc")
    for cell, says in ((first, True), (second, True), (first, False)):
        running._tell(cell, replace(plan, says=says), "pre-training: about 3 min for 15 epochs")
    assert capsys.readouterr().err == "cpc: pre-training: about 3 min for 15 epochs\n"


def test_few_labels_fine_tune_the_packed_encoders(plan: Plan, trained: Path) -> None:
    packed = PackedEncoders.read(trained, VIEWS)
    cells = real_cells(VIEWS, seeds=1, packed=packed, few_labels=(1,), cells=1)
    cell = next(cell for cell in cells if cell.row == "finetuned-packed-1")
    quick = replace(plan, settings=(*plan.settings, "classifier.epochs=1", "classifier.least_steps=0"))
    assert running._epochs_of({cell: running._claimed(cell, quick)}) == {cell: 1}
    running._run_cell(cell, quick)
    found = {(row.view, row.metric): row for row in collect_rows([cell], plan.runs)}
    assert {view for view, metric in found if metric == "finetune_top1"} == {"rgb", "pose", "ensemble"}
    contract = RunFolder.open(plan.runs / cell.name).contract("rgb")
    assert (contract.encoder.pooling, len(contract.labels)) == ("thirds", 6)


def test_packed_encoders_must_have_the_views_that_are_judged(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"no encoder of view 'flow'; it has: rgb, pose; judge those alone: --set"):
        PackedEncoders.read(trained, ("rgb", "flow"))


def test_the_page_has_every_row_once_and_says_what_differs_from_the_paper(plan: Plan, figures: Path) -> None:
    table = RealTable(name="tiny", seeds=3, jobs=1, packed=PACKED, notes=("a note of mine",))
    told = Plan(plan.preset, (*PACKED.settings, "training.epochs=1"), plan.data, plan.runs, 1)
    config = load_config(plan.preset, plan.settings)
    rows = _rows(real_cells(VIEWS, seeds=3, packed=PACKED, few_labels=(1, 5, 10)), packed=5)
    text = table.page(rows, told, config, DatasetFolder.open(figures))
    glance = text[text.index("## All views together") : text.index("## Figure by figure")]
    assert [line.split("|")[1].strip() for line in glance.splitlines() if line.startswith("| ")][2:] == [
        "untrained",
        "flow-histogram",
        "color-histogram",
        "packed",
        "packed-trained",
        "cocon",
        "cpc",
        "published",
    ]
    assert text.count("| Linear probe | flow | rgb | pose | ensemble | ensemble_learned |") == 1
    assert "| packed | 55.0 |" in glance and "| cocon | 50.0 ± 1.0 |" in glance
    assert "| 10 of each class | the packed encoders |" in text
    assert "a note of mine" in text and "the paper has resnet18 of width 64" in text
    # What the packed encoders bring is not said twice.
    assert "--packed pretrained/people --set training.epochs=1`" in text


@pytest.mark.parametrize(
    ("finetunes", "few", "rows", "said"),
    [
        (True, True, {"packed", "packed-1", "packed-5", "packed-10"}, "--packed pretrained/people`"),
        (True, False, {"packed"}, "--packed pretrained/people --no-few-labels`"),
        (False, True, set(), "--packed pretrained/people --no-finetune`"),
    ],
)
def test_fine_tuned_rows_may_be_left_out_and_the_page_says_so(
    finetunes: bool, few: bool, rows: set[str], said: str, plan: Plan, figures: Path
) -> None:
    table = RealTable(name="tiny", seeds=1, jobs=1, packed=PACKED, fine_tunes=finetunes, few_labels=few)
    told = Plan(plan.preset, PACKED.settings, plan.data, plan.runs, 1)
    config = load_config(plan.preset, plan.settings)
    cells = table.cells(told, config)
    tuned = {cell.row.removeprefix("finetuned-") for cell in cells if cell.kind == "finetuned"}
    assert {name for name in tuned if name.startswith("packed")} == rows
    assert said in table.page(_rows(cells, packed=5), told, config, DatasetFolder.open(figures))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_makes_the_page_and_goes_on(
    cocon: Callable[..., Outcome], plan: Plan, trained: Path, figures: Path, tmp_path: Path
) -> None:
    settings = [part for setting in plan.settings for part in ("--set", setting)]
    settings += ["--set", "classifier.epochs=1"]
    command = ["reproduce", "real", "--data", figures, "--name", "tiny", "--seeds", "1", "--jobs", "1"]
    command += ["--packed", trained, "--output", tmp_path, "--runs", tmp_path / "runs", *settings]
    code, out, errors = cocon(*command)
    assert code == 0, errors
    rows = json.loads((tmp_path / "real-tiny.json").read_text())
    assert {"finetuned-untrained", "finetuned-packed", "finetuned-trained-1", "published"} <= {
        row["row"] for row in rows
    }
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    code, again, _ = cocon(*command, "--quiet")
    assert (code, again) == (0, out)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before
