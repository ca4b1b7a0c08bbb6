"""Several runs evaluated on the same videos, beside the untrained networks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cocon.core.printable import printable
from cocon.training.evaluation.recognition.baselines import Baseline, check_baseline, evaluate_baseline
from cocon.training.evaluation.recognition.differences import Difference, differences
from cocon.training.evaluation.recognition.evaluate import (
    EvaluationVideos,
    evaluate_random,
    judged_views,
    run_features,
)
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import ViewMetrics
from cocon.training.evaluation.recognition.result import EvaluationResult, MetricOptions, evaluate_features
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.warm_start import RANDOM

__all__ = ["ComparedRuns", "compare_runs", "method_names"]


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """What was evaluated on the same videos.

    Attributes:
        untrained: of the untrained networks; None where they were not asked for.
        runs: of every run, in the order asked for.
        features: of the last run, split (`train`, `test`) → its videos.
        baselines: of what no network is needed for, one row each.
    """

    untrained: EvaluationResult | None
    runs: tuple[EvaluationResult, ...]
    features: Mapping[str, VideoFeatures]
    baselines: tuple[EvaluationResult, ...] = ()

    @property
    def results(self) -> tuple[EvaluationResult, ...]:
        """All of them: the untrained networks, the baselines, the runs."""
        return (*(() if self.untrained is None else (self.untrained,)), *self.baselines, *self.runs)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What the last run gains over each of the others."""
        *others, last = self.results
        return tuple(found for other in others for found in differences(last, other))

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Why classifiers are not judged, a sentence each."""
        return tuple(result.not_judged for result in self.results if result.not_judged)

    @property
    def metrics(self) -> list[ViewMetrics]:
        """The rows of a table of all of them."""
        return [row for result in self.results for row in result.metrics]


def compare_runs(
    runs: Sequence[RunFolder],
    videos: EvaluationVideos,
    options: MetricOptions,
    *,
    has_random: bool,
    baselines: Sequence[Baseline] = (),
) -> ComparedRuns:
    """Evaluate runs, at least one, on the same videos.

    Args:
        runs: run folders; the last one is what the others are compared with.
        videos: the videos.
        options: what is counted.
        has_random: evaluate the untrained networks as well.
        baselines: what needs no network, to be evaluated as well.

    Raises:
        UsageError: see `run_features` and `evaluate_features`.
        MismatchError, VideoError: see `video_features`, and `check_baseline`.
    """
    for run in runs:  # what cannot be judged is said before any video is read
        judged_views(run, videos)
    for baseline in baselines:
        check_baseline(baseline, videos)
    names = method_names(runs, has_random=has_random)
    untrained = evaluate_random(videos, options=options) if has_random else None
    evaluated = []
    for run, name in zip(runs, names, strict=True):
        run.warn_if_incomplete()
        features = run_features(run, videos)
        evaluated.append(evaluate_features(features, name, options))
    beside = tuple(evaluate_baseline(name, videos, options) for name in baselines)
    return ComparedRuns(untrained, tuple(evaluated), features, beside)


def method_names(runs: Sequence[RunFolder], *, has_random: bool) -> list[str]:
    """What to call each run: its method, with the folder where several rows of one table had the same name.

    Args:
        runs: run folders.
        has_random: whether the untrained networks are in the table; a run that was never pre-trained is `random` too.
    """
    methods = [run.method for run in runs]
    counts = Counter([*methods, *([RANDOM] if has_random else [])])
    return [
        method if counts[method] == 1 else printable(f"{method} ({run})")
        for method, run in zip(methods, runs, strict=True)
    ]
