"""Judge runs by localisation and tracking, average over them; writes tasks-<name>.md and tasks-<name>.json.

make results-tasks     (python docs/results/tasks.py --name figures runs/ablation/figures/cocon-0 …-1 …-2)
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

from cocon.training.reproduce.markdown import machine, markdown_table
from cocon.training.reproduce.rows import mean_and_sd

HERE = Path(__file__).parent
COCON = Path(sys.executable).with_name("cocon")
# task → columns that tell rows apart, figures of the page
TASKS = {
    "localization": (("method", "view", "segments"), ("AR@1", "AR@10", "AR@100", "AUC", "mAP@0.5", "mAP")),
    "tracking": (("method", "scene"), ("success_auc", "precision_at_20_px")),
}
Row = dict[str, str | float]


def main() -> None:
    """Judge everything and write page and rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="of one recipe, one for each seed")
    parser.add_argument("--name", required=True)
    parser.add_argument("--untrimmed", type=Path, default=Path("data/untrimmed"), help="for localisation")
    parser.add_argument("--boxes", type=Path, default=Path("data/figures"), help="for tracking")
    options = parser.parse_args()
    data = {"localization": options.untrimmed, "tracking": options.boxes}
    rows = {task: averaged([judged(run, task, data[task]) for run in options.runs], task) for task in TASKS}
    command = shlex.join(["python", *sys.argv])
    (HERE / f"tasks-{options.name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / f"tasks-{options.name}.md").write_text(page(rows, command, options.name, len(options.runs)))


def judged(run: Path, task: str, data: Path) -> list[Row]:
    """What `cocon evaluate` says of a run."""
    command = [COCON, "evaluate", run, "--task", task, "--data", data, "--json"]
    found: list[Row] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def averaged(runs: list[list[Row]], task: str) -> list[dict[str, object]]:
    """Mean and standard deviation over the runs of every figure."""
    names, metrics = TASKS[task]
    values: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for rows in runs:
        for row in rows:
            values[tuple(str(row[name]) for name in names)].append(row)
    return [
        dict(zip(names, key, strict=True))
        | {metric: _metrics([float(row[metric]) for row in rows]) for metric in metrics}
        for key, rows in values.items()
    ]


def page(rows: dict[str, list[dict[str, object]]], command: str, name: str, seeds: int) -> str:
    """The tables, and how to make them."""
    parts = [
        f"# Localisation and tracking on {name}",
        f"`{command}`\n\nMade on {date.today()}, {machine()}. {seeds} seeds, mean ± sd, per cent. What the figures "
        "are: [localization.md](../localization.md), [tracking.md](../tracking.md).",
    ]
    for task, (names, metrics) in TASKS.items():
        lines = [[*(str(row[n]) for n in names), *(_figure(row[m]) for m in metrics)] for row in rows[task]]
        parts += [f"## {task.capitalize()}", markdown_table([*names, *metrics], lines)]
    return "\n\n".join(parts) + "\n"


def _metrics(values: list[float]) -> dict[str, object]:
    mean, sd = mean_and_sd(values)
    return {"mean": mean, "sd": sd, "values": [round(value, 2) for value in values]}


def _figure(cell: object) -> str:
    assert isinstance(cell, dict)
    return f"{cell['mean']:.1f} ± {cell['sd']:.1f}"


if __name__ == "__main__":
    main()
