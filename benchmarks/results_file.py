"""Write `benchmarks/results/<name>.json`, from which `docs/performance.md` is made."""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["Row", "write_results"]

_FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement against an alternative timed alternately with it.

    Attributes:
        case: what was measured.
        value: the figure.
        unit: of the value.
        versus: the alternative, by name.
        ratio: above 1 where ours is better.
        wanted: the least ratio that was asked for; None where none was. `docs/performance.md` says which fall short.
    """

    case: str
    value: float
    unit: str
    versus: str
    ratio: float
    wanted: float | None = None


def write_results(name: str, rows: Sequence[Row], *, packages: Sequence[str]) -> Path:
    """Write the rows with the machine, its load, the date and the versions of the packages that matter.

    Args:
        name: of the benchmark.
        rows: what it measured.
        packages: whose versions matter.

    Returns:
        The file written. Its `load` has the mean number of processes that wanted a core during the last 1, 5 and 15
        minutes: the benchmark's own, and those that disturbed it.
    """
    content = {
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}",
        "load": [round(mean, 1) for mean in os.getloadavg()],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "rows": [{key: value for key, value in asdict(row).items() if value is not None} for row in rows],
    }
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{name}.json"
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
