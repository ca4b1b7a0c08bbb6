"""One embedding per video, one that keeps the order of its parts, and class probabilities where there is a classifier.

All are means over clips of the whole video, in one or several crops; clips are cut as for a served model.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cocon.core.errors import MismatchError, VideoError
from cocon.core.progress import OnProgress
from cocon.embedding.contract import ModelContract
from cocon.embedding.neighbours import unit_vectors
from cocon.training.data.frames import VideoFrames
from cocon.training.data.reading.decoded_video import DecodedVideo
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, ClipProtocol, EncodedBlocks, encode_blocks
from cocon.training.models.encoder import Encoder
from cocon.video.store.dataset import VideoEntry

__all__ = [
    "Encoders",
    "IndexedClips",
    "VideoFeatures",
    "calibrate_batch_norm",
    "labelled_videos",
    "ordered_feature",
    "video_features",
]

# View → encoder in evaluation mode, where it is to compute, and its contract.
Encoders = Mapping[str, tuple[Encoder, ModelContract]]

_NUM_PARTS = 3
_CLIPS_AT_A_TIME = 32


@dataclass(frozen=True, slots=True)
class IndexedClips:
    """What an index would hold of V videos: their clips side by side, video by video, in the centre crop.

    Attributes:
        vectors: view → unit vectors, `float32 [L, P·D]`.
        blocks: view → of each clip's blocks, `float16 [L, N, D]`.
        num_clips: of each video, `int64 [V]`.
    """

    vectors: Mapping[str, NDArray[np.float32]]
    blocks: Mapping[str, NDArray[np.float16]]
    num_clips: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VideoFeatures:
    """Embeddings of V videos in every view.

    Attributes:
        embeddings: view → unit vectors, the unit means of those of clips, `float32 [V, P·D]`.
        labels: class of each video, `str [V]`.
        groups: group of each video, `str [V]`.
        entries: the videos.
        probabilities: view → class probabilities by the classifier that was trained with the encoder,
            `float64 [V, K]`; empty where none was.
        classes: K class names, the columns of `probabilities`.
        ordered: view → unit vectors that keep the order of a video's thirds, `float32 [V, 3·D]`; see
            `ordered_feature`.
        clips: view → unit vectors of all clips, video by video, each the mean of its crops, `float32 [M, P·D]`; the
            same clips in all views.
        num_clips: of each video, `int64 [V]`; empty where `clips` is.
        indexed: what an index would hold of them; None where `clips` is empty.
    """

    embeddings: Mapping[str, NDArray[np.float32]]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    entries: tuple[VideoEntry, ...] = ()
    probabilities: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    ordered: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    clips: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    num_clips: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    indexed: IndexedClips | None = None


def video_features(
    encoders: Encoders,
    frames: VideoFrames,
    *,
    on_progress: OnProgress,
    protocol: ClipProtocol = DEFAULT_PROTOCOL,
    has_ordered: bool = True,
    has_clips: bool = True,
) -> VideoFeatures:
    """Embed and classify every video that has a label; one that fails to load is left out and remembered in `frames`.

    Args:
        encoders: see `Encoders`.
        frames: the videos.
        on_progress: called with (videos done, videos in all).
        protocol: which clips of a video.
        has_ordered: also compute ordered features.
        has_clips: also keep the clips one by one.

    Raises:
        MismatchError: the classifiers of two views know different classes.
        VideoError: no video that has a label can be loaded.
    """
    classes = _classes(encoders)
    entries: list[VideoEntry] = []
    seen: dict[str, list[_Seen]] = {view: [] for view in encoders}
    for video in labelled_videos(frames, on_progress=on_progress):
        for view, (encoder, contract) in encoders.items():
            blocks = encode_blocks(
                encoder, contract, video, protocol=protocol, has_dense=has_ordered, has_indexed=has_clips
            )
            seen[view].append(_seen(encoder, blocks, video, num_crops=protocol.num_crops, has_ordered=has_ordered))
        entries.append(video.entry)
    of_order, of_clips = seen if has_ordered else {}, seen if has_clips else {}
    of_classifier = {view: videos for view, videos in seen.items() if encoders[view][1].labels}
    return VideoFeatures(
        embeddings={view: np.stack([video.embedding for video in videos]) for view, videos in seen.items()},
        labels=np.array([entry.label for entry in entries]),
        groups=np.array([entry.group or entry.video_id for entry in entries]),
        entries=tuple(entries),
        probabilities={v: np.stack([video.probabilities for video in videos]) for v, videos in of_classifier.items()},
        classes=classes,
        ordered={view: np.stack([video.ordered for video in videos]) for view, videos in of_order.items()},
        clips={view: np.concatenate([video.clips for video in videos]) for view, videos in of_clips.items()},
        num_clips=np.array([len(video.clips) for video in next(iter(of_clips.values()), [])], np.int64),
        indexed=_indexed(of_clips) if has_clips else None,
    )


def labelled_videos(frames: VideoFrames, *, on_progress: OnProgress) -> Iterator[DecodedVideo]:
    """Every video that has a label; one that fails to load is left out and remembered in `frames`.

    Args:
        frames: the videos.
        on_progress: called with (videos done, videos in all).

    Raises:
        VideoError: no video that has a label can be loaded.
    """
    is_any = False
    for index, entry in enumerate(frames.entries):
        if entry.label and (video := frames[index]).entry is entry:
            is_any = True
            yield video
        on_progress(index + 1, len(frames))
    if not is_any:
        raise VideoError("none of the videos that have a label can be read; see the warnings, or label others")


def ordered_feature(
    blocks: NDArray[np.float32], seconds: NDArray[np.float64], duration_seconds: float
) -> NDArray[np.float32]:
    """Means of the blocks in the first, middle and last third of a video, one after the other.

    They tell what a video shows first, then and last, which the mean over all of it does not.

    Each mean is of unit length again and all are divided by √3, so the cosine of two ordered features is the mean of
    the cosines of their parts. A part in which no block lies takes the block nearest to its middle, or several that
    are equally near, such as the crops of one.

    Args:
        blocks: unit vectors of blocks in any order, a block that several clips share once for each,
            `float32 [M, D]`, M ≥ 1.
        seconds: middle of each block after the first frame, `float64 [M]`.
        duration_seconds: time of the last frame after the first; 0 of a single picture.

    Returns:
        Unit vector, `float32 [3·D]`.
    """
    part_seconds = duration_seconds / _NUM_PARTS
    positions = seconds / part_seconds if part_seconds > 0 else np.zeros_like(seconds)
    parts = np.clip(positions.astype(np.int64), 0, _NUM_PARTS - 1)  # [M]
    means = []
    for part in range(_NUM_PARTS):
        is_here = parts == part
        if not is_here.any():
            distances = np.abs(positions - (part + 0.5))
            is_here = distances <= distances.min() + 1e-9
        mean = blocks[is_here].mean(axis=0, dtype=np.float64)  # [D]
        means.append(mean / np.linalg.norm(mean))
    return (np.concatenate(means) / np.sqrt(_NUM_PARTS)).astype(np.float32)


@torch.no_grad()
def calibrate_batch_norm(encoder: Encoder, batches: Iterable[Tensor]) -> None:
    """Give an untrained encoder the running statistics of some batches, as training would have; leaves it in eval mode.

    Args:
        encoder: changed in place.
        batches: clips, each `uint8 [B, N, T, H, W, C]`.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    encoder.train()
    for clips in batches:
        encoder.feature_maps(clips)
    encoder.eval()


