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
    """

    case: str
    value: float
    unit: str
    versus: str
    ratio: float


def write_results(name: str, rows: Sequence[Row], *, packages: Sequence[str]) -> Path:
    """Write the rows with the machine, the date and the versions of the packages that matter; returns the path."""
    content = {
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
        "rows": [asdict(row) for row in rows],
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
