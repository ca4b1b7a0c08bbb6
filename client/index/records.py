"""What an index records, as values, and what vectors may enter it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.moments import LabelledMoment, moments_of, with_moments
from cocon.core.errors import (
    MismatchError,
    NoVideoStreamError,
    TooLargeError,
    TruncatedVideoError,
    UnreadableVideoError,
)
from cocon.core.printable import escaped, printable, unescaped
from cocon.embedding.repository import variant_of
from cocon.embedding.videos.fused_model import FusedModel

__all__ = [
    "FailedFile",
    "IndexFacts",
    "IndexedVideo",
    "RowFacts",
    "check_fingerprint",
    "check_vectors",
    "is_lasting_kind",
]

_logger = logging.getLogger(__name__)

UNIT_TOLERANCE = 1e-3
# Deadlines are missed on busy machines, the system ends processes when memory is short, and a view can be made anew.
_LASTING = frozenset(
    error.__name__ for error in (UnreadableVideoError, NoVideoStreamError, TooLargeError, TruncatedVideoError)
)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What an index is made for; fixed when it is made.

    Attributes:
        views: Views that are fused, in alphabetical order.
        fingerprint: Identity of what the vectors mean.
        embedding_dim: Numbers of a clip's vector.
        model: Name of the model that made the first vectors.
        block_dim: Numbers of a block's vector; as many as a clip's has where it is not given, which is so unless the
            model's vectors keep the parts of a clip side by side.
        view_dims: Numbers of a clip's vector that are each view's; empty where all views have as many.
    """

    views: tuple[str, ...]
    fingerprint: str
    embedding_dim: int
    model: str
    block_dim: int = 0
    view_dims: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_dim", self.block_dim or self.embedding_dim)
        if len(set(self.view_dims)) < 2:
            object.__setattr__(self, "view_dims", ())

    @property
    def widths(self) -> tuple[int, ...]:
        """Where views end in a vector, as far as that can be: numbers of each, or of all where they are not equal."""
        if self.view_dims:
            return self.view_dims
        width, rest = divmod(self.embedding_dim, len(self.views))
        return (self.embedding_dim,) if rest else (width,) * len(self.views)

    @classmethod
    def of(cls, model: FusedModel) -> Self:
        """Those of an index that begins with vectors of a model."""
        dims = model.embedding_dim, model.name, model.block_dim, model.view_dims
        return cls(tuple(model.models), model.fingerprint, *dims)

    @property
    def sizes(self) -> dict[str, Any]:
        """What cannot be seen of the vectors themselves; as a file of vectors says it."""
        return {name: value for name, value in self.to_dict().items() if name in ("block_dim", "view_dims")}

    def to_dict(self) -> dict[str, Any]:
        """What a catalogue keeps; the sizes of blocks and views only where they are others, as in indexes of before."""
        content = asdict(self)
        if self.block_dim == self.embedding_dim:
            del content["block_dim"]
        if not self.view_dims:
            del content["view_dims"]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """What a catalogue keeps; raises `KeyError` or `TypeError` if it is no such thing."""
        view_dims = tuple(content.get("view_dims", ()))
        return cls(**{**content, "views": tuple(content["views"]), "view_dims": view_dims})


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Where the rows of an index are.

    Attributes:
        vectors: Name of the file of clips' vectors, `float32 [R, embedding_dim]`.
        blocks: Name of the file of their blocks' vectors, `float16 [R, N, block_dim]`; None where they are not known.
        num_blocks: N; 0 where they are not known.
        total_rows: R, dead ones included.
    """

    vectors: str
    blocks: str | None
    num_blocks: int
    total_rows: int


@dataclass(frozen=True, slots=True)
class IndexedVideo:
    """One video of an index, at one place.

    Attributes:
        video: Absolute path.
        label: From the dataset's manifest or folders, or as it was set; None without one.
        num_clips: Clips.
        duration_seconds: End of the last clip.
        overlap: Share of a clip that the next one repeats.
        content_sha256: Of the file when it was embedded.
        video_id: Of the content: videos with the same bytes share it.
        metadata: What else is known of it.
        moments: Parts of it that have labels of their own, by time; no two overlap.
        model: That its vectors come from; several, by `+`, where they are fused.
        version: Of the model, likewise.
    """

    video: str
    label: str | None
    num_clips: int
    duration_seconds: float
    overlap: float
    content_sha256: str
    video_id: int = 0
    metadata: Mapping[str, object] = field(default_factory=dict)
    moments: tuple[LabelledMoment, ...] = ()
    model: str = ""
    version: str = ""

    @classmethod
    def of_columns(
        cls,
        path: str,
        label: str | None,
        num_rows: int,
        spans: bytes,
        overlap: float,
        sha: str,
        own_id: int,
        text: str,
        *made_by: str,
    ) -> Self:
        """What the catalogue says of a place and its content; last, which model made the vectors, and its version."""
        duration = float(np.frombuffer(spans, "<f8")[1::2].max(initial=0.0))
        known = json.loads(text)
        described, moments = with_moments(known, ()), moments_of(known)
        return cls(unescaped(path), label, num_rows, duration, overlap, sha, own_id, described, moments, *made_by)

    def row(self) -> dict[str, object]:
        """The fields by name; `video` is the path's written form (`printable.escaped`)."""
        return asdict(self) | {"video": escaped(self.video), "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be embedded.

    Attributes:
        path: Absolute.
        content_sha256: Of the file; None if it could not be read.
        kind: Class of the error.
        message: One line.
    """

    path: str
    content_sha256: str | None
    kind: str
    message: str

    @property
    def is_lasting(self) -> bool:
        """Whether the same content would fail again: neither the machine nor a stored view was at fault."""
        return self.content_sha256 is not None and is_lasting_kind(self.kind)

    def row(self) -> dict[str, object]:
        """`video, content_sha256, error: {class, message}`; the path in its written form (`printable.escaped`)."""
        error = {"class": self.kind, "message": self.message}
        return {"video": escaped(self.path), "content_sha256": self.content_sha256, "error": error}

    def table_row(self) -> dict[str, object]:
        """`video, class, message`."""
        return {"video": escaped(self.path), "class": self.kind, "message": self.message}


def is_lasting_kind(kind: str) -> bool:
    """Whether a failure of a class, by its name, is the file's own fault."""
    return kind in _LASTING


def check_fingerprint(facts: IndexFacts, view: str, fingerprint: str, *, index: str, model: str = "") -> None:
    """Raise `MismatchError` unless vectors of a view with a fingerprint are like those of an index of that name.

    Of a model whose name is given, it is said once if it is another variant than the one that filled the index.
    """
    if facts.fingerprint != fingerprint:
        raise MismatchError(
            f"index '{index}' was made by another model (view {'+'.join(facts.views)}, {facts.model}, "
            f"fingerprint {facts.fingerprint[:12]}) than this one (view {view}, {fingerprint[:12]}); "
            "re-embed: client index add --index NEW ..."
        )
    if model and _variants(model) != _variants(facts.model):
        _tell_of_variants(index, facts.model, model)


def _variants(model: str) -> list[str]:
    """Variant of each of the models that a name joins; empty for what computes what the encoder does."""
    return [variant_of(name) for name in model.split("+")]


@cache
def _tell_of_variants(index: str, before: str, now: str) -> None:
    _logger.warning(
        "index '%s' was filled by %s; vectors of %s are almost but not quite the same, see docs/export.md",
        printable(index), before, now,
    )  # fmt: skip


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
    if worst > UNIT_TOLERANCE:
        raise MismatchError(f"vectors of {source} are off unit length by {worst:.4f}, must be within {UNIT_TOLERANCE}")
