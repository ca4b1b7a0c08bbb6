"""The gate of every export: the written file computes what the trained encoder computes, at any batch size."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.contract import BLOCK_LOGITS, BLOCKS, ModelContract
from cocon.embedding.embedder import Congruence, Embedder, Outputs, assert_congruent, assert_tensors_congruent

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
        GateError: they differ, a row of a batch is not what its clip gives alone, or a block among those of other clips
            not what it is among its own.
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
        return Outputs.of(_joined([self.embedder.embed(clip[None]).named() for clip in clips]))


def check_rows_independent(
    embedder: Embedder, clips: NDArray[np.uint8], *, min_cosine: float = 0.99999, max_abs_difference: float = 1e-4
) -> Congruence:
    """Compare a batch `uint8 [B, N, T, H, W, C]` with its clips alone, and with its blocks in other clips.

    Whoever embeds videos has both: clips of several in a batch, and blocks of several in a row. Bounds are as of
    `assert_congruent`.

    Raises:
        GateError: a row of the batch is not what its clip gives alone, or a block not what it gives among strangers.
    """
    bounds = {"min_cosine": min_cosine, "max_abs_difference": max_abs_difference}
    try:
        rows = assert_congruent(_OneByOne(embedder), embedder, clips, **bounds)
    except GateError as error:
        raise GateError(f"a clip's result depends on the others of its batch: {error}") from error
    expected, mixed = _among_own_and_strangers(embedder, clips)
    try:
        blocks = assert_tensors_congruent(expected, mixed, what=f"view '{embedder.contract.view}'", **bounds)
    except GateError as error:
        raise GateError(f"a block's result depends on the others of its clip: {error}") from error
    cosine, difference = (
        min(rows.min_cosine, blocks.min_cosine),
        max(rows.max_abs_difference, blocks.max_abs_difference),
    )
    return Congruence(cosine, difference, len(clips))


def _among_own_and_strangers(
    embedder: Embedder, clips: NDArray[np.uint8]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """What is said of each block in its clip, and in a row with blocks of as many clips as may be."""
    B, N = clips.shape[:2]
    order = np.arange(B * N).reshape(N, B).T.reshape(-1)
    own, mixed = (
        {
            name: _blocks(tensor)
            for name, tensor in embedder.embed(rows).named().items()
            if name in (BLOCKS, BLOCK_LOGITS)
        }
        for rows in (clips, _blocks(clips)[order].reshape(clips.shape))
    )
    return {name: tensor[order] for name, tensor in own.items()}, mixed


def _blocks(tensor: NDArray[Any]) -> NDArray[Any]:
    """`[B, N, …]` as `[B·N, …]`."""
    return tensor.reshape(-1, *tensor.shape[2:])


def _joined(parts: Sequence[Mapping[str, NDArray[np.float32]]]) -> dict[str, NDArray[np.float32]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
