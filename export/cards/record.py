"""How a run was trained and how good it is, as far as its folder tells: what model cards are written from."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

from cocon.core.errors import MismatchError
from cocon.core.paths import real_path
from cocon.embedding.contract import ModelContract
from cocon.training.config.method_sections import METHODS
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.metrics import LEARNED
from cocon.training.figures.settings import FigureSettings, UntrimmedSettings
from cocon.training.run_folder.files import EVALUATION_FILE, SUMMARY_FILE, VERDICT_FILE, RunFolder
from cocon.training.run_folder.length import TrainedLength
from cocon.training.run_folder.warm_start import named_sources

__all__ = ["EXACT_GENERATORS", "SaidGains", "TrainingRecord", "training_of_run"]

# The clip, the views and the data have lines of their own on a card.
_TOLD_ELSEWHERE = frozenset(("views", "data", "clip", "view", "flow", "trunk"))
_OBJECTIVES = frozenset(facts.section for facts in METHODS.values())
_GENERATED_MARK = "generator.json"
# Their flow, pose and mask are exact; those of other generators are estimated, or as if they were.
EXACT_GENERATORS = FigureSettings.generator, UntrimmedSettings.generator
_WEIGHT = "weight_retrieval_"

_Content = TypeVar("_Content", dict[str, Any], list[Any])


@dataclass(frozen=True, slots=True)
class SaidGains:
    """What a run says of itself at its end.

    Attributes:
        judged_on: which videos, in words.
        gains: other networks, `untrained` or `start` → points of per cent over them, and their standard error.
    """

    judged_on: str
    gains: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What is known of a training run; no path of the machine that it was made on.

    Attributes:
        data: name of the data folder.
        generator: name of what drew its videos; None where they were filmed. Those of some have exact views.
        length: of pre-training and of the classifiers.
        seed: of all random numbers.
        recipe: section of the configuration → its settings, in words; only what the run made use of, so nothing where
            its encoders were imported.
        classifier_mode: `frozen` or `finetune`, where there is a classifier.
        labels_left: number of labels that the encoders were fine-tuned with, whose classifier was left behind when the
            vectors changed.
        started_from: names of the runs whose encoders it started from.
        num_videos: training videos; None while the run is not complete.
        minutes: of training; None if not known.
        license: SPDX identifier in lower case; None if nobody has said.
        imported_from: whose released code wrote the files of the encoders; None if they were trained here.
        origins: view → `name`, `sha256` and `epoch` of the file that its encoder was imported from.
        calibrated: views whose statistics of batch normalisation were estimated at import.
        calibrated_on: name of the folder of the videos that they were estimated on.
        half_precision_cosine: smallest cosine between what the encoders gave before and after their weights were
            rounded to half precision; None if they were not.
        verdict: what it gained on held-out videos; None where none were held out.
        method: of all of its encoders together, as figures of the run are named.
        merits: figures of `cocon evaluate --json`, a flat row per method and view.
        encoders: view → fingerprint of the run's encoder.
    """

    data: str
    generator: str | None
    length: TrainedLength
    seed: int
    recipe: Mapping[str, str]
    classifier_mode: str = "frozen"
    labels_left: int = 0
    started_from: tuple[str, ...] = ()
    num_videos: int | None = None
    minutes: float | None = None
    license: str | None = None
    imported_from: str | None = None
    origins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibrated: tuple[str, ...] = ()
    calibrated_on: str | None = None
    half_precision_cosine: float | None = None
    verdict: SaidGains | None = None
    method: str = ""
    merits: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    encoders: Mapping[str, str] = field(default_factory=dict, repr=False)

    def merits_of(self, *views: str) -> tuple[Mapping[str, Any], ...]:
        """Rows of these views; of all views if none is named."""
        return tuple(row for row in self.merits if not views or row["view"] in views)

    def fusion_weights(self, contracts: Sequence[ModelContract]) -> dict[str, float] | None:
        """Weights of these encoders of the run, as `cocon evaluate` found them on the training videos.

        Returns:
            View → weight, positive, of which only the ratios matter; None where there are none of all of them, or those
            of several runs of one method, which cannot be told apart.
        """
        # Views whose methods differ have one row, of all of them together.
        methods = {contract.method for contract in contracts}
        method = methods.pop() if len(methods) == 1 else self.method
        rows = [row for row in self.merits_of(LEARNED) if row["method"] == method]
        names = {contract.view: f"{_WEIGHT}{contract.view}" for contract in contracts}
        if len(rows) != 1 or not set(names.values()) <= rows[0].keys():
            return None
        return {view: float(rows[0][name]) for view, name in names.items()}


