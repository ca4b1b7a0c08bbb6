"""What an index records, as values, and what vectors may enter it."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError
from cocon.core.printable import escaped

__all__ = ["CacheFacts", "IndexFacts", "IndexedVideo", "Moment", "check_vectors"]

_UNIT_TOLERANCE = 1e-3


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

    def row(self) -> dict[str, object]:
        """The fields by name; `video` is the path's written form (`printable.escaped`)."""
        return asdict(self) | {"video": escaped(self.video)}


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


def check_vectors(vectors: NDArray[np.float32], embedding_dim: int, *, source: str) -> None:
    """Raise `MismatchError` unless `vectors` is `float32 [K, embedding_dim]`, finite and of unit length.

    FAISS itself accepts NaN and vectors of any length, and answers with nonsense.
    """
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != embedding_dim:
        found = f"{vectors.dtype} {list(vectors.shape)}"
        raise MismatchError(f"vectors of {source} are {found}, must be float32 [K, {embedding_dim}]")
    if not np.isfinite(vectors).all():
        raise MismatchError(f"vectors of {source} are not finite")
    worst = float(np.abs(np.linalg.norm(vectors, axis=1) - 1.0).max(initial=0.0))
    if worst > _UNIT_TOLERANCE:
        raise MismatchError(f"vectors of {source} are off unit length by {worst:.4f}, must be within {_UNIT_TOLERANCE}")
