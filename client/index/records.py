"""What an index records, as values."""

from dataclasses import dataclass

__all__ = ["CacheFacts", "IndexFacts", "IndexedVideo", "Moment"]


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What an index is made for; fixed when it is made.

    Attributes:
        views: Views that are fused, in alphabetical order.
        fingerprint: Identity of what the vectors mean.
        embedding_dim: D.
        model: Name of the model that made the first vectors.
    """

    views: tuple[str, ...]
    fingerprint: str
    embedding_dim: int
    model: str


@dataclass(frozen=True, slots=True)
class IndexedVideo:
    """One video of an index.

    Attributes:
        video: Absolute path.
        label: From the dataset's manifest, or None.
        num_clips: Clips.
        duration_seconds: End of the last clip.
        overlap: Share of a clip that the next one repeats.
        content_sha256: Of the file when it was embedded.
    """

    video: str
    label: str | None
    num_clips: int
    duration_seconds: float
    overlap: float
    content_sha256: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One clip of an index.

    Attributes:
        video: Absolute path.
        start_seconds: Relative to the first frame.
        end_seconds: Likewise.
        label: Of the video.
    """

    video: str
    start_seconds: float
    end_seconds: float
    label: str | None


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """What a saved FAISS index must agree with.

    Attributes:
        generation: Of the catalogue it was built from.
        count: Vectors in it.
        embedding_dim: D.
        views: Views that were fused.
        fingerprint: Identity of what the vectors mean.
    """

    generation: int
    count: int
    embedding_dim: int
    views: tuple[str, ...]
    fingerprint: str