def training_of_run(run: RunFolder) -> TrainingRecord:
    """Read a run's configuration, its summary and, where `cocon evaluate` has been, its figures.

    Raises:
        MismatchError: its summary, its figures or a contract cannot be read.
    """
    config = run.config
    summary = _read(run.path / SUMMARY_FILE, dict)
    rows = _read(run.path / EVALUATION_FILE, list)
    _check(rows, run.path / EVALUATION_FILE)
    saved = [view for view in config.views if run.files_of(view).has_encoder]
    imported_from, calibration = summary.get("imported_from"), summary.get("calibrated", {})
    starts = [real_path(path).name for path in named_sources(config).values()]
    return TrainingRecord(
        data=real_path(config.data.folder).name,
        generator=_generator(config, summary) if imported_from is None else None,
        length=TrainedLength.of(summary, config),
        seed=config.training.seed,
        recipe={} if imported_from is not None else dict(_recipe(config, _unused(config, summary), summary)),
        classifier_mode=config.classifier.mode,
        labels_left=int(summary.get("labels_left", 0)) if config.classifier.mode == "finetune" else 0,
        started_from=tuple(dict.fromkeys(starts)),
        num_videos=summary.get("videos"),
        minutes=summary.get("minutes"),
        license=summary.get("license"),
        imported_from=imported_from,
        origins=summary.get("files", {}),
        calibrated=tuple(calibration.get("views", ())),
        calibrated_on=calibration.get("data"),
        half_precision_cosine=summary.get("half_precision_cosine"),
        verdict=_verdict(run.path / VERDICT_FILE),
        method=run.method if saved else "",
        merits=tuple({name: value for name, value in row.items() if name != "per_class"} for row in rows),
        encoders={view: run.contract(view).fingerprint for view in saved},
    )


def _generator(config: Config, summary: Mapping[str, Any]) -> str | None:
    """A packed run says it, or once said only that there was one; others have their data."""
    if (said := summary.get("generated")) is not None:
        return (said if isinstance(said, str) else FigureSettings.generator) if said else None
    mark = config.data.folder / _GENERATED_MARK
    return str(_read(mark, dict).get("generator", FigureSettings.generator)) if mark.is_file() else None


def _verdict(path: Path) -> SaidGains | None:
    content = _read(path, dict)
    if not content:
        return None
    try:
        gains = {str(gain["over"]): (float(gain["points"]), float(gain["standard_error"])) for gain in content["gains"]}
        return SaidGains(str(content["judged_on"]), gains)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, f"no verdict: {error!r}") from error


def _check(rows: Sequence[Any], path: Path) -> None:
    """Refuse rows that are none, or whose weights nothing can be fused by."""
    if not all(isinstance(row, dict) and {"method", "view"} <= row.keys() for row in rows):
        raise _unreadable(path, "a row has no method or view")
    for name, weight in (item for row in rows for item in row.items() if item[0].startswith(_WEIGHT)):
        if not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise _unreadable(path, f"'{name}' is {weight!r}, not a positive number")


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


def _unused(config: Config, summary: Mapping[str, Any]) -> set[str]:
    """Sections that decided nothing in this run."""
    used = {config.objective_section} if TrainedLength.of(summary, config).epochs else set()
    of_pretraining = _OBJECTIVES - used | (set() if used else {"method", "optimizer"})
    has_classifier = summary.get("labels") != [] or bool(summary.get("labels_left"))
    return set(of_pretraining) | (set() if has_classifier else {"classifier"})


def _is_fitted(summary: Mapping[str, Any]) -> bool:
    """Whether the run's classifier was fitted at once, as runs say since that is so."""
    return summary.get("classifier") == "fitted"


def _recipe(config: Config, unused: set[str], summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sections of the resolved configuration, paths by their last name alone."""
    for section, settings in config.model_dump(exclude_none=True, exclude={*_TOLD_ELSEWHERE, *unused}).items():
        if section == "classifier" and _is_fitted(summary):
            yield section, f"head {settings['head']}, mode {settings['mode']}"
        elif isinstance(settings, dict):
            said = (f"{name} {_shown(value)}" for name, value in settings.items() if value not in ({}, ()))
            yield section, ", ".join(said)
        else:
            yield section, _shown(settings)


def _shown(value: object) -> str:
    if isinstance(value, PurePath):
        return value.name
    if isinstance(value, dict):
        return " ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, tuple | list):
        return " to ".join(map(_shown, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
