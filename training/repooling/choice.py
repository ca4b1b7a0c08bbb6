"""Which vectors are best: every way to make them judged by videos that training holds out, all in one pass.

    found = compare_ways({"rgb": run.encoder("rgb")}, judged_videos(run, run.config), seed=0, progress_bar=bar)
    found.best["rgb"]       # a way

Test videos take no part. A probe learns on other training videos, among which the held-out ones look for those of their
class. Ways may differ from view to view: the order of a motion is in flow already, where it is not in a single picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from cocon.core.errors import UsageError
from cocon.core.progress import ProgressBar
from cocon.embedding.contract import LEARNED_POOLING, ModelContract
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, encode_blocks
from cocon.training.evaluation.recognition.features import Encoders, VideoFeatures, labelled_videos
from cocon.training.evaluation.recognition.metrics import FUSED
from cocon.training.evaluation.recognition.result import MetricOptions, evaluate_features
from cocon.training.models.encoder import Encoder
from cocon.training.repooling.encoders import WAYS, Way, repooled
from cocon.training.repooling.learned import blocks_of_videos, fit_pooling
from cocon.training.repooling.videos import JudgedVideos

__all__ = ["WayComparison", "WayFigures", "best_ways", "compare_ways"]

_CLIPS_AT_A_TIME = 32
_OPTIONS = MetricOptions(ensembles=("equal",))
# A pooling that is only compared learns from so many: more would take longer than what it is compared with.
_MOST_LEARNED_FROM = 300


@dataclass(frozen=True, slots=True)
class WayFigures:
    """How good the vectors are that one way makes, of a view or of all views together.

    Attributes:
        way: how feature maps become vectors; None where each view has its best.
        view: name of the view, or `ensemble`.
        vector_dim: numbers of a clip's vector.
        probe_top1: linear probe on the held-out videos, per cent.
        recall_at_1: of the held-out videos, the others being searched, per cent.
        num_videos: held-out videos.
    """

    way: Way | None
    view: str
    vector_dim: int
    probe_top1: float
    recall_at_1: float
    num_videos: int


@dataclass(frozen=True, slots=True)
class WayComparison:
    """What was found.

    Attributes:
        rows: of each way each view and, where all views have it, all together; at the end all together, each in its
            best way.
        best: view → the best way.
    """

    rows: tuple[WayFigures, ...]
    best: Mapping[str, Way]


@dataclass(slots=True)
class _Vectors:
    """Of some videos: way → view → unit vectors, and what the videos are."""

    of: dict[Way, dict[str, list[NDArray[np.float32]]]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def features(self, ways: Mapping[str, Way]) -> VideoFeatures:
        """Of some views, each in its way."""
        vectors = {view: np.stack(self.of[way][view]) for view, way in ways.items()}
        return VideoFeatures(vectors, np.array(self.labels), np.array(self.groups))


def compare_ways(
    encoders: Encoders, videos: JudgedVideos, *, seed: int, progress_bar: ProgressBar, ways: Sequence[Way] = WAYS
) -> WayComparison:
    """Judge ways to make vectors; each video is encoded once, and before where a pooling is learned.

    Args:
        encoders: view → encoder in evaluation mode and contract; not changed.
        videos: to learn from, and to judge by.
        seed: of what is learned.
        progress_bar: shows how many videos were looked at.
        ways: that are compared; of each view those for which its feature maps have places enough.

    Raises:
        UsageError: there are fewer than two classes to learn from.
        VideoError: no video that has a label can be loaded.
    """
    if len({entry.label for entry in videos.known.entries}) < 2:
        raise UsageError(
            "vectors are compared where there are two classes besides the videos held out; name --pooling and --cells"
        )
    made = {view: dict(_made(*each, ways)) for view, each in encoders.items()}
    _learn(encoders, made, videos.known, seed=seed, progress_bar=progress_bar)
    found = {}
    for split, frames in (("train", videos.known), ("test", videos.held)):
        found[split] = _vectors(encoders, made, frames, progress_bar)
    rows = [row for way in ways for row in _figures(found, {view: way for view in encoders if way in made[view]})]
    rows = [row for row in rows if row.view != FUSED or all(row.way in of for of in made.values())]
    best = best_ways(rows)
    if len(set(best.values())) > 1:
        rows += [row for row in _figures(found, best) if row.view == FUSED]
    return WayComparison(tuple(rows), best)


def best_ways(figures: Sequence[WayFigures]) -> dict[str, Way]:
    """View → the way of the best sum of probe and R@1; of equals the shortest vectors."""
    best: dict[str, WayFigures] = {}
    for row in figures:
        if row.view != FUSED and (row.view not in best or _merit(row) > _merit(best[row.view])):
            best[row.view] = row
    return {view: row.way for view, row in best.items() if row.way is not None}


def _merit(row: WayFigures) -> tuple[float, int]:
    return row.probe_top1 + row.recall_at_1, -row.vector_dim


@torch.no_grad()
def _made(encoder: Encoder, contract: ModelContract, ways: Sequence[Way]) -> Iterator[tuple[Way, Encoder]]:
    """The ways that are for an encoder, and it in each; what is to be learned is not yet."""
    one_block = torch.zeros((1, 1, *contract.clip_shape[1:]), dtype=torch.uint8, device=encoder.mean.device)
    side = min(encoder.feature_maps(one_block).shape[-2:])
    for way in ways:
        if way.cells <= side and (way.pooling != LEARNED_POOLING or contract.clip.num_blocks > 1):
            yield way, repooled(encoder, contract, way)[0]


def _learn(
    encoders: Encoders,
    made: Mapping[str, Mapping[Way, Encoder]],
    frames: VideoFrames,
    *,
    seed: int,
    progress_bar: ProgressBar,
) -> None:
    """Fit what is learned of a way that is compared, never to held-out videos."""
    drawn = np.random.default_rng(seed).permutation(len(frames))[:_MOST_LEARNED_FROM]
    some = frames.only(np.sort(drawn).tolist())
    for way in dict.fromkeys(way for of in made.values() for way in of if way.pooling == LEARNED_POOLING):
        learning = {view: (of[way], encoders[view][1]) for view, of in made.items() if way in of}
        with progress_bar(f"learning to pool ({way})") as on_progress:
            blocks = blocks_of_videos(learning, some, on_progress=on_progress)
        for view, (encoder, _) in learning.items():
            fit_pooling(encoder, blocks[view], seed=seed)


def _vectors(
    encoders: Encoders, made: Mapping[str, Mapping[Way, Encoder]], frames: VideoFrames, progress_bar: ProgressBar
) -> _Vectors:
    found = _Vectors()
    with progress_bar("comparing vectors on training videos") as on_progress:
        for video in labelled_videos(frames, on_progress=on_progress):
            found.labels.append(video.entry.label)
            found.groups.append(video.entry.group or video.entry.video_id)
            for view, each in encoders.items():
                maps = _clip_maps(*each, video)
                for way, encoder in made[view].items():
                    found.of.setdefault(way, {}).setdefault(view, []).append(_embedding(encoder, maps))
    return found


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


def _figures(found: Mapping[str, _Vectors], ways: Mapping[str, Way]) -> Iterator[WayFigures]:
    """Of views each in its way, and of all of them."""
    if not ways:
        return
    features = {split: vectors.features(ways) for split, vectors in found.items()}
    dims = {view: of.shape[1] for view, of in features["test"].embeddings.items()}
    way = next(iter(ways.values())) if len(set(ways.values())) == 1 else None
    for row in evaluate_features(features, str(way), _OPTIONS).metrics:
        dim = dims.get(row.view, sum(dims.values()))
        yield WayFigures(way, row.view, dim, row.probe_top1, row.recall[1], row.num_questions)
