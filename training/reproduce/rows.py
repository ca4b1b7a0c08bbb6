"""From the cells' figures to rows with mean and standard deviation over seeds."""

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.metrics import is_figure
from cocon.training.reproduce.cells import Cell
from cocon.training.run_folder.files import EVALUATION_FILE, SUMMARY_FILE, RunFolder

__all__ = ["Row", "backbone_label", "collect_rows", "mean_and_sd"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of merit of one row of the table.

    Attributes:
        method: `cocon`, `vicc`, `vclr` or `cycle`.
        row: name of the table's row, see `Cell.row`.
        losses: `random`, or what it was trained by, such as `cpc+sim` or `vicc`.
        backbone: depth, width and crop in words.
        views: views trained together.
        view: the view judged, or an ensemble.
        metric: `probe_top1`, `R@1`, …, in per cent.
        mean: over seeds.
        sd: sample standard deviation over seeds, 0 for a single one.
        seeds: how many.
        minutes: of training, mean over seeds.
        values: the figure of each seed, in their order.
    """

    method: str
    row: str
    losses: str
    backbone: str
    views: tuple[str, ...]
    view: str
    metric: str
    mean: float
    sd: float
    seeds: int
    minutes: float
    values: tuple[float, ...]


def collect_rows(cells: Sequence[Cell], runs: Path) -> list[Row]:
    """Read every cell's figures and average them over the seeds.

    Args:
        cells: all of them, judged.
        runs: folder of the runs.
    """
    by_row: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_row[cell.row].append(cell)
    rows = []
    for name, seeds in by_row.items():
        minutes = round(statistics.mean(_minutes(runs / cell.name) for cell in seeds), 2)
        backbone = backbone_label(RunFolder.open(runs / seeds[0].name).config)
        for (view, metric), values in _figures(seeds, runs).items():
            figures = (*mean_and_sd(values), len(values), minutes)
            first = seeds[0]
            common = (first.method, name, first.losses, backbone, first.views, view, metric)
            rows.append(Row(*common, *figures, tuple(round(value, 2) for value in values)))
    return rows


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation of some runs' figures, two decimals; the latter is 0 for a single run."""
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    return round(statistics.mean(values), 2), round(sd, 2)


def backbone_label(config: Config) -> str:
    """Trunk, width and what a block is, such as `resnet2d resnet10, width 16, 1×48 px`."""
    spec = config.encoder_spec()
    side_px = config.geometry(config.views[0]).crop_px
    trunk = f"{spec.backbone} {config.model.depth}" if spec.blocks_per_stage else spec.backbone
    return f"{trunk}, width {spec.width}, {config.clip.frames_per_block}×{side_px} px"


def _figures(cells: Sequence[Cell], runs: Path) -> dict[tuple[str, str], list[float]]:
    """(view, metric) → its value for each seed; figures that not every seed has are left out."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    renamed = {"classifier_top1": "finetune_top1"} if cells[0].kind == "finetuned" else {}
    for cell in cells:
        for merit in json.loads((runs / cell.name / EVALUATION_FILE).read_text()):
            for metric, value in merit.items():
                if isinstance(value, float) and is_figure(metric):
                    values[merit["view"], renamed.get(metric, metric)].append(value)
    return {key: found for key, found in values.items() if len(found) == len(cells)}


def _minutes(run: Path) -> float:
    path = run / SUMMARY_FILE
    return float(json.loads(path.read_text())["minutes"]) if path.is_file() else 0.0
