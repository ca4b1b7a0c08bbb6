"""Which labelled videos a classifier learns from, where it is asked what a few labels of each class would do."""

from collections.abc import Sequence

import numpy as np

from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames

__all__ = ["drawn_of_each_class", "with_few_labels"]


def with_few_labels(frames: VideoFrames, config: Config) -> VideoFrames:
    """The labelled videos that a run's classifier learns from: all, or `classifier.labels_per_class` of each class."""
    per_class = config.classifier.labels_per_class
    if not per_class:
        return frames
    return frames.only(drawn_of_each_class([entry.label for entry in frames.entries], per_class, config.training.seed))


def drawn_of_each_class(labels: Sequence[str], per_class: int, seed: int) -> list[int]:
    """Positions of so many videos of each class, sorted, or of all where a class has no more.

    Args:
        labels: of the videos.
        per_class: videos of each class.
        seed: another one draws others.
    """
    rng = np.random.default_rng([per_class, seed])
    names = np.array(labels)
    of_classes = [np.flatnonzero(names == name) for name in np.unique(names)]
    drawn = [rng.permutation(positions)[:per_class] for positions in of_classes]
    return sorted(np.concatenate(drawn).tolist()) if drawn else []
