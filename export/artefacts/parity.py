"""The gate of every export: the written file computes what the trained encoder computes, at any batch size."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import Congruence, Embedder, Outputs, assert_congruent

__all__ = ["BATCH_SIZES", "Parity", "check_parity", "check_rows_independent"]

# One, the exporter's example, one it has never seen, and the largest that is served.
BATCH_SIZES = (1, 2, 3, 16)


@dataclass(frozen=True, slots=True)
class Parity:
    """What the gate measured.

    Attributes:
        min_cosine: smallest cosine between corresponding vectors of the two, over all outputs and batches.
        max_abs_difference: largest absolute difference of any number, as `Congruence` has it.
        batch_sizes: compared.
    """

    KEY: ClassVar[str] = "parity"

    min_cosine: float
    max_abs_difference: float
    batch_sizes: tuple[int, ...]

    @classmethod
    def of(cls, figures: Iterable[Congruence]) -> Self:
        """The worst of comparisons at all batch sizes."""
        figures = tuple(figures)
        cosine, difference = (min(f.min_cosine for f in figures), max(f.max_abs_difference for f in figures))
        return cls(cosine, difference, BATCH_SIZES)

    def to_json(self) -> str:
        """All of it, for the `parameters` of a model configuration."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        return cls(**content | {"batch_sizes": tuple(content["batch_sizes"])})


def check_parity(reference: Embedder, candidate: Embedder, clips: NDArray[np.uint8]) -> Parity:
    """Compare an exported encoder with the trained one, and its batches with single clips.

    Args:
        reference: the trained encoder.
        candidate: the exported file.
        clips: `uint8 [16, N, T, H, W, C]`, real ones and noise mixed.

    Returns:
        The worst figures.

    Raises:
        GateError: they differ, or a row of a batch is not what its clip gives alone.
    """
    if len(clips) < BATCH_SIZES[-1]:
        raise ValueError(f"parity needs {BATCH_SIZES[-1]} clips, not {len(clips)}")
    try:
        figures = [assert_congruent(reference, candidate, clips[:size]) for size in BATCH_SIZES]
        figures.append(check_rows_independent(candidate, clips[:3]))
    except MismatchError as error:  # not finite, or not of unit length
        raise GateError(str(error)) from error
    return Parity.of(figures)


@dataclass(frozen=True, slots=True)
class _OneByOne:
    """An `Embedder` that gives another one clip at a time."""

    embedder: Embedder

    @property
    def contract(self) -> ModelContract:
        return self.embedder.contract

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        rows = [self.embedder.embed(clip[None]) for clip in clips]
        logits = [row.logits for row in rows if row.logits is not None]
        return Outputs(
            np.concatenate([row.embedding for row in rows]),
            np.concatenate([row.blocks for row in rows]),
            np.concatenate(logits) if logits else None,
        )


def check_rows_independent(
    embedder: Embedder, clips: NDArray[np.uint8], *, min_cosine: float = 0.99999, max_abs_difference: float = 1e-4
) -> Congruence:
    """Compare a batch `uint8 [B, N, T, H, W, C]` with its clips alone; bounds as of `assert_congruent`.

    Raises:
        GateError: a row of the batch is not what its clip gives alone.
    """
    alone = _OneByOne(embedder)
    try:
        return assert_congruent(alone, embedder, clips, min_cosine=min_cosine, max_abs_difference=max_abs_difference)
    except GateError as error:
        raise GateError(f"a clip's result depends on the others of its batch: {error}") from error
