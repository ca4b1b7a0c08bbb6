"""How a run was trained and how good it is, as far as its folder tells: what model cards are written from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from cocon.training.checkpoint import run_config
from cocon.training.config import Config
from cocon.video.errors import MismatchError

__all__ = ["EVALUATION_FILE", "SUMMARY_FILE", "TrainingRecord", "training_of_run"]

SUMMARY_FILE = "complete.json"
EVALUATION_FILE = "evaluation.json"

# The clip, the views and the data have lines of their own on a card.
_TOLD_ELSEWHERE = frozenset(("views", "data", "clip", "view", "flow"))
_GENERATED_MARK = "generator.json"

_Content = TypeVar("_Content", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What is known of a training run; no path of the machine that it was made on.

    Attributes:
        data: name of the data folder.
        is_generated: its videos are generated figures, whose flow, pose and mask are exact.
        losses: the objective, such as `cocon`.
        epochs: of pre-training.
        seed: of all random numbers.
        recipe: section of the configuration → its settings, in words.
        num_videos: training videos; None while the run is not complete.
        minutes: of training; None if not known.
        license: SPDX identifier in lower case; None if nobody has said.
        merits: figures of `cocon evaluate --json`, a flat row per method and view.
    """

    data: str
    is_generated: bool
    losses: str
    epochs: int
    seed: int
    recipe: Mapping[str, str]
    num_videos: int | None = None
    minutes: float | None = None
    license: str | None = None
    merits: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def merits_of(self, *views: str) -> tuple[Mapping[str, Any], ...]:
        """Rows of these views; of all views if none is named."""
        return tuple(row for row in self.merits if not views or row["view"] in views)


def training_of_run(run: Path) -> TrainingRecord:
    """Read a run's configuration, its summary and, where `cocon evaluate` has been, its figures.

    Raises:
        UsageError: the folder is no run.
        MismatchError: its summary or its figures cannot be read.
    """
    config = run_config(run)
    summary = _read(run / SUMMARY_FILE, dict)
    rows = _read(run / EVALUATION_FILE, list)
    if not all(isinstance(row, dict) and {"method", "view"} <= row.keys() for row in rows):
        raise _unreadable(run / EVALUATION_FILE, "a row has no method or view")
    return TrainingRecord(
        data=config.data.folder.resolve().name,
        is_generated=bool(summary.get("generated", (config.data.folder / _GENERATED_MARK).is_file())),
        losses=config.loss.losses,
        epochs=config.training.epochs,
        seed=config.training.seed,
        recipe=dict(_recipe(config)),
        num_videos=summary.get("videos"),
        minutes=summary.get("minutes"),
        license=summary.get("license"),
        merits=tuple({name: value for name, value in row.items() if name != "per_class"} for row in rows),
    )


def _read(path: Path, kind: type[_Content]) -> _Content:
    """The file's JSON, of that kind; an empty one where there is no file."""
    if not path.is_file():
        return kind()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(content, kind):
        raise _unreadable(path, f"no {kind.__name__}")
    return content


def _unreadable(path: Path, problem: str) -> MismatchError:
    remedy = f"'cocon evaluate {path.parent} --json'" if path.name == EVALUATION_FILE else "'cocon train'"
    return MismatchError(f"'{path}' cannot be read ({problem}); delete it, and make it again with {remedy}")


def _recipe(config: Config) -> Iterator[tuple[str, str]]:
    """Sections of the resolved configuration, paths by their last name alone."""
    for section, settings in config.model_dump(exclude_none=True, exclude=set(_TOLD_ELSEWHERE)).items():
        if isinstance(settings, dict):
            yield section, ", ".join(f"{name} {_shown(value)}" for name, value in settings.items() if value != {})
        else:
            yield section, _shown(settings)


def _shown(value: object) -> str:
    if isinstance(value, PurePath):
        return value.name
    if isinstance(value, tuple | list):
        return " to ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
