"""Figures of merit of a run: linear probe and retrieval, per view and fused, beside a random initialisation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cocon.embedding.contract import ModelContract
from cocon.embedding.fusion import fuse_embeddings
from cocon.training.checkpoint import contract_of, load_encoder, run_config, run_views
from cocon.training.config import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import clip_batches, view_requests
from cocon.training.evaluation.features import VideoFeatures, calibrate_batch_norm, video_features
from cocon.training.evaluation.probe import linear_probe
from cocon.training.evaluation.retrieval import recall_at_k
from cocon.training.loop import build_method
from cocon.training.methods.cpc import PredictiveNetwork
from cocon.training.models.encoder import Encoder
from cocon.training.runs import ProgressBar
from cocon.video.errors import UsageError
from cocon.video.reader import ViewRequest

__all__ = ["FUSED", "Merit", "Videos", "judge", "judge_random", "judge_run"]

FUSED = "ensemble"
_KS = (1, 5, 10, 20)
_CALIBRATION_BATCHES = 10


@dataclass(frozen=True, slots=True)
class Merit:
    """How good one view's embeddings are; all figures in per cent.

    Attributes:
        method: `random`, `cpc`, … or what the run was trained with.
        view: name of the view, or `ensemble` for all of them fused.
        probe_top1: linear probe, top-1.
        recall: k → R@k.
    """

    method: str
    view: str
    probe_top1: float
    recall: Mapping[int, float]

    def to_dict(self) -> dict[str, object]:
        """Flat, for tables and JSON."""
        return {key: value for key, value in asdict(self).items() if key != "recall"} | {
            f"R@{k}": value for k, value in self.recall.items()
        }


class Videos:
    """Training and test videos of a dataset, decoded once for all the encoders that are judged on them.

    Args:
        config: geometry and dataset folder.
        progress_bar: makes a bar from its description.

    Raises:
        UsageError: a split has no labelled videos, or training videos are all of one class.
    """

    def __init__(self, config: Config, *, progress_bar: ProgressBar) -> None:
        dataset = open_dataset(config.data)
        self.config = config
        self.progress_bar = progress_bar
        self.frames: dict[str, VideoFrames] = {}
        for split in ("train", "test"):
            entries = dataset.split(split)
            if not any(entry.label for entry in entries):
                raise UsageError(
                    f"dataset '{dataset.root}' has no labelled videos in split '{split}'; see manifest.csv"
                )
            if split == "train" and len(dataset.labels) < 2:
                raise UsageError(
                    f"dataset '{dataset.root}' has only the class '{dataset.labels[0]}' in split 'train'; "
                    "a probe needs two"
                )
            gib = config.data.cache_gib / 2
            self.frames[split] = VideoFrames(entries, dataset.root, view_requests(config), cache_gib=gib)

    def features(
        self, encoders: Mapping[str, Encoder], contracts: Mapping[str, ModelContract], what: str
    ) -> dict[str, VideoFeatures]:
        """Embeddings of both splits."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        moved = {view: encoder.to(device) for view, encoder in encoders.items()}
        found = {}
        for split, frames in self.frames.items():
            with self.progress_bar(f"embedding {split} videos with {what}") as on_progress:
                found[split] = video_features(moved, contracts, frames, device=device, on_progress=on_progress)
        return found


def judge_run(run: Path, videos: Videos) -> list[Merit]:
    """Judge a training run on the videos; raises `UsageError` if it was trained with other views, clips or geometry."""
    loaded = {view: load_encoder(run, view) for view in run_views(run)}
    requests, clip = view_requests(videos.config), videos.config.clip.spec()
    for view, (_, contract) in loaded.items():
        if requests.get(view) != ViewRequest(contract.geometry, contract.flow) or contract.clip != clip:
            raise UsageError(f"run '{run}' has other views, clips or geometry than the run it is compared with")
    encoders = {view: encoder for view, (encoder, _) in loaded.items()}
    contracts = {view: contract for view, (_, contract) in loaded.items()}
    method = run_config(run).loss.losses
    return judge(videos.features(encoders, contracts, str(run)), method)


def judge_random(videos: Videos) -> list[Merit]:
    """Judge the same networks untrained, batch normalisation calibrated on ten training batches."""
    config = videos.config
    torch.manual_seed(config.training.seed)
    encoders: dict[str, Encoder] = {}
    for view, network in build_method(config).networks.items():
        assert isinstance(network, PredictiveNetwork)
        encoders[view] = network.encoder
    batches = list(
        clip_batches(
            videos.frames["train"],
            config,
            (),
            first_step=0,
            num_steps=_CALIBRATION_BATCHES,
            seed=config.training.seed,
        )
    )
    for view, encoder in encoders.items():
        calibrate_batch_norm(encoder, (batch["clips"][view] for batch in batches))
    contracts = {v: contract_of(config, v, encoder, method="random", labels=()) for v, encoder in encoders.items()}
    return judge(videos.features(encoders, contracts, "untrained networks"), "random")


def judge(features: Mapping[str, VideoFeatures], method: str) -> list[Merit]:
    """Figures of every view and, if there are several, of their fusion.

    The fused probe is the mean of the views' class probabilities, the fused retrieval uses the fused embedding.
    """
    train, test = features["train"], features["test"]
    probabilities = {
        view: linear_probe(embeddings, train.labels, train.groups, test.embeddings[view])
        for view, embeddings in train.embeddings.items()
    }
    merits = [
        Merit(
            method,
            view,
            _top1(scores, train, test),
            _recall(train.embeddings[view], test.embeddings[view], train, test),
        )
        for view, scores in probabilities.items()
    ]
    if len(probabilities) > 1:
        mean = np.mean(list(probabilities.values()), axis=0)
        fused = _recall(fuse_embeddings(train.embeddings), fuse_embeddings(test.embeddings), train, test)
        merits.append(Merit(method, FUSED, _top1(mean, train, test), fused))
    return merits


def _top1(scores: NDArray[np.float64], train: VideoFeatures, test: VideoFeatures) -> float:
    predicted = np.unique(train.labels)[scores.argmax(axis=1)]
    return 100.0 * float((predicted == test.labels).mean())


def _recall(
    gallery: NDArray[np.float32], queries: NDArray[np.float32], train: VideoFeatures, test: VideoFeatures
) -> dict[int, float]:
    shares = recall_at_k(queries, test.labels, gallery, train.labels, ks=_KS)
    return {k: 100.0 * share for k, share in shares.items()}
