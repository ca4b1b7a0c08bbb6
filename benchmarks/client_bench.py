"""`client bench` of the demo's encoder behind Triton, at the loads that others have published figures for.

    python benchmarks/client_bench.py --repository model_repository

The command measures the same file in bare ONNX Runtime in turn, with the server's number of instances and threads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from results_file import Row, write_results

from cocon.serving.address import Address
from cocon.serving.launcher import ServerProcess

# Clips of a request, and callers at a time.
LOADS = {1: "1:7:3", 8: "1:2:1"}
VIEW = "rgb"


def main() -> None:
    """Measure, print and write `benchmarks/results/client_bench.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="of the demo's encoders")
    parser.add_argument("--interval-ms", type=int, default=1000, help="length of a window")
    given = parser.parse_args()
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        ServerProcess(
            given.repository.absolute(), Address.on_free_ports(), log=Path(scratch, "log"), timeout_s=600
        ) as server,
    ):
        for batch_size, callers in LOADS.items():
            found = measured(server.url, given.repository, batch_size, callers, given.interval_ms)
            rows += [row for level in found["levels"] for row in rows_of(level, batch_size)]
    for row in rows:
        print(f"{row.case}: {row.value:.2f} {row.unit}, {row.ratio:.2f}× {row.versus}")
    print(write_results("client_bench", rows, packages=["tritonclient", "onnxruntime-gpu", "nvidia-pytriton"]))


def measured(url: str, repository: Path, batch_size: int, callers: str, interval_ms: int) -> dict[str, Any]:
    """What the command says."""
    options = ["--view", VIEW, "--batch-size", str(batch_size), "--concurrency-range", callers]
    options += ["--measurement-interval", str(interval_ms), "--bare", str(repository), "--json", "--quiet"]
    command = [sys.executable, "-m", "cocon.client", "bench", "--url", url, *options]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    facts: dict[str, Any] = json.loads(answer.stdout)
    return facts


def rows_of(level: dict[str, Any], batch_size: int) -> list[Row]:
    """Speed beside bare ONNX Runtime's, and what of a lone request's time it was being computed."""
    callers, server = level["concurrency"], level["server"][f"cocon_{VIEW}"]
    case = f"demo's {VIEW} encoder, {batch_size} a request, {callers} at a time"
    bare = f"bare ONNX Runtime, {level['bare']['callers']} at a time"
    latency_ms, infer_ms = level["latency_ms"]["mean"], server["compute_infer_ms"]
    rows = [Row(case, level["clips_per_s"], "clips/s", bare, level["bare"]["ratio"])]
    if callers == 1:  # several wait for each other
        rows.append(Row(f"{case}: latency", latency_ms, "ms", "its computing alone", round(infer_ms / latency_ms, 3)))
    return rows


if __name__ == "__main__":
    main()
