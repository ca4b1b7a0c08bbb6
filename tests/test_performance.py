"""The page of figures says what the benchmarks wrote, and no benchmark is forgotten."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


def python(code: str) -> str:
    """What a program in the benchmarks' folder prints."""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, timeout=300, check=False
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_the_page_is_what_the_results_say() -> None:
    command = [sys.executable, str(BENCHMARKS / "performance.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_page_says_what_falls_short() -> None:
    code = (
        "from performance import Results, page\nfrom results_file import Row\n"
        "rows = [Row('fast', 1234.56, 'clips/s', 'the other | one', 0.5, 0.9), Row('slow', 2, 's', 'it', 1.25, 1.2)]\n"
        "print(page([Results('serving', 'through Triton', 'a machine', '2026-01-01', [1.5], {'numpy': '1'}, rows)]))"
    )
    text = python(code)
    assert "| through Triton | fast | 1,235 clips/s | the other \\| one | **0.50** | 0.9 |" in text
    assert "| through Triton | slow | 2 s | it | 1.25 | 1.2 |" in text
    assert "| `serving` | a machine | 1.5 | 2026-01-01 | numpy 1 |" in text


def test_every_benchmark_that_writes_results_is_run_and_told() -> None:
    known = set(
        json.loads(python("import json; from catalogue import BENCHMARKS as B; print(json.dumps([b.name for b in B]))"))
    )
    writing = {path.stem for path in BENCHMARKS.glob("*.py") if re.search(r"write_results\(\s*\"", path.read_text())}
    assert writing == known
    assert {path.stem for path in (BENCHMARKS / "results").glob("*.json")} - known == set()


def test_one_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    code = (
        "import every, catalogue, pathlib, sys, os\n"
        f"every.FOLDER = pathlib.Path({str(tmp_path)!r})\n"
        "ran = [catalogue.Benchmark(name, name) for name in ('broken', 'sound')]\n"
        "print(every.run_all(ran, every.FOLDER, None), flush=True)"
    )
    (tmp_path / "broken.py").write_text("raise SystemExit(7)")
    (tmp_path / "sound.py").write_text("print('sound ran')")
    shown = python(code)
    assert "sound ran" in shown
    assert "exit status 7" in shown
    assert "'sound'" not in shown.splitlines()[-1]


def test_the_picture_is_drawn_of_any_results(tmp_path: Path) -> None:
    code = (
        "import pathlib\nfrom performance import Results\nfrom performance_plot import draw\n"
        "from results_file import Row\n"
        "rows = [Row('a' * 200, 1, 's', 'b' * 200, 0.001, 0.9), Row('c', 2, 's', 'it', 300.0)]\n"
        f"draw([Results('x', 'y', 'm', 'd', [], {{}}, rows)], pathlib.Path({str(tmp_path / 'plot.png')!r}))"
    )
    python(code)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
