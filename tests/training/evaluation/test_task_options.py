"""`cocon evaluate --task`: options that mean nothing to the task are refused, not passed over."""

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

Outcome = tuple[int, str, str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "tracking", "--annotations", "a.json"], "--task tracking does not take --annotations"),
        (["--annotations", "a.json"], "--task videos does not take --annotations"),
        (
            ["--task", "localization", "--crops", "1", "--report", "page", "--baseline", "b", "--confusion", "c.csv"],
            "--task localization does not take --baseline, --crops, --confusion, --report",
        ),
        (
            ["--task", "images", "--per-class", "--centred", "--few-shot", "--paper-weights", "--hop-blocks", "2"],
            "--task images does not take --hop-blocks, --centred, --few-shot, --paper-weights, --per-class",
        ),
    ],
)
def test_options_of_other_tasks_are_refused_in_a_line(
    arguments: list[str], message: str, trained: Path, tmp_path: Path, cocon: Callable[..., Outcome]
) -> None:
    code, output, errors = cocon("evaluate", trained, "--data", tmp_path, *arguments)
    assert (code, output) == (2, "")
    assert message in errors and errors.count("\n") == 1


def test_threads_are_taken_by_every_task_and_bounded(
    trained: Path, tmp_path: Path, cocon: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COCON_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OPENCV_FOR_THREADS_NUM", "1")
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        for task, threads in (("videos", 2), ("images", 3)):
            code, _, _ = cocon(
                "evaluate", trained, "--data", tmp_path / "none", "--task", task, "--threads", str(threads)
            )
            assert (code, torch.get_num_threads(), cv2.getNumThreads()) == (2, threads, threads)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    code, _, errors = cocon("evaluate", trained, "--threads", "1025")
    assert code == 2 and "--threads" in errors and "1024" in errors


def test_options_of_the_task_are_taken(trained: Path, figures: Path, cocon: Callable[..., Outcome]) -> None:
    options = ["--no-random", "--json", "--annotations", figures / "none.json"]
    code, _, errors = cocon("evaluate", trained, "--data", figures, "--task", "localization", *options)
    assert code == 2 and "none.json' cannot be read" in errors
