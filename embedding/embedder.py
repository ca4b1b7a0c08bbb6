"""The one method every encoder offers, whatever runs it: PyTorch, ONNX Runtime, TorchScript or Triton."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError, MismatchError
from cocon.embedding.contract import BLOCK_LOGITS, BLOCKS, EMBEDDING, LOGITS, ModelContract
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import OpenModel
from cocon.embedding.repository import FORMATS

__all__ = [
    "ENCODER",
    "Congruence",
    "Embedder",
    "ModelEmbedder",
    "Outputs",
    "assert_congruent",
    "assert_tensors_congruent",
    "check_clips",
]

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Outputs:
    """What an encoder says about B clips.

    Attributes:
        embedding: unit length, `float32 [B, P·D]`.
        blocks: unit length, `float32 [B, N, D]`.
        logits: `float32 [B, K]`, or None without a classifier.
        block_logits: of each block as a member of each part, `float32 [B, N, P·K]`, see `clip_logits`; None
            where the classifier is not affine, and of models exported before there were any.
    """

    embedding: NDArray[np.float32]
    blocks: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    block_logits: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.embedding).all() and np.isfinite(self.blocks).all()):
            raise MismatchError("the model gave an embedding that is not finite; export it again from sound weights")
        norms = np.linalg.norm(self.embedding, axis=-1)
        if np.abs(norms - 1.0).max(initial=0.0) > _UNIT_TOLERANCE:
            raise MismatchError(f"the model gave an embedding of length {norms.max():.4f}, not 1; export it again")

    def __len__(self) -> int:
        return len(self.embedding)

    def __repr__(self) -> str:
        logits = None if self.logits is None else list(self.logits.shape)
        return f"Outputs(embedding={list(self.embedding.shape)}, blocks={list(self.blocks.shape)}, logits={logits})"

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.float32]]) -> Self:
        """From tensors by their contract names, the inverse of `named`."""
        return cls(tensors[EMBEDDING], tensors[BLOCKS], tensors.get(LOGITS), tensors.get(BLOCK_LOGITS))

    def named(self) -> dict[str, NDArray[np.float32]]:
        """The tensors there are, by their contract names."""
        tensors = {LOGITS: self.logits, BLOCK_LOGITS: self.block_logits}
        given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        return {EMBEDDING: self.embedding, BLOCKS: self.blocks, **given}


class Embedder(Protocol):
    """Anything that embeds clips of one view."""

    @property
    def contract(self) -> ModelContract:
        """What goes in and what comes out."""
        ...

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`, 1 ≤ B ≤ the model's largest batch."""
        ...


class ModelEmbedder(OpenModel[ModelContract]):
    """The `Embedder` that an encoder of a model repository is."""

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Raises:
            MismatchError: `clips` is not what the contract takes, or the model is gone.
            ServerError: the server does not answer in time.
        """
        check_clips(clips, self.contract)
        return Outputs.of(self._session.run(clips))

    @property
    def has_block_logits(self) -> bool:
        """Whether it says what each block contributes to the logits of its clip."""
        return BLOCK_LOGITS in self.output_names


ENCODER = ModelKind(
    suffix="",
    contract_key="contract",
    contract_file="contract.json",
    read=ModelContract.from_json,
    model=ModelEmbedder,
    formats=tuple(FORMATS.values()),
    is_warmed_up=True,
)


@dataclass(frozen=True, slots=True)
class Congruence:
    """How near two embedders came on the same clips.

    Attributes:
        min_cosine: smallest cosine between corresponding vectors, over all outputs.
        max_abs_difference: largest absolute difference of any number; in a vector with numbers beyond ±1, such as
            logits, as a share of its largest one.
        num_clips: clips compared.
    """

    min_cosine: float
    max_abs_difference: float
    num_clips: int


def check_clips(clips: NDArray[np.uint8], contract: ModelContract) -> None:
    """Raise `MismatchError` unless `clips` is what the contract takes."""
    if clips.dtype != np.uint8 or clips.ndim != 6 or clips.shape[1:] != contract.clip_shape or len(clips) == 0:
        raise MismatchError(
            f"clips {clips.dtype} {list(clips.shape)} do not fit the model of view '{contract.view}', "
            f"which takes uint8 [B, {', '.join(map(str, contract.clip_shape))}]"
        )


def assert_congruent(
    reference: Embedder,
    candidate: Embedder,
    clips: NDArray[np.uint8],
    *,
    min_cosine: float = 0.99999,
    max_abs_difference: float = 1e-4,
) -> Congruence:
    """Check that two embedders compute the same function.

    Args:
        reference: believed right.
        candidate: under test.
        clips: `uint8 [B, N, T, H, W, C]`, given to both in one call.
        min_cosine: what every pair of corresponding vectors must reach.
        max_abs_difference: what no number may differ by; see `Congruence`.

    Returns:
        How near they came.

    Raises:
        GateError: an output is missing, has another shape, or is too far off; names the output and both figures.
    """
    return assert_tensors_congruent(
        reference.embed(clips).named(),
        candidate.embed(clips).named(),
        what=f"view '{reference.contract.view}'",
        min_cosine=min_cosine,
        max_abs_difference=max_abs_difference,
    )


def assert_tensors_congruent(
    expected: Mapping[str, NDArray[np.float32]],
    found: Mapping[str, NDArray[np.float32]],
    *,
    what: str,
    min_cosine: float = 0.99999,
    max_abs_difference: float = 1e-4,
) -> Congruence:
    """Check that two models gave the same vectors.

    Args:
        expected: name → vectors `float32 [B, ..., D]` of the one believed right.
        found: likewise of the one under test.
        what: they are of, for the message.
        min_cosine: as of `assert_congruent`, like all that follows.
        max_abs_difference: likewise.
    """
    if expected.keys() != found.keys():
        raise GateError(f"outputs differ: {sorted(found)} instead of {sorted(expected)}")
    cosines, differences = [], []
    num_rows = len(next(iter(expected.values())))
    for name, tensor in expected.items():
        if tensor.shape != found[name].shape:
            raise GateError(f"output '{name}' has shape {list(found[name].shape)} instead of {list(tensor.shape)}")
        cosines.append(float(_cosines(tensor, found[name]).min()))
        # Float rounding grows with the numbers: clips unlike any video give logits in the hundreds.
        scales = np.maximum(1.0, np.abs(tensor).max(axis=-1, keepdims=True))
        differences.append(float((np.abs(tensor - found[name]) / scales).max()))
        # Written so that a NaN fails too.
        if not (cosines[-1] >= min_cosine and differences[-1] <= max_abs_difference):
            raise GateError(
                f"output '{name}' of {what} at batch {num_rows}: cosine {cosines[-1]:.7f} "
                f"(must be at least {min_cosine}), difference {differences[-1]:.2e} (at most {max_abs_difference:.0e})"
            )
    return Congruence(min(cosines), max(differences), num_rows)


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    dot = (a64 * b64).sum(axis=-1)
    norms = np.linalg.norm(a64, axis=-1) * np.linalg.norm(b64, axis=-1)
    result: NDArray[np.float64] = np.where(norms > 0, dot / np.maximum(norms, 1e-30), 1.0)
    return result
