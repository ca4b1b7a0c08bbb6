"""Train and judge random, CPC and CoCon on the generated figures over three seeds; writes figures.md and figures.json.

    make results        (python docs/results/figures.py --data data/figures --runs runs/results --seeds 3)

A run that is complete is not trained again, so an interrupted call goes on.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
COCON = Path(sys.executable).parent / "cocon"
ONE_THREAD = dict(os.environ) | {"OMP_NUM_THREADS": "1"}
METRICS = ("probe_top1", "R@1", "R@5", "R@10", "R@20")
TRAINED = ("cpc", "cocon")
LOSSES = ("random", *TRAINED)
VIEWS = ("rgb", "flow", "pose", "mask", "ensemble")

Values = dict[tuple[str, str, str], list[float]]


def main() -> None:
    """Run every cell and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/figures"))
    parser.add_argument("--runs", type=Path, default=Path("runs/results"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    values: Values = defaultdict(list)
    minutes: dict[str, list[float]] = defaultdict(list)
    cells = {(seed, losses): options.runs / f"{losses}-{seed}" for seed in range(options.seeds) for losses in TRAINED}
    with ThreadPoolExecutor(os.cpu_count()) as jobs:  # one run per core, one thread per run
        list(jobs.map(lambda cell: train(cell[1], cell[0], options.data, cells[cell]), cells))
        pairs = [(cells[seed, "cocon"], cells[seed, "cpc"]) for seed in range(options.seeds)]
        for merits in jobs.map(lambda pair: judged(*pair), pairs):
            for merit in merits:
                for metric in METRICS:
                    values[merit["method"], merit["view"], metric].append(merit[metric])
    for (_, losses), run in cells.items():
        minutes[losses].append(json.loads((run / "complete.json").read_text())["minutes"])
    write(values, minutes, options)


def train(losses: str, seed: int, data: Path, run: Path) -> None:
    """One training; labels are not used."""
    command = ["train", "--preset", "figures", "--data", str(data), "--output", str(run), "--losses", losses]
    subprocess.run([COCON, *command, "--seed", str(seed), "--set", "classifier.head=none"], check=True, env=ONE_THREAD)


def judged(run: Path, baseline: Path) -> list[dict]:
    """Figures of a run, of its baseline and of the random initialisation with the run's seed; kept beside the run."""
    kept = run / "evaluation.json"
    if not kept.is_file():
        command = [COCON, "evaluate", str(run), "--baseline", str(baseline), "--json"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ONE_THREAD)
        kept.write_text(done.stdout)
    return json.loads(kept.read_text())


def write(values: Values, minutes: dict[str, list[float]], options: argparse.Namespace) -> None:
    """Both files."""
    rows = [
        {
            "method": "cocon",
            "losses": losses,
            "backbone": "resnet10, width 16, 48 px",
            "views": list(VIEWS[:-1]),
            "view": view,
            "metric": metric,
            "mean": round(statistics.mean(values[losses, view, metric]), 2),
            "sd": round(statistics.stdev(values[losses, view, metric]), 2) if options.seeds > 1 else 0.0,
            "seeds": options.seeds,
            "minutes": round(statistics.mean(minutes[losses]), 2) if losses in minutes else 0.0,
        }
        for losses in LOSSES
        for view in VIEWS
        for metric in METRICS
    ]
    (HERE / "figures.json").write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / "figures.md").write_text(page(rows, options))


def page(rows: list[dict], options: argparse.Namespace) -> str:
    """The table for people."""
    cells = {(row["losses"], row["view"], row["metric"]): f"{row['mean']:.1f} ± {row['sd']:.1f}" for row in rows}
    cost = {row["losses"]: row["minutes"] for row in rows}
    generator = json.loads((options.data / "generator.json").read_text())
    lines = [
        "# Generated figures: random initialisation, CPC and CoCon",
        "",
        f"Made by `make results` on {date.today()}, {machine()}. {options.seeds} seeds, mean ± sd, per cent.",
        f"Data: `{json.dumps(generator)}`; half of the videos train, half test, no body and no place in both.",
        "Four views are trained together; CPC is the same without the cooperative losses. Linear probe: L2 strength",
        "chosen by cross-validation over groups of the training videos. Retrieval: gallery = train, query = test,",
        "cosine, not centred. `ensemble`: mean of the probes' probabilities; fused embedding. Training minutes are",
        "those of one thread, with another run on every other core.",
        "",
        "| losses | view | probe top-1 | R@1 | R@5 | R@10 | R@20 | training minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for losses in LOSSES:
        for view in VIEWS:
            figures = " | ".join(cells[losses, view, metric] for metric in METRICS)
            lines.append(f"| {losses} | {view} | {figures} | {cost[losses]:.1f} |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of an {model}, no GPU, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
