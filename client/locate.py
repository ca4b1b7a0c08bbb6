"""Actions of an untrimmed video: when each begins and ends, and what it is.

embedder = VideoEmbedder(url, views=("rgb",))
boundaries = connect(url).open(BOUNDARY_MODEL, "rgb")
embedder.hop_frames = dense_hop(embedder.model.clip, boundaries.contract.hop_frames)
locate_actions(embedder, boundaries, "long.mp4", name_by_classifier(embedder.model))
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from cocon.client.classify import check_labels
from cocon.client.index.folder import VideoIndex
from cocon.client.pipeline.block_order import ordered_blocks
from cocon.client.pipeline.video_embedder import VideoEmbedder
from cocon.client.pipeline.video_embedding import Row, VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.embedding.locating.boundary_model import BoundaryModel
from cocon.embedding.locating.detection import find_segments, label_segments, members, segment_embeddings
from cocon.embedding.locating.proposals import Segment
from cocon.embedding.locating.suppression import distinct_segments
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.clips import ClipSpec

__all__ = [
    "LocatedAction",
    "Namer",
    "check_boundaries",
    "dense_hop",
    "locate_actions",
    "name_by_classifier",
    "name_by_index",
]

# As judged; most are much like better ones and a label may change their order, so more are looked at than asked for.
_NUM_SEGMENTS = 100

Vectors = NDArray[np.float32]
Times = NDArray[np.float64]
Namer = Callable[[VideoEmbedding, Sequence[Segment], Vectors], list[Segment]]
"""Names S segments of a video whose vectors, like those of clips, are `float32 [S, D]`, and scores them anew."""


@dataclass(frozen=True, slots=True)
class LocatedAction:
    """One action of one video.

    Attributes:
        start_seconds: After the first frame.
        end_seconds: Likewise.
        label: What it is; None where nothing was asked that could tell.
        score: Of the segment, times the share of the label; higher is better.
    """

    start_seconds: float
    end_seconds: float
    label: str | None
    score: float

    def row(self) -> Row:
        """The fields by name."""
        return asdict(self)


def dense_hop(spec: ClipSpec, hop_frames: int) -> int:
    """Largest hop of clips with which a block begins every `hop_frames`, but for the first and last of a video.

    Args:
        spec: Geometry of the clips.
        hop_frames: Grid frames from the start of a block to that of the next, as the boundary model wants it.

    Returns:
        Grid frames from the start of a clip to that of the next.
    """
    starts = range(0, spec.num_frames, spec.frames_per_block)

    def has_all(hop: int) -> bool:
        # Clips begin at the multiples of `hop`, so their blocks begin where those of one clip do, modulo `hop`.
        return set(range(0, hop, math.gcd(hop, hop_frames))) <= {start % hop for start in starts}

    return next(hop for hop in range(spec.num_frames, 0, -1) if has_all(hop))


def check_boundaries(model: FusedModel, boundaries: BoundaryModel) -> None:
    """Raise `MismatchError` unless the boundary model was trained on this encoder's blocks."""
    view = boundaries.contract.view
    if list(model.models) != [view]:
        raise MismatchError(f"a boundary model of view '{view}' does not fit blocks of view {model.view}")
    encoder = model.models[view]
    boundaries.contract.check_encoder(
        encoder.contract, source=f"the boundary model of '{encoder.name}' version {encoder.version}"
    )


def locate_actions(
    embedder: VideoEmbedder,
    boundaries: BoundaryModel,
    video: str | PathLike[str],
    name: Namer | None = None,
    *,
    top: int = 10,
    min_score: float = 0.0,
) -> list[LocatedAction]:
    """Find the actions of a video.

    Args:
        embedder: Of the one view that the boundary model is of; see `dense_hop`.
        boundaries: Its boundary model.
        video: The file.
        name: Says what segments show; they stay without labels if None.
        top: Most actions to return.
        min_score: Those that score less are left out.

    Returns:
        The best first; none overlaps a better one by a tIoU of more than a half.

    Raises:
        VideoError: The video cannot be decoded, or lacks the view.
        UsageError: The file does not exist, or an index that should name actions does not, or knows no labels.
        ServerError: The server does not answer.
        MismatchError: Encoder, boundary model and index do not belong together.
    """
    check_boundaries(embedder.model, boundaries)
    embedding = embedder.embed(video)
    embedding.check_complete()
    contract, spec = boundaries.contract, embedder.model.clip
    blocks = ordered_blocks(embedding, spec)
    begins, vectors = blocks.at_hop(contract.hop_frames)
    times_seconds = begins + (spec.frames_per_block - 1) / 2 * blocks.step_seconds  # mean of a block's frames
    segments = find_segments(
        boundaries.probabilities(vectors[None])[0],
        times_seconds,
        duration_seconds=float(blocks.ends[-1]),
        min_seconds=contract.min_seconds,
        max_seconds=contract.max_seconds,
        max_segments=max(_NUM_SEGMENTS, top),
    )
    if name is not None and segments:
        segments = name(embedding, segments, _shown(embedder.model, embedding, segments, vectors, times_seconds))
    return [_located(segment) for segment in distinct_segments(segments)[:top] if segment.score >= min_score]


def _shown(
    model: FusedModel, embedding: VideoEmbedding, segments: Sequence[Segment], blocks: Vectors, seconds: Times
) -> Vectors:
    """A vector of each segment like those of clips: of its blocks, or of its clips where only the model makes those."""
    (encoder,) = (each.contract.encoder for each in model.models.values())
    if not encoder.pools_whole_clips:
        return segment_embeddings(blocks, seconds, segments, num_parts=encoder.num_parts)
    middles = (embedding.start_seconds + embedding.end_seconds) / 2  # [K]
    return segment_embeddings(embedding.embedding, middles, segments)


def name_by_classifier(model: FusedModel) -> Namer:
    """Name segments by the mean class probabilities of the clips whose middle lies in them.

    Raises:
        MismatchError: The encoder has no classifier.
    """
    classes = check_labels(model)

    def name(embedding: VideoEmbedding, segments: Sequence[Segment], vectors: Vectors) -> list[Segment]:
        assert embedding.probabilities is not None
        middles = (embedding.start_seconds + embedding.end_seconds) / 2  # [K]
        means = [embedding.probabilities[members(middles, segment)].mean(axis=0) for segment in segments]
        return label_segments(segments, np.stack(means), classes)

    return name


def name_by_index(index: VideoIndex, model: FusedModel) -> Namer:
    """Name segments by the vote of the labelled videos of an index: see `classify_by_index`.

    The very file that is asked about has no vote, wherever it lies. A segment that is less similar than strangers are
    has the label of the best class all the same, and a lower score.

    Raises:
        UsageError: The index does not exist, or none of its videos has a label.
        MismatchError: It was made by another model, or is damaged.
    """
    index.check_model(model)
    voters = index.voters()

    def name(embedding: VideoEmbedding, segments: Sequence[Segment], vectors: Vectors) -> list[Segment]:
        num_clips = np.ones(len(vectors), np.int64)
        shares = voters.shares(vectors, num_clips, [embedding.content_sha256] * len(vectors), has_copies=True)
        named = label_segments(segments, shares[:, :-1], voters.classes)
        return [segment if segment.score else replace(segment, label="") for segment in named]

    return name


def _located(segment: Segment) -> LocatedAction:
    start, end = round(segment.start_seconds, 3), round(segment.end_seconds, 3)
    return LocatedAction(start, end, segment.label or None, round(segment.score, 6))
