"""Several runs judged on the same videos, beside the untrained networks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cocon.core.printable import printable
from cocon.training.evaluation.recognition.evaluate import RANDOM, Videos, random_features, run_features, run_method
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import Merit
from cocon.training.evaluation.recognition.result import Judgement, JudgingOptions, judge_features
from cocon.training.run_folder.files import warn_if_incomplete

__all__ = ["Comparison", "compare_runs", "method_names"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was judged on the same videos.

    Attributes:
        untrained: of the untrained networks; None where they were not asked for.
        runs: of every run, in the order asked for.
        features: of the last run, split (`train`, `test`) → its videos.
    """

    untrained: Judgement | None
    runs: tuple[Judgement, ...]
    features: Mapping[str, VideoFeatures]

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """All of them, the untrained networks first."""
        return self.runs if self.untrained is None else (self.untrained, *self.runs)

    @property
    def merits(self) -> list[Merit]:
        """The rows of a table of all of them."""
        return [merit for judgement in self.judgements for merit in judgement.merits]


def compare_runs(runs: Sequence[Path], videos: Videos, options: JudgingOptions, *, has_random: bool) -> Comparison:
    """Judge runs, at least one, on the same videos.

    Args:
        runs: run folders; the last one is what the others are compared with.
        videos: the videos.
        options: what is counted.
        has_random: judge the untrained networks as well.

    Raises:
        UsageError: see `run_features` and `judge_features`.
        MismatchError, VideoError: see `video_features`.
    """
    names = method_names(runs, has_random=has_random)
    untrained = judge_features(random_features(videos), RANDOM, options) if has_random else None
    judged = []
    for run, name in zip(runs, names, strict=True):
        warn_if_incomplete(run)
        features = run_features(run, videos)
        judged.append(judge_features(features, name, options))
    return Comparison(untrained, tuple(judged), features)


def method_names(runs: Sequence[Path], *, has_random: bool) -> list[str]:
    """What to call each run: its method, with the folder where several rows of one table had the same name.

    Args:
        runs: run folders.
        has_random: whether the untrained networks are in the table; a run that was never pre-trained is `random` too.
    """
    methods = [run_method(run) for run in runs]
    counts = Counter([*methods, *([RANDOM] if has_random else [])])
    return [
        method if counts[method] == 1 else printable(f"{method} ({run})")
        for method, run in zip(methods, runs, strict=True)
    ]
