"""Cores that a process may use: those it may run on, the time its container has, what it is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.video.workers.cores import cgroup_quotas, num_cores

COUNT = "from cocon.video.workers.cores import num_cores; print(num_cores())"


def _quotas(tmp_path: Path, of_process: str, files: dict[str, str]) -> list[float]:
    (tmp_path / "of_process").write_text(of_process)
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sorted(cgroup_quotas(tmp_path / "of_process", tmp_path / "cgroup"))


@pytest.mark.parametrize(
    ("of_process", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, [1.5]),
        ("0::/\n", {"cpu.max": "max 100000\n"}, []),
        ("0::/a/b\n", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "400000 100000"}, [2.0, 4.0]),
        ("0::/a\n", {"b/cpu.max": "100000 100000"}, []),  # another's
        # The file system of a container shows its own group alone, whatever it is called outside.
        (
            "4:memory:/x\n3:cpu,cpuacct:/docker/1\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
            [3.0],
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        ("no group", {}, []),
    ],
)
def test_the_quota_of_a_container_is_read(
    of_process: str, files: dict[str, str], expected: list[float], tmp_path: Path
) -> None:
    assert _quotas(tmp_path, of_process, files) == expected


def test_a_process_counts_the_cores_that_it_may_run_on() -> None:
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); {COUNT}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("0", 1), ("0" * 5000 + "2", 2)])
def test_what_is_told_counts(told: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCON_THREADS", told)
    assert num_cores() == expected


@pytest.mark.parametrize("told", ["1025", "9" * 5000])
def test_more_than_any_machine_has_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCON_THREADS", told)
    with pytest.raises(UsageError, match=r"^COCON_THREADS is [0-9]{4,20}; it must be at most 1024"):
        num_cores()


def test_nonsense_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COCON_THREADS", raising=False)
    expected = num_cores()
    monkeypatch.setenv("COCON_THREADS", "many")
    assert num_cores() == expected
