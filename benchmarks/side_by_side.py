"""Two trainings at a time with one thread each, against one after the other with all cores.

    python benchmarks/side_by_side.py        # five minutes; two cores

Each is a whole `cocon train` of the demo's networks on a small generated set, in a process of its own; each way has its
turn in every round.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results_file import Row, write_results

NUM_ROUNDS = 5
NUM_VIDEOS, EPOCHS = 64, 4
CORES = sorted(os.sched_getaffinity(0))[:2]
COCON = [sys.executable, "-c", "from cocon.core.command import main; main()"]
# Variables that would have a say in how many threads there are.
SAID = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "COCON_THREADS")

ONE_EACH, ALL_EACH, IN_TURN = "side by side, a thread each", "side by side, all cores each", "one after the other"


def main() -> None:
    """Measure, print and write `benchmarks/results/side_by_side.json`."""
    os.sched_setaffinity(0, CORES)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "figures"
        finish([start("data", "make", "--num-videos", NUM_VIDEOS, "--size", 64, "--output", data)])
        seconds: dict[str, list[float]] = {IN_TURN: [], ONE_EACH: [], ALL_EACH: []}
        for number in range(NUM_ROUNDS):
            for way, measured in seconds.items():
                measured.append(timed(way, data, Path(folder) / f"{number} {way}"))
                print(f"round {number + 1}, {way}: {measured[-1]:.1f} s", file=sys.stderr)
    medians = {way: statistics.median(measured) for way, measured in seconds.items()}
    case, value = "two runs of the demo's networks, --threads 1 each", round(medians[ONE_EACH], 1)
    ratios = {way: round(medians[way] / medians[ONE_EACH], 2) for way in (IN_TURN, ALL_EACH)}
    rows = [Row(case, value, "s", IN_TURN, ratios[IN_TURN], 1.0), Row(case, value, "s", ALL_EACH, ratios[ALL_EACH])]
    for row in rows:
        print(f"{row.case}: {row.value} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("side_by_side", rows, packages=["torch"]))


def timed(way: str, data: Path, runs: Path) -> float:
    """Seconds that two runs take."""
    settings = ("--data", data, "--set", f"training.epochs={EPOCHS}", "--set", "training.precision=32-true")
    begun = time.perf_counter()
    going = []
    for number in range(2):
        output = ("--output", f"{runs} {number}", "--seed", number)
        threads = ("--threads", 1) if way == ONE_EACH else ()
        going.append(start("train", "--preset", "demo", *settings, *output, *threads))
        if way == IN_TURN:
            finish(going)
    finish(going)
    return time.perf_counter() - begun


def start(*words: object) -> subprocess.Popen[str]:
    """A `cocon` command."""
    environment = {name: value for name, value in os.environ.items() if name not in SAID}
    return subprocess.Popen(
        [*COCON, *map(str, words), "--quiet"], env=environment, stdout=subprocess.DEVNULL, text=True
    )


def finish(going: list[subprocess.Popen[str]]) -> None:
    """Wait until all have ended well."""
    for process in going:
        if process.wait(timeout=600):
            raise SystemExit(f"{process.args} ended with {process.returncode}")


if __name__ == "__main__":
    main()
