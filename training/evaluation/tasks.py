"""What a run can be evaluated by beside whole videos: `cocon evaluate --task`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from cocon.core.paths import check_folder
from cocon.core.progress import ProgressBar
from cocon.training.run_folder.files import RunFolder

__all__ = ["TASKS", "TaskRequest", "TaskResult", "evaluate_task"]

# Task → the module whose `evaluate` does it, and what its data is.
TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "localization": ("locating.task", "a folder of untrimmed videos with annotations.json"),
        "tracking": ("tracking.task", "a folder of videos with boxes"),
        "images": ("recognition.image_task", "a folder of images, train/CLASS/… and test/CLASS/…"),
    }
)


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What is to be evaluated.

    Attributes:
        run: whose encoders.
        data: the task's data.
        annotations: file of annotations, where it does not lie in `data`.
        has_random: also evaluate untrained networks of the same architecture.
        progress_bar: makes a bar from its description.
    """

    run: RunFolder
    data: Path
    annotations: Path | None
    has_random: bool
    progress_bar: ProgressBar


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Figures of a task.

    Attributes:
        title: of the table, with units.
        rows: flat, texts first (`method`, `view`, …), then figures; the same names in every row.
        failures: item → why it was left out.
    """

    title: str
    rows: tuple[Mapping[str, str | float], ...]
    failures: Mapping[str, str] = field(default_factory=dict)


def evaluate_task(task: str, request: TaskRequest) -> TaskResult:
    """Evaluate a run by one of `TASKS`.

    Raises:
        UsageError: the data is not what the task needs.
    """
    module, needs = TASKS[task]
    check_folder(request.data, "--data", remedy=f"--task {task} needs {needs}")
    evaluate: Callable[[TaskRequest], TaskResult] = import_module(f"cocon.training.evaluation.{module}").evaluate
    return evaluate(request)