def _classes(encoders: Encoders) -> tuple[str, ...]:
    """The classes that the views' classifiers share; none where there is no classifier."""
    known = {view: contract.labels for view, (_, contract) in encoders.items() if contract.labels}
    first, labels = next(iter(known.items()), ("", ()))
    for view, others in known.items():
        if others != labels:
            raise MismatchError(
                f"classifiers of views '{first}' and '{view}' know different classes or another order of them; "
                "train them together"
            )
    return labels


class _Seen(NamedTuple):
    """What an encoder makes of a video."""

    embedding: NDArray[np.float32]  # [P·D]
    probabilities: NDArray[np.float64]  # [K]; empty without a classifier
    ordered: NDArray[np.float32]  # [3·D]; empty where not asked for
    clips: NDArray[np.float32]  # [K, P·D]
    indexed: NDArray[np.float32]  # unit vectors of clips, [L, P·D]
    indexed_blocks: NDArray[np.float32]  # of their blocks, [L, N, D]


@torch.no_grad()
def _seen(encoder: Encoder, blocks: EncodedBlocks, video: DecodedVideo, *, num_crops: int, has_ordered: bool) -> _Seen:
    """Unit mean of the clips' embeddings, mean of the class probabilities, the ordered feature, and the clips."""
    outputs = [encoder.outputs(maps.to(encoder.mean.device)) for maps in blocks.clips(_CLIPS_AT_A_TIME)]
    embeddings = torch.cat([output.embedding.float().cpu() for output in outputs])  # [crops·K, P·D]
    mean = embeddings.mean(dim=0)  # [P·D]
    chances = [output.logits.double().softmax(dim=1).cpu() for output in outputs if output.logits is not None]
    return _Seen(
        np.asarray((mean / mean.norm()).numpy(), dtype=np.float32),
        np.asarray(torch.cat(chances).mean(dim=0).numpy(), dtype=np.float64) if chances else np.empty(0),
        _ordered(blocks, video) if has_ordered else np.empty(0, np.float32),
        unit_vectors(embeddings.reshape(num_crops, -1, mean.shape[0]).mean(dim=0).numpy()),
        encoder.clip_vectors(blocks.indexed.to(encoder.mean.device)).cpu().numpy(),
        blocks.indexed.numpy(),
    )


def _indexed(of_views: Mapping[str, Sequence[_Seen]]) -> IndexedClips:
    blocks = {v: np.concatenate([video.indexed_blocks for video in videos]) for v, videos in of_views.items()}
    return IndexedClips(
        vectors={view: np.concatenate([video.indexed for video in videos]) for view, videos in of_views.items()},
        blocks={view: of.astype(np.float16) for view, of in blocks.items()},
        num_clips=np.array([len(video.indexed) for video in next(iter(of_views.values()))], np.int64),
    )


def _ordered(blocks: EncodedBlocks, video: DecodedVideo) -> NDArray[np.float32]:
    """The ordered feature of a video, `float32 [3·D]`."""
    return ordered_feature(
        blocks.dense.numpy(), blocks.dense_seconds, float(video.timestamps[-1] - video.timestamps[0])
    )
