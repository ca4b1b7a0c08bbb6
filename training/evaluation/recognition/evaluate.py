"""A run evaluated on whole videos: linear probe and retrieval, per view and fused, beside a random initialisation."""

import logging
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from cocon.core.errors import UsageError
from cocon.core.printable import printable
from cocon.core.progress import ProgressBar
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.data.preparation.stored_views import check_views
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
from cocon.training.run_folder.warm_start import RANDOM
from cocon.video.reading.reader import ViewRequest
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.files import remedy, view_path
from cocon.video.views import VIEWS

__all__ = [
    "EvaluationVideos",
    "evaluate_random",
    "evaluate_run",
    "judged_views",
    "run_features",
    "untrained_encoder",
    "untrained_encoders",
]

_logger = logging.getLogger(__name__)

_CALIBRATION_BATCHES = 10


class EvaluationVideos:
    """Training and test videos of a dataset, decoded once for all the encoders that are evaluated on them.

    Args:
        config: geometry and dataset folder.
        progress_bar: makes a bar from its description.
        protocol: which clips of a video.
        views: those that are judged, in any order; without, all of the configuration but those of people that are
            stored for no video, which is said.

    Attributes:
        views: those that are judged, in the order of the configuration.

    Raises:
        UsageError: a split has no labelled videos, or training videos are all of one class; the configuration has not
            one of the views.
        MissingViewError: none of the videos has stored views that suit.
    """

    def __init__(
        self,
        config: Config,
        *,
        progress_bar: ProgressBar,
        protocol: ClipProtocol = DEFAULT_PROTOCOL,
        views: Sequence[str] = (),
    ) -> None:
        dataset = open_dataset(config.data)
        self.config = config
        self.views = _views_to_judge(config, dataset, views)
        self.progress_bar = progress_bar
        self.protocol = protocol
        self._root = dataset.root
        self._beside: dict[str, dict[str, VideoFrames]] = {}
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
                self.requests,
                cache_gib=config.data.cache_gib / 2,
                grid=config.clip.spec(),
                makes_people=config.data.views_on_the_fly,
            )
        self._judged = [entry for frames in self.frames.values() for entry in frames.entries if entry.label]
        check_views(self._judged, dataset.root, self.requests, config.data, is_trained=False)

    @property
    def requests(self) -> dict[str, ViewRequest]:
        """View → what is needed of it."""
        return {view: request for view, request in view_requests(self.config).items() if view in self.views}

    @property
    def failures(self) -> dict[str, str]:
        """Id → reason of every video that could not be loaded so far; each was logged when it failed."""
        splits = (self.frames, *self._beside.values())
        return {name: why for each in splits for frames in each.values() for name, why in frames.failures.items()}

    def with_view(self, view: str) -> dict[str, VideoFrames]:
        """Split → its videos, which have this view; nothing of it is kept where no encoder is judged by it.

        Raises:
            MissingViewError: none of the videos has a stored view that suits.
        """
        if view in self.views:
            return self.frames
        if view not in self._beside:
            request = ViewRequest(self.config.geometry(view), self.config.flow_spec(view))
            check_views(self._judged, self._root, {view: request}, self.config.data, is_trained=False)
            self._beside[view] = {
                split: VideoFrames(
                    frames.entries, self._root, {view: request}, cache_gib=0, grid=self.config.clip.spec()
                )
                for split, frames in self.frames.items()
            }
        return self._beside[view]

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
        UsageError: see `judged_views`.
    """
    return videos.features({view: run.encoder(view) for view in judged_views(run, videos)}, str(run))


def judged_views(run: RunFolder, videos: EvaluationVideos) -> tuple[str, ...]:
    """The views by which a run is judged on the videos; no encoder is loaded for that.

    Raises:
        UsageError: the run has none of those that are judged, or was trained with other views, clips or geometry than
            the videos are cut for.
    """
    left_out = set(videos.config.views) - set(videos.views)
    views = tuple(view for view in run.views if view not in left_out)
    if not views:
        raise UsageError(
            f"run '{run}' has no encoder of the views that are judged ({', '.join(videos.views)}); it has: "
            f"{', '.join(run.views)}; leave it out, or judge other views"
        )
    requests, clip = videos.requests, videos.config.clip.spec()
    for view in views:
        contract = run.contract(view)
        if requests.get(view) != ViewRequest(contract.geometry, contract.flow) or contract.clip != clip:
            raise UsageError(f"run '{run}' has other views, clips or geometry than the run it is compared with")
    return views


def untrained_encoders(
    config: Config, frames: VideoFrames, views: Sequence[str] = (), *, num_batches: int = _CALIBRATION_BATCHES
) -> Encoders:
    """The networks of a configuration untrained, batch normalisation calibrated on batches of training videos.

    Args:
        config: of a run.
        frames: training videos.
        views: those that the videos have; all of the configuration by default. A network is the same whichever there
            are.
        num_batches: to calibrate on.
    """
    # In this process: what is decoded here is needed again, and a video that fails is named once.
    config = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    torch.manual_seed(config.training.seed)
    encoders = {view: encoder for view, encoder in build_method(config).encoders.items() if view in (views or (view,))}
    drawn = config.model_copy(update={"views": tuple(encoders)})
    batches = list(clip_batches(frames, drawn, first_step=0, num_steps=num_batches))
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
    return evaluate_features(run_features(run, videos), run.method, options)


def _views_to_judge(config: Config, dataset: DatasetFolder, asked: Sequence[str]) -> tuple[str, ...]:
    """Those asked for, or all but those that nobody has made; in the order of the configuration."""
    if unknown := [view for view in asked if view not in config.views]:
        raise UsageError(f"the run has no encoder of view '{printable(unknown[0])}'; it has: {', '.join(config.views)}")
    if asked:
        return tuple(view for view in config.views if view in asked)
    missing = [view for view in config.views if not _is_to_be_had(view, config, dataset)]
    kept = tuple(view for view in config.views if view not in missing)
    if missing and kept:
        made_by = remedy(dataset.root, missing[0])
        _logger.warning(
            "not judged: %s, stored for no video of '%s'; make it: %s",
            ", ".join(missing), printable(dataset.root), made_by,
        )  # fmt: skip
    return kept or config.views


def _is_to_be_had(view: str, config: Config, dataset: DatasetFolder) -> bool:
    """Whether a view is made while videos are read, or stored for any of them."""
    makers = ("user",) if config.data.views_on_the_fly else ("user", "people")
    return VIEWS[view].maker not in makers or any(
        view_path(dataset.root, view, entry.store_id).is_file() for entry in dataset.videos
    )


def evaluate_random(videos: EvaluationVideos, *, options: MetricOptions = DEFAULT_OPTIONS) -> EvaluationResult:
    """Figures of the same networks untrained."""
    encoders = untrained_encoders(videos.config, videos.frames["train"], videos.views)
    return evaluate_features(videos.features(encoders, "untrained networks"), RANDOM, options)
