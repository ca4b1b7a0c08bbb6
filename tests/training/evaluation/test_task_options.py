"""`cocon evaluate --task`: options that mean nothing to the task are refused, not passed over."""

from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_options_of_the_task_are_taken(trained: Path, figures: Path, cocon: Callable[..., Outcome]) -> None:
    options = ["--no-random", "--json", "--annotations", figures / "none.json"]
    code, _, errors = cocon("evaluate", trained, "--data", figures, "--task", "localization", *options)
    assert code == 2 and "none.json' cannot be read" in errors
