"""Judging the encoders while they are trained (`training.probe_every_epochs`): linear probe and retrieval.

Figures by which training is steered must not come from test videos: judged are those that are held out to judge by
(`HeldOut`); where none are, the videos of split `val` if the dataset has any with a label, else a quarter of the groups
of the training videos, which the probe does not see.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from cocon.core.errors import UsageError
from cocon.core.progress import no_progress
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.features import VideoFeatures, video_features
from cocon.training.evaluation.recognition.result import evaluate_features
from cocon.training.loop.verdict.held_out import evaluating, figures_of_merit
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.view_files import contract_of

__all__ = ["EncoderJudge", "OnlineProbe", "held_out"]

_FOLDS = 4


class EncoderJudge(Protocol):
    """Judges encoders while they are trained: `OnlineProbe`, or `HeldOut` where videos are held out."""

    judged_on: str

    def figures(self, encoders: Mapping[str, Encoder]) -> dict[str, float]:
        """Figures of merit in per cent, such as `probe_top1/rgb` and `R@1/ensemble`."""
        ...


class OnlineProbe:
    """Judges encoders on videos that are not test videos; changes neither them nor any random number.

    Args:
        config: geometry, clips and views.
        train: training videos.
        val: videos of split `val`, or None where the dataset has none.

    Attributes:
        judged_on: which videos the figures are of, in words.

    Raises:
        UsageError: there is nothing to judge on, or what is left to learn from has fewer than two classes.
    """

    def __init__(self, config: Config, train: VideoFrames, val: VideoFrames | None) -> None:
        self._config = config
        self._train = train
        self._val = val if val is not None and any(entry.label for entry in val.entries) else None
        self.judged_on = "held-out groups of split 'train'" if self._val is None else "split 'val'"
        labelled = [entry for entry in train.entries if entry.label]
        labels = np.array([entry.label for entry in labelled])
        groups = np.array([entry.group or entry.video_id for entry in labelled])
        _check(labels, held_out(groups) if self._val is None else None)

    def figures(self, encoders: Mapping[str, Encoder]) -> dict[str, float]:
        """Figures of merit in per cent, such as `probe_top1/rgb` and `R@1/ensemble`.

        Raises:
            VideoError: no labelled video can be read.
            UsageError: of those that can be read, too few are left to learn from or to judge on.
        """
        with evaluating(encoders.values()):
            return figures_of_merit(evaluate_features(self._features(encoders), self._config.method))

    def _features(self, encoders: Mapping[str, Encoder]) -> dict[str, VideoFeatures]:
        contracted = {
            view: (encoder, contract_of(self._config, view, encoder, method=self._config.method, labels=()))
            for view, encoder in encoders.items()
        }

        def of(frames: VideoFrames) -> VideoFeatures:
            return video_features(contracted, frames, on_progress=no_progress, has_ordered=False, has_clips=False)

        train = of(self._train)
        if self._val is not None:
            _check(train.labels, None)
            return {"train": train, "test": of(self._val)}
        is_held_out = held_out(train.groups)
        _check(train.labels, is_held_out)
        return {"train": _those(train, ~is_held_out), "test": _those(train, is_held_out)}


def held_out(groups: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Which videos to judge on, about a quarter in whole groups and always the same; none if all are of one group."""
    chosen = np.zeros(len(groups), dtype=bool)
    num_folds = min(_FOLDS, len(np.unique(groups)))
    if num_folds > 1:
        _, indices = next(GroupKFold(num_folds).split(groups, groups=groups))
        chosen[indices] = True
    return chosen


def _check(labels: NDArray[np.str_], is_held_out: NDArray[np.bool_] | None) -> None:
    """Raise `UsageError` unless there is something to judge on and two classes to learn from."""
    if is_held_out is not None and not is_held_out.any():
        raise UsageError(
            "training.probe_every_epochs needs labelled training videos of two groups, or a split 'val', to "
            "judge on others than it learns from; set it to 0"
        )
    if len(np.unique(labels if is_held_out is None else labels[~is_held_out])) < 2:
        raise UsageError(
            "training.probe_every_epochs needs labelled training videos of two classes besides those held out; "
            "set it to 0"
        )


def _those(features: VideoFeatures, chosen: NDArray[np.bool_]) -> VideoFeatures:
    return VideoFeatures(
        embeddings={view: vectors[chosen] for view, vectors in features.embeddings.items()},
        labels=features.labels[chosen],
        groups=features.groups[chosen],
        entries=tuple(entry for entry, is_chosen in zip(features.entries, chosen, strict=True) if is_chosen),
    )
