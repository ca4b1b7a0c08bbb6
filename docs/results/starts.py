"""Trainings on small sets that begin with packed encoders: do any collapse, is any worse than its start?

    python docs/results/starts.py --data arid=DIR --data utd_mhad=DIR --runs RUNS [--only 4]

Each row is a training of four views on a part of a prepared data set (`cocon views make`, a manifest with labels): 40
to 500 videos, batches of 8 to 32, another seed each. What is done already is not done again; page and rows are written
after each. A run holds out some of its videos where it can, and keeps its start where they find that better. Figures
are of test videos, which no run has seen, for the encoders that it kept. `--compare NAME=RUN` takes up the spread of
another run, such as one of an earlier release.
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
from datetime import date
from pathlib import Path

from lightning_fabric import Fabric

from cocon.training.config.run import Config
from cocon.training.data.stretches.opening import training_frames
from cocon.training.loop.verdict.held_out import HeldOut
from cocon.training.loop.verdict.networks import verdict_of
from cocon.training.reproduce.markdown import machine
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

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
MOST_JUDGING = 150
TRAINED = "training.precision=32-true", "classifier.head=none", "training.held_out_share=0.15"


def main() -> None:
    """Train what is not trained yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], help="NAME=DIR of a prepared data set")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--steps", type=int, help="of each training; default: what the preset has")
    parser.add_argument("--only", type=int, default=len(STARTS), help="so many rows of those that are not done")
    parser.add_argument("--compare", action="append", default=[], help="NAME=RUN: another run, for its spread")
    asked = parser.parse_args()
    folders = {name: Path(path) for name, _, path in (each.partition("=") for each in asked.data)}
    left = asked.only
    _write(asked)
    for start in STARTS:
        if left and start[0] in folders and not _is_done(start, asked.runs):
            _train(start, folders[start[0]], asked.runs, asked.steps)
            _judge(start, folders[start[0]], asked.runs)
            _write(asked)
            left -= 1


def _write(asked: argparse.Namespace) -> None:
    """The page and the rows of what is done."""
    rows = [_row(start, asked.runs / _name(start)) for start in STARTS if _is_done(start, asked.runs)]
    compared = (each.partition("=") for each in asked.compare)
    others = [{"name": name, "spread": _spreads(Path(path))} for name, _, path in compared]
    (HERE / "starts.json").write_text(json.dumps({"starts": rows, "compared": others}, indent=1) + "\n")
    (HERE / "starts.md").write_text("\n".join([*_page(rows, others), ""]))


def _is_done(start: Sequence[object], runs: Path) -> bool:
    return (runs / _name(start) / "judged.json").is_file()


def _name(start: Sequence[object]) -> str:
    return "-".join(map(str, start))


def _train(start: tuple[str, int, int, int], folder: Path, runs: Path, steps: int | None) -> None:
    """`cocon train` on a part of the training videos."""
    _, number, batch, seed = start
    data, run = runs / f"{_name(start)}-data", runs / _name(start)
    _part(folder, data, number, seed)
    settings = [*TRAINED, f"training.batch_size={batch}", "flow.size_px=96"]
    settings += [f"training.steps={steps}"] if steps else []
    more = [word for setting in settings for word in ("--set", setting)]
    command = [sys.executable, "-c", "from cocon.core.command import main; main()", "train", "--preset", "people"]
    began = time.monotonic()
    options = ["--data", data, "--output", run, "--init-from", PACKED, "--seed", str(seed), "--threads", "1"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *options, *more], env=env, check=False)
    run.mkdir(exist_ok=True)
    (run / "exit_code").write_text(str(done.returncode))
    (run / "seconds").write_text(f"{time.monotonic() - began:.0f}")


