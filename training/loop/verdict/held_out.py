"""Judging encoders on videos that they are not trained on, cheaply: few clips of each video, few others to learn from.

held_out = HeldOut(config, frames.for_judging(), held, "62 held-out training videos")
held_out.figures(method.encoders)["probe_top1/rgb"]
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from cocon.core.progress import no_progress
from cocon.training.config.run import Config
from cocon.training.data.frames import VideoFrames
from cocon.training.evaluation.recognition.blocks import ClipProtocol
from cocon.training.evaluation.recognition.features import VideoFeatures, video_features
from cocon.training.evaluation.recognition.result import EvaluationResult, MetricOptions, evaluate_features
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.view_files import contract_of

__all__ = ["HeldOut", "evaluating", "figures_of_merit"]

# Two clips of each video: its beginning and its end.
_CLIPS = ClipProtocol(num_clips=2)
# What is learned from and searched: more would be judged longer than trained.
_MOST_KNOWN = 300
_OPTIONS = MetricOptions(ensembles=("equal",))


class HeldOut:
    """Judges encoders on held-out videos; changes neither them nor any random number.

    Args:
        config: geometry, clips and views.
        train: training videos, of which at most 300 labelled ones are learned from.
        held: videos to judge by, with labels.
        judged_on: which those are, in words.

    Attributes:
        judged_on: likewise.
    """

    def __init__(self, config: Config, train: VideoFrames, held: VideoFrames, judged_on: str) -> None:
        self.judged_on = judged_on
        self._config = config
        labelled = np.array([position for position, entry in enumerate(train.entries) if entry.label])
        drawn = np.random.default_rng(config.training.seed).permutation(len(labelled))[:_MOST_KNOWN]
        self._known = train.only(np.sort(labelled[drawn]).tolist())
        self._held = held

    def results(self, networks: Mapping[str, Mapping[str, Encoder]]) -> dict[str, EvaluationResult]:
        """Judge several networks side by side; every video is decoded once.

        Args:
            networks: name → view → encoder, of the configured architecture or another of its views.

        Returns:
            Name → figures: linear probe and retrieval, per view and fused.

        Raises:
            VideoError: no labelled video can be read.
            UsageError: of those that can be read, too few are left to learn from.
        """
        with evaluating(encoder for encoders in networks.values() for encoder in encoders.values()):
            features = {"train": self._features(networks, self._known), "test": self._features(networks, self._held)}
        return {
            name: evaluate_features(
                {split: _of_network(found, name, encoders) for split, found in features.items()}, name, _OPTIONS
            )
            for name, encoders in networks.items()
        }

    def figures(self, encoders: Mapping[str, Encoder]) -> dict[str, float]:
        """Figures of merit in per cent, such as `probe_top1/rgb` and `R@1/ensemble`; raises like `results`."""
        return figures_of_merit(self.results({"": encoders})[""])

    def _features(self, networks: Mapping[str, Mapping[str, Encoder]], frames: VideoFrames) -> VideoFeatures:
        method = self._config.method
        contracted = {
            _key(name, view): (encoder, contract_of(self._config, view, encoder, method=method, labels=()))
            for name, encoders in networks.items()
            for view, encoder in encoders.items()
        }
        return video_features(
            contracted,
            frames,
            on_progress=no_progress,
            protocol=_CLIPS,
            has_ordered=False,
            has_clips=False,
        )


def figures_of_merit(result: EvaluationResult) -> dict[str, float]:
    """Figures in per cent by what they are and of which view, such as `probe_top1/rgb` and `R@1/ensemble`."""
    found: dict[str, float] = {}
    for row in result.metrics:
        found[f"probe_top1/{row.view}"] = row.probe_top1
        found |= {f"R@{k}/{row.view}": value for k, value in row.recall.items()}
    return found


@contextmanager
def evaluating(encoders: Iterable[Encoder]) -> Iterator[None]:
    """Evaluation mode while the block runs."""
    modes = [(encoder, encoder.training) for encoder in encoders]
    for encoder, _ in modes:
        encoder.eval()
    try:
        yield
    finally:
        for encoder, mode in modes:
            encoder.train(mode)


def _key(name: str, view: str) -> str:
    return f"{name}/{view}"


def _of_network(found: VideoFeatures, name: str, encoders: Mapping[str, Encoder]) -> VideoFeatures:
    return VideoFeatures(
        embeddings={view: found.embeddings[_key(name, view)] for view in encoders},
        labels=found.labels,
        groups=found.groups,
        entries=found.entries,
    )
