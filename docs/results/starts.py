"""Trainings on small sets that begin with packed encoders: do any collapse, is any worse than its start?

    python docs/results/starts.py --data arid=DIR --data utd_mhad=DIR --runs RUNS [--only 4]

Each row is a training of four views on a part of a prepared data set (`cocon views make`, a manifest with labels): 40
to 500 videos, batches of 8 to 32, another seed each. What is done already is not done again; page and rows are written
after each. Figures are those of the run's own verdict, on held-out training videos; of sets of which no part can be
held out there is the spread alone. `--compare NAME=RUN` takes up the spread of another run, such as one of an earlier
release.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
PACKED = HERE.parents[1] / "pretrained" / "people"
# Data set, training videos, batch, seed.
STARTS = (
    ("arid", 40, 8, 0),
    ("utd_mhad", 40, 8, 1),
    ("arid", 60, 8, 2),
    ("utd_mhad", 160, 8, 3),
    ("arid", 80, 16, 4),
    ("utd_mhad", 80, 16, 5),
    ("arid", 120, 16, 6),
    ("utd_mhad", 300, 16, 7),
    ("arid", 150, 32, 8),
    ("utd_mhad", 430, 32, 9),
)
VIEWS = "rgb", "flow", "pose", "mask"
COLLAPSED = 0.3
TRAINED = "training.precision=32-true", "classifier.head=none", "training.held_out_share=0.15"


def main() -> None:
    """Train what is not trained yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], help="NAME=DIR of a prepared data set")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--steps", type=int, default=30, help="of each training")
    parser.add_argument("--only", type=int, default=len(STARTS), help="so many rows of those that are not done")
    parser.add_argument("--compare", action="append", default=[], help="NAME=RUN: another run, for its spread")
    asked = parser.parse_args()
    folders = {name: Path(path) for name, _, path in (each.partition("=") for each in asked.data)}
    left = asked.only
    _write(asked)
    for start in STARTS:
        if left and start[0] in folders and not _is_done(start, asked.runs):
            _train(start, folders[start[0]], asked.runs, asked.steps)
            _write(asked)
            left -= 1


def _write(asked: argparse.Namespace) -> None:
    """The page and the rows of what is done."""
    rows = [_row(start, asked.runs / _name(start)) for start in STARTS if _is_done(start, asked.runs)]
    compared = (each.partition("=") for each in asked.compare)
    others = [{"name": name, "spread": _spreads(Path(path))} for name, _, path in compared]
    (HERE / "starts.json").write_text(json.dumps({"starts": rows, "compared": others}, indent=1) + "\n")
    (HERE / "starts.md").write_text("\n".join([*_page(rows, others, asked.steps), ""]))


def _is_done(start: Sequence[object], runs: Path) -> bool:
    return (runs / _name(start) / "seconds").is_file()


def _name(start: Sequence[object]) -> str:
    return "-".join(map(str, start))


def _train(start: tuple[str, int, int, int], folder: Path, runs: Path, steps: int) -> None:
    """`cocon train` on a part of the training videos."""
    _, number, batch, seed = start
    data, run = runs / f"{_name(start)}-data", runs / _name(start)
    _part(folder, data, number, seed)
    settings = [*TRAINED, f"training.steps={steps}", f"training.batch_size={batch}", "flow.size_px=96"]
    more = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "train", "--preset", "people"]
    began = time.monotonic()
    done = subprocess.run(
        [
            *command,
            "--data",
            data,
            "--output",
            run,
            "--init-from",
            PACKED,
            "--seed",
            str(seed),
            "--threads",
            "1",
            *more,
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    run.mkdir(exist_ok=True)
    (run / "exit_code").write_text(str(done.returncode))
    (run / "seconds").write_text(f"{time.monotonic() - began:.0f}")


def _part(folder: Path, into: Path, number: int, seed: int) -> None:
    """So many of the training videos, drawn by the seed, beside the views that are made of them."""
    into.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "train"]
    drawn = random.Random(seed).sample(rows, min(number, len(rows)))
    with (into / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(sorted(drawn, key=lambda row: row["video_id"]))
    for name in ("views", "videos", "rgb", "RGB"):
        if (folder / name).is_dir() and not (into / name).is_symlink():
            (into / name).symlink_to((folder / name).absolute())


def _row(start: tuple[str, int, int, int], run: Path) -> dict[str, object]:
    name, number, batch, seed = start
    row: dict[str, object] = {"data": name, "videos": number, "batch": batch, "seed": seed}
    row |= {"exit_code": int((run / "exit_code").read_text()), "seconds": int((run / "seconds").read_text())}
    row |= {"spread": _spreads(run)}
    summary = json.loads((run / "complete.json").read_text()) if (run / "complete.json").is_file() else {}
    row |= {"health": summary.get("health")}
    if (run / "verdict.json").is_file():
        verdict = json.loads((run / "verdict.json").read_text())
        row |= {"gains": verdict["gains"], "rows": verdict["rows"], "judged_on": verdict["judged_on"]}
    return row


def _spreads(run: Path) -> dict[str, dict[str, float]]:
    """View → spread of the first, the least and the last epoch."""
    journal = run / "metrics.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.is_file() else []
    found: dict[str, dict[str, float]] = {}
    for view in VIEWS:
        values = [line[f"spread/{view}"] for line in lines if f"spread/{view}" in line]
        if values:
            found[view] = {"first": values[0], "least": min(values), "last": values[-1]}
    return found


def _page(rows: Sequence[dict], others: Sequence[dict], steps: int) -> list[str]:
    judged = [gain for row in rows for gain in row.get("gains", []) if gain["over"] == "start"]
    worse = [gain for gain in judged if -gain["points"] > gain["standard_error"]]
    least = [min((of["least"] for of in row["spread"].values()), default=1.0) for row in rows]
    page = [
        "# Starts from packed encoders on small sets",
        "",
        f"{len(rows)} trainings of {steps} steps that began with `pretrained/people` (`docs/results/starts.py`),",
        f"in all four views: {sum(value < COLLAPSED for value in least)} collapsed (a spread below {COLLAPSED}),",
        f"{len(worse)} of the {len(judged)} that were judged worse than their start by more than a standard error.",
        "Spread: of the first epoch → the least → of the last. Gains: mean of probe and R@1 over views and fused, in",
        "points, on held-out training videos.",
        "",
        "| data | videos | batch | seed | rgb | flow | pose | mask | over its start | over untrained |",
        "|---|--:|--:|--:|---|---|---|---|--:|--:|",
    ]
    for row in rows:
        gains = {gain["over"]: f"{gain['points']:+.1f} ± {gain['standard_error']:.1f}" for gain in row.get("gains", [])}
        cells = [row["data"], row["videos"], row["batch"], row["seed"], *_spreads_said(row)]
        page.append(_line(*cells, gains.get("start", "-"), gains.get("untrained", "-")))
    if others:
        page += ["", "Four-view trainings of the default, for comparison:", ""]
        page += ["| run | rgb | flow | pose | mask |", "|---|---|---|---|---|"]
        page += [_line(row["name"], *_spreads_said(row)) for row in others]
    return page


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _spreads_said(row: dict) -> list[str]:
    return [_spread_said(row["spread"].get(view)) for view in VIEWS]


def _spread_said(spread: dict[str, float] | None) -> str:
    return "-" if spread is None else " → ".join(f"{spread[name]:.2f}" for name in ("first", "least", "last"))


if __name__ == "__main__":
    main()
