"""Which vectors are best: every way to make them judged on a held-out part of the training videos, all in one pass.

    figures = compare_ways({"rgb": run.encoder("rgb")}, frames, on_progress=bar)
    best = best_way(figures)

Test videos take no part. A probe learns on the other training videos, among which the held-out ones look for those of
their class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.core.progress import OnProgress
from cocon.embedding.contract import ModelContract
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.frames import VideoFrames
from cocon.training.data.loader import view_requests
from cocon.training.data.preparation.stored_views import check_views
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, encode_blocks
from cocon.training.evaluation.recognition.features import Encoders, VideoFeatures, labelled_videos
from cocon.training.evaluation.recognition.metrics import FUSED
from cocon.training.evaluation.recognition.result import MetricOptions, evaluate_features
from cocon.training.loop.online import held_out
from cocon.training.models.encoder import Encoder
from cocon.training.repooling.encoders import WAYS, Way, repooled

__all__ = ["WayFigures", "best_way", "compare_ways", "training_videos"]

_CLIPS_AT_A_TIME = 32
_OPTIONS = MetricOptions(ensembles=("equal",))


@dataclass(frozen=True, slots=True)
class WayFigures:
    """How good the vectors are that one way makes, of a view or of all views together.

    Attributes:
        way: how feature maps become vectors.
        view: name of the view, or `ensemble`.
        vector_dim: numbers of a clip's vector.
        probe_top1: linear probe on the held-out videos, per cent.
        recall_at_1: of the held-out videos, the others being searched, per cent.
        num_videos: held-out videos.
    """

    way: Way
    view: str
    vector_dim: int
    probe_top1: float
    recall_at_1: float
    num_videos: int


def compare_ways(
    encoders: Encoders, frames: VideoFrames, *, on_progress: OnProgress, ways: Sequence[Way] = WAYS
) -> list[WayFigures]:
    """Judge ways to make vectors on a quarter of the groups of training videos; each video is encoded once.

    Args:
        encoders: view → encoder in evaluation mode and contract; not changed.
        frames: training videos.
        on_progress: called with (videos done, videos in all).
        ways: that are compared; those that need more places than a view's feature map has are left out.

    Returns:
        A row for each way and view, and where there are several for all of them.

    Raises:
        UsageError: labelled videos are of one group or, but for those held out, of one class.
        VideoError: no video that has a label can be loaded.
    """
    found: dict[Way, dict[str, list[NDArray[np.float32]]]] = {}
    entries = []
    made = {view: [(way, repooled(*each, way)[0]) for way in ways] for view, each in encoders.items()}
    for video in labelled_videos(frames, on_progress=on_progress):
        entries.append(video.entry)
        for view, (encoder, contract) in encoders.items():
            maps = _clip_maps(encoder, contract, video)
            for way, other in made[view]:
                if way.cells <= min(maps[0].shape[-2:]):
                    found.setdefault(way, {}).setdefault(view, []).append(_embedding(other, maps))
    labels = np.array([entry.label for entry in entries])
    groups = np.array([entry.group or entry.video_id for entry in entries])
    is_held_out = _checked(held_out(groups), labels)
    rows: list[WayFigures] = []
    for way, views in found.items():
        if views.keys() == encoders.keys():
            embeddings = {view: np.stack(vectors) for view, vectors in views.items()}
            rows += _figures(way, embeddings, labels, groups, is_held_out)
    return rows


def training_videos(config: Config, views: Sequence[str], *, are_labelled: bool = True) -> VideoFrames:
    """The training videos of a configuration, in some of its views.

    Args:
        config: of the dataset, geometry and clips.
        views: that are read.
        are_labelled: leave out those without a label.

    Raises:
        UsageError: the dataset cannot be opened, or none of its training videos has a label where they must.
        MissingViewError: stored views do not suit more of them than may fail.
    """
    dataset = open_dataset(config.data)
    entries = [entry for entry in dataset.split("train") if entry.label or not are_labelled]
    if not entries:
        raise UsageError(f"dataset '{dataset.root}' has no labelled training videos; name --pooling and --cells")
    requests = {view: request for view, request in view_requests(config).items() if view in views}
    check_views(entries, dataset.root, requests, config.data, is_trained=False)
    return VideoFrames(
        entries,
        dataset.root,
        requests,
        cache_gib=0,
        grid=config.clip.spec(),
        makes_people=config.data.views_on_the_fly,
    )


def best_way(figures: Sequence[WayFigures]) -> Way:
    """The way of the best sum of probe and R@1, of all views or the only one; of equals the shortest vectors."""
    judged = [row for row in figures if row.view == FUSED] or list(figures)
    return max(judged, key=lambda row: (row.probe_top1 + row.recall_at_1, -row.vector_dim)).way


def _checked(is_held_out: NDArray[np.bool_], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    if not is_held_out.any() or len(np.unique(labels[~is_held_out])) < 2:
        raise UsageError(
            "vectors are chosen on held-out groups of labelled training videos, of which there must be two, with two "
            "classes besides those held out; name --pooling and --cells"
        )
    return is_held_out


@torch.no_grad()
def _clip_maps(encoder: Encoder, contract: ModelContract, video: DecodedVideo) -> list[torch.Tensor]:
    """Feature maps of the clips of a video, some at a time: `float [≤ 32, N, channels, s, s]`."""
    blocks = encode_blocks(encoder, contract, video, protocol=DEFAULT_PROTOCOL, has_dense=False)
    return list(blocks.clips(_CLIPS_AT_A_TIME))


@torch.no_grad()
def _embedding(encoder: Encoder, maps: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    """Unit mean of the vectors of a video's clips, `float32 [P·D]`."""
    mean = torch.cat([encoder.clip_vectors(encoder.block_vectors(some)) for some in maps]).mean(dim=0)
    return np.asarray((mean / mean.norm()).numpy(), np.float32)


def _figures(
    way: Way,
    embeddings: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    is_held_out: NDArray[np.bool_],
) -> Iterator[WayFigures]:
    features = {}
    for split, chosen in (("train", ~is_held_out), ("test", is_held_out)):
        vectors = {view: of[chosen] for view, of in embeddings.items()}
        features[split] = VideoFeatures(vectors, labels[chosen], groups[chosen])
    dims = {view: of.shape[1] for view, of in embeddings.items()}
    for row in evaluate_features(features, str(way), _OPTIONS).metrics:
        yield WayFigures(
            way, row.view, dims.get(row.view, sum(dims.values())), row.probe_top1, row.recall[1], row.num_questions
        )
