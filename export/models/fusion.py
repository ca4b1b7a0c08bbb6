"""The models that fuse views inside the server: `cocon_fuse`, and the ensemble `cocon` that calls it.

`cocon_fuse` is the formula of `cocon.embedding.fusion` as an ONNX graph, and is gated against it. The ensemble hands
every view's clip to its encoder and the results to `cocon_fuse`; it needs all of its views in every request.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxscript import OpBuilder, ir

from cocon.core.errors import GateError
from cocon.embedding.contract import CLIP, EMBEDDING, LOGITS, PROBABILITIES, ModelContract
from cocon.embedding.fusion import EQUAL_WEIGHTS, fuse_embeddings, fuse_probabilities, softmax
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.repository import FUSE, model_name
from cocon.export.artefacts.parity import BATCH_SIZES, Parity
from cocon.export.artefacts.to_onnx import write_formula
from cocon.export.repository.model_config import EnsembleStep

__all__ = ["Fusion", "check_fuse", "write_ensemble", "write_fuse"]

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Fusion:
    """Which views are fused, and how much each counts.

    Attributes:
        contracts: of the views' encoders, views in alphabetical order.
        learned: view → weight, positive, as `cocon evaluate` found it; None where every view counts the same. Only
            their ratios matter.
        lacking: outputs `<name>_<view>` that encoders of before do not give.
    """

    contracts: tuple[ModelContract, ...]
    learned: Mapping[str, float] | None = None
    lacking: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        views = [contract.view for contract in self.contracts]
        if len(views) < 2 or views != sorted(set(views)):
            raise ValueError(f"fusion needs two views or more, in alphabetical order, not {views}")

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, where all views agree on them."""
        first, *others = (contract.labels for contract in self.contracts)
        return first if all(labels == first for labels in others) else ()

    @property
    def weights(self) -> dict[str, float]:
        """View → weight, summing to one."""
        weights = EQUAL_WEIGHTS if self.learned is None else self.learned
        total = sum(weights[contract.view] for contract in self.contracts)
        return {contract.view: weights[contract.view] / total for contract in self.contracts}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every output of one row."""
        shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (sum(contract.vector_dim for contract in self.contracts),)}
        return shapes | ({PROBABILITIES: (len(self.labels),)} if self.labels else {})

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every input of `cocon_fuse`, for one row."""
        shapes: dict[str, tuple[int, ...]] = {f"{EMBEDDING}_{c.view}": (c.vector_dim,) for c in self.contracts}
        return shapes | ({f"{LOGITS}_{c.view}": (len(self.labels),) for c in self.contracts} if self.labels else {})

    @property
    def clip_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every input of the ensemble, for one row."""
        return {f"{CLIP}_{contract.view}": contract.clip_shape for contract in self.contracts}

    @property
    def view_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of what every view's encoder gives, `<name>_<view>`, for one row: a client makes clips of it."""
        shapes = {f"{name}_{c.view}": shape for c in self.contracts for name, shape in c.output_shapes.items()}
        return {name: shape for name, shape in shapes.items() if name not in self.lacking}

    @property
    def steps(self) -> list[EnsembleStep]:
        """What the ensemble does: every view's encoder, then `cocon_fuse`, which Triton leaves out if nobody asks."""
        steps = []
        for contract in self.contracts:
            view, names = contract.view, contract.output_shapes
            outputs = {name: f"{name}_{view}" for name in names if f"{name}_{view}" in self.view_shapes}
            steps.append(EnsembleStep(model_name(view), {CLIP: f"{CLIP}_{view}"}, outputs))
        given, found = ({name: name for name in shapes} for shapes in (self.input_shapes, self.output_shapes))
        return [*steps, EnsembleStep(FUSE, given, found)]

    def formula(self) -> str:
        """What decides the graph of `cocon_fuse`, as JSON."""
        return json.dumps({"inputs": self.input_shapes, "weights": self.weights}, sort_keys=True)

    @property
    def record(self) -> FusionRecord:
        """What a client must know of it."""
        fingerprints = {contract.view: contract.fingerprint for contract in self.contracts}
        return FusionRecord(fingerprints, self.weights, self.output_shapes[EMBEDDING][0], self.labels)


def write_fuse(fusion: Fusion, path: Path) -> None:
    """Write `cocon_fuse`: embeddings `float32 [B, D_v]` to `[B, ΣD_v]`, logits `[B, K]` to mean probabilities."""

    def formula(op: OpBuilder, given: Mapping[str, ir.Value]) -> dict[str, ir.Value]:
        weights = fusion.weights
        scaled = [op.Mul(given[f"{EMBEDDING}_{view}"], float(np.sqrt(weight))) for view, weight in weights.items()]
        fused = {EMBEDDING: op.LpNormalization(op.Concat(*scaled, axis=-1), axis=-1, p=2)}
        if fusion.labels:
            logits = ((given[f"{LOGITS}_{view}"], weight) for view, weight in weights.items())
            fused[PROBABILITIES] = op.Sum(*(op.Mul(op.Softmax(row, axis=-1), weight) for row, weight in logits))
        return fused

    write_formula(FUSE, formula, path, fusion.input_shapes, fusion.output_shapes)


def write_ensemble(fusion: Fusion, path: Path) -> None:
    """Write what a client must know of the ensemble, which has no model file."""
    path.write_text(fusion.record.to_json(), encoding="utf-8")


def check_fuse(fusion: Fusion, path: Path) -> Parity:
    """Compare a `cocon_fuse` file with `cocon.embedding.fusion` on random embeddings and logits.

    Raises:
        GateError: a number differs by more than 1e-6.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    worst = 0.0
    for size in BATCH_SIZES:
        tensors = {name: rng.standard_normal((size, *shape), np.float32) for name, shape in fusion.input_shapes.items()}
        for name in (name for name in tensors if name.startswith(EMBEDDING)):
            tensors[name] /= np.linalg.norm(tensors[name], axis=-1, keepdims=True)
        found = session.run(list(fusion.output_shapes), tensors)
        for name, expected, tensor in zip(fusion.output_shapes, _expected(fusion, tensors), found, strict=True):
            difference = float(np.abs(tensor - expected).max()) if tensor.shape == expected.shape else np.inf
            if not difference <= _TOLERANCE:
                raise GateError(f"'{name}' of '{path}' differs from the fusion formula by {difference:.1e}")
            worst = max(worst, difference)
    return Parity(1.0, worst, BATCH_SIZES)


def _expected(fusion: Fusion, tensors: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    embeddings = {view: tensors[f"{EMBEDDING}_{view}"] for view in fusion.weights}
    expected = [fuse_embeddings(embeddings, fusion.weights)]
    if fusion.labels:
        shares = {view: softmax(tensors[f"{LOGITS}_{view}"]) for view in fusion.weights}
        expected.append(fuse_probabilities(shares, fusion.weights))
    return expected