def _part(folder: Path, into: Path, number: int, seed: int, *, tests_as: str = "test") -> None:
    """So many of the training videos, drawn by the seed, and test videos, beside the views that are made of them."""
    into.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    draw, drawn = random.Random(seed), list[dict[str, str]]()
    for split, most in (("train", number), ("test", MOST_JUDGING)):
        of_split = [row for row in rows if row["split"] == split]
        drawn_as = tests_as if split == "test" else split
        drawn += [row | {"split": drawn_as} for row in draw.sample(of_split, min(most, len(of_split)))]
    with (into / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(drawn[0]))
        writer.writeheader()
        writer.writerows(sorted(drawn, key=lambda row: row["video_id"]))
    for name in ("views", "videos", "rgb", "RGB"):
        if (folder / name).is_dir() and not (into / name).is_symlink():
            (into / name).symlink_to((folder / name).absolute())


def _judge(start: tuple[str, int, int, int], folder: Path, runs: Path) -> None:
    """The encoders that the run kept beside those it began with and untrained ones, on the test videos."""
    run, judged = RunFolder.open(runs / _name(start)), runs / f"{_name(start)}-judged"
    _part(folder, judged, start[1], start[3], tests_as="val")  # where labels judge
    config: Config = run.config.model_copy(update={"data": run.config.data.model_copy(update={"folder": judged})})
    videos = training_frames(config, DatasetFolder.open(judged))
    assert videos.held_out is not None
    with videos.train as train, videos.held_out as held:
        held_out = HeldOut(config, train.for_judging(), held, f"{len(held)} test videos")
        encoders = {view: run.encoder(view)[0] for view in run.views}
        verdict = verdict_of(config, encoders, train, held_out, Fabric(accelerator="cpu", devices=1))
    (run.path / "judged.json").write_text(json.dumps(verdict.to_dict() if verdict else None, indent=1) + "\n")


def _row(start: tuple[str, int, int, int], run: Path) -> dict[str, object]:
    name, number, batch, seed = start
    row: dict[str, object] = {"data": name, "videos": number, "batch": batch, "seed": seed}
    row |= {"exit_code": int((run / "exit_code").read_text()), "seconds": int((run / "seconds").read_text())}
    row |= {"spread": _spreads(run)}
    summary = json.loads((run / "complete.json").read_text()) if (run / "complete.json").is_file() else {}
    row |= {"health": summary.get("health")}
    length = summary.get("length") or {}
    row |= {"kept_steps": length.get("steps"), "planned_steps": length.get("planned_steps")}
    if judged := json.loads((run / "judged.json").read_text()):
        row |= {"gains": judged["gains"], "rows": judged["rows"], "judged_on": judged["judged_on"]}
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


def _page(rows: Sequence[dict], others: Sequence[dict]) -> list[str]:
    judged = [gain for row in rows for gain in row.get("gains", []) if gain["over"] == "start"]
    worse = [gain for gain in judged if -gain["points"] > gain["standard_error"]]
    least = [min((of["least"] for of in row["spread"].values()), default=1.0) for row in rows]
    page = [
        "# Starts from packed encoders on small sets",
        "",
        "`python docs/results/starts.py --data arid=data/arid --data utd_mhad=data/utd_mhad --runs runs/starts`",
        "",
        f"Made on {date.today()}, {machine()}, one thread each.",
        "",
        f"{len(rows)} trainings in all four views that began with `pretrained/people`: "
        f"{sum(value < COLLAPSED for value in least)} collapsed (a spread below {COLLAPSED}), "
        f"{len(worse)} of the {len(judged)} judged are worse than their start by more than a standard error.",
        "",
        "* Spread: of the first epoch → the least → of the last.",
        "* Steps: of the encoders that the run kept, of those planned; 0 are those that it began with, which its "
        "held-out videos found better than trained ones.",
        "* Gains: of what it kept, mean of probe and R@1 over views and fused, in points, on at most "
        f"{MOST_JUDGING} test videos.",
        "",
        "| data | videos | batch | seed | steps | rgb | flow | pose | mask | over its start | over untrained |",
        "|---|--:|--:|--:|--:|---|---|---|---|--:|--:|",
    ]
    for row in rows:
        gains = {gain["over"]: f"{gain['points']:+.1f} ± {gain['standard_error']:.1f}" for gain in row.get("gains", [])}
        steps = f"{row['kept_steps']} of {row['planned_steps']}"
        cells = [row["data"], row["videos"], row["batch"], row["seed"], steps, *_spreads_said(row)]
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
