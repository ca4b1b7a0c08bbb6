"""A run evaluated on whole videos: linear probe and retrieval, per view and fused, beside a random initialisation."""

from collections.abc import Iterable

import torch
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.core.progress import ProgressBar
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, ClipProtocol
from cocon.training.evaluation.recognition.features import (
    Encoders,
    VideoFeatures,
    calibrate_batch_norm,
    video_features,
)
from cocon.training.evaluation.recognition.result import (
    DEFAULT_OPTIONS,
    EvaluationResult,
    MetricOptions,
    evaluate_features,
)
from cocon.training.methods.building import build_method
from cocon.training.models.encoder import Encoder, default_device
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.view_files import contract_of
from cocon.video.reading.reader import ViewRequest

__all__ = [
    "RANDOM",
    "EvaluationVideos",
    "evaluate_random",
    "evaluate_run",
    "run_features",
    "run_method",
    "untrained_encoder",
    "untrained_encoders",
]

RANDOM = "random"
_CALIBRATION_BATCHES = 10


class EvaluationVideos:
    """Training and test videos of a dataset, decoded once for all the encoders that are evaluated on them.

    Args:
        config: geometry and dataset folder.
        progress_bar: makes a bar from its description.
        protocol: which clips of a video.

    Raises:
        UsageError: a split has no labelled videos, or training videos are all of one class.
    """

    def __init__(self, config: Config, *, progress_bar: ProgressBar, protocol: ClipProtocol = DEFAULT_PROTOCOL) -> None:
        dataset = open_dataset(config.data)
        self.config = config
        self.progress_bar = progress_bar
        self.protocol = protocol
        self.inputs = [*dataset.files, *(config.data.split_files.iterdir() if config.data.split_files else ())]
        self.frames: dict[str, VideoFrames] = {}
        for split in ("train", "test"):
            entries = dataset.split(split)
            if not any(entry.label for entry in entries):
                raise UsageError(
                    f"dataset '{dataset.root}' has no labelled videos in split '{split}'; name them in "
                    "manifest.csv, or let them lie in train/CLASS and test/CLASS"
                )
            if split == "train" and len(dataset.labels) < 2:
                raise UsageError(
                    f"dataset '{dataset.root}' has only the class '{dataset.labels[0]}' in split 'train'; "
                    "a probe needs two"
                )
            self.frames[split] = VideoFrames(
                entries,
                dataset.root,
                view_requests(config),
                cache_gib=config.data.cache_gib / 2,
                grid=config.clip.spec(),
                makes_people=config.data.views_on_the_fly,
            )

    @property
    def failures(self) -> dict[str, str]:
        """Id → reason of every video that could not be loaded so far; each was logged when it failed."""
        return {name: why for frames in self.frames.values() for name, why in frames.failures.items()}

    def features(self, encoders: Encoders, what: str) -> dict[str, VideoFeatures]:
        """Embeddings of both splits, `train` and `test`."""
        for encoder, _ in encoders.values():
            encoder.to(default_device())
        found = {}
        for split, frames in self.frames.items():
            with self.progress_bar(f"embedding {split} videos with {what}") as on_progress:
                found[split] = video_features(encoders, frames, on_progress=on_progress, protocol=self.protocol)
        return found


def run_features(run: RunFolder, videos: EvaluationVideos) -> dict[str, VideoFeatures]:
    """Embed the videos with the encoders of a training run.

    Returns:
        Split → embeddings.

    Raises:
        UsageError: the run was trained with other views, clips or geometry than the videos are cut for.
    """
    encoders = {view: run.encoder(view) for view in run.views}
    requests, clip = view_requests(videos.config), videos.config.clip.spec()
    for view, (_, contract) in encoders.items():
        if requests.get(view) != ViewRequest(contract.geometry, contract.flow) or contract.clip != clip:
            raise UsageError(f"run '{run}' has other views, clips or geometry than the run it is compared with")
    return videos.features(encoders, str(run))


def untrained_encoders(config: Config, frames: VideoFrames) -> Encoders:
    """The networks of a configuration untrained, batch normalisation calibrated on ten batches of training videos.

    Args:
        config: of a run.
        frames: training videos.
    """
    # In this process: what is decoded here is needed again, and a video that fails is named once.
    config = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    torch.manual_seed(config.training.seed)
    encoders = build_method(config).encoders
    batches = list(clip_batches(frames, config, first_step=0, num_steps=_CALIBRATION_BATCHES))
    for view, encoder in encoders.items():
        calibrate_batch_norm(encoder, (batch["clips"][view] for batch in batches))
    return {
        view: (encoder, contract_of(config, view, encoder, method=RANDOM, labels=()))
        for view, encoder in encoders.items()
    }


def untrained_encoder(config: Config, view: str, batches: Iterable[Tensor]) -> Encoder:
    """One network of a configuration untrained, batch normalisation calibrated on clips `uint8 [B, N, T, H, W, C]`."""
    torch.manual_seed(config.training.seed)
    encoder = build_method(config).encoders[view]
    calibrate_batch_norm(encoder, batches)
    return encoder


def evaluate_run(
    run: RunFolder, videos: EvaluationVideos, *, options: MetricOptions = DEFAULT_OPTIONS
) -> EvaluationResult:
    """Figures of a training run on the videos; raises like `run_features`."""
    return evaluate_features(run_features(run, videos), run_method(run), options)


def run_method(run: RunFolder) -> str:
    """How a run's encoders were pre-trained, as their contracts say; joined by `+` where views differ."""
    return "+".join(dict.fromkeys(run.contract(view).method for view in run.views))


def evaluate_random(videos: EvaluationVideos, *, options: MetricOptions = DEFAULT_OPTIONS) -> EvaluationResult:
    """Figures of the same networks untrained."""
    encoders = untrained_encoders(videos.config, videos.frames["train"])
    return evaluate_features(videos.features(encoders, "untrained networks"), RANDOM, options)
