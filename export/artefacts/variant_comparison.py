"""A variant beside its reference: both embed the same videos, and what they make of them is compared.

    figures = measure_fidelity(reference, candidate, videos, source="videos of 'figures'")

`fidelity` says what the figures are, and when they are good enough.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError
from cocon.embedding.embedder import Embedder, Outputs
from cocon.embedding.fusion import softmax
from cocon.embedding.neighbours import largest_columns, nearest_neighbours, unit_vectors
from cocon.export.artefacts.fidelity import Fidelity, PairedFigure, paired_figure
from cocon.training.evaluation.recognition.probe import fit_probe

__all__ = ["JudgedVideo", "measure_fidelity"]

_NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class JudgedVideo:
    """The clips of one video that both models are given.

    Attributes:
        clips: `uint8 [K, N, T, H, W, C]`, K ≥ 1.
        label: class name, or empty.
        group: videos of one group stay together when a probe chooses its strength.
        is_query: asks for videos like it; the others are asked.
    """

    clips: NDArray[np.uint8] = field(repr=False)
    label: str = ""
    group: str = ""
    is_query: bool = False


def measure_fidelity(reference: Embedder, variant: Embedder, videos: Iterable[JudgedVideo], *, source: str) -> Fidelity:
    """Compare a variant with its reference on videos.

    Args:
        reference: what the variant stands for.
        variant: under test.
        videos: read once; if there are no queries among them, all are.
        source: whose videos they are, in words.

    Raises:
        GateError: there are no videos.
        MismatchError: vectors are not finite or not of unit length.
    """
    seen = [_Seen.of(video, reference.embed(video.clips), variant.embed(video.clips)) for video in videos]
    if not seen:
        raise GateError("there is no video to compare on")
    queries = [each for each in seen if each.is_query] or seen
    cosines = [np.concatenate([each.cosines[name] for each in queries]) for name in queries[0].cosines]
    return Fidelity(
        mean_cosine=min(float(column.mean()) for column in cosines),
        min_cosine=min(float(column.min()) for column in cosines),
        num_videos=len(seen),
        num_clips=sum(each.num_clips for each in seen),
        source=source,
        neighbour_overlap=_overlap(*(np.stack([each.vectors[who] for each in seen]) for who in (0, 1))),
        figures=_figures(seen, reference.contract.labels),
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What both models make of one video.

    Attributes:
        cosines: between them, by the name of the output: `embedding` `[K]`, `blocks` `[K·N]`.
        vectors: unit mean of the clips' embeddings, of the reference and of the variant, `float32 [D]`.
        classes: position of the most probable class, likewise; None without a classifier.
        num_clips: K.
        label: as of `JudgedVideo`.
        group: likewise.
        is_query: likewise.
    """

    cosines: Mapping[str, NDArray[np.float64]]
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]]
    classes: tuple[int | None, int | None]
    num_clips: int
    label: str
    group: str
    is_query: bool

    @classmethod
    def of(cls, video: JudgedVideo, reference: Outputs, variant: Outputs) -> Self:
        pairs = {"embedding": (reference.embedding, variant.embedding), "blocks": (reference.blocks, variant.blocks)}
        return cls(
            {name: _cosines(*pair) for name, pair in pairs.items()},
            (_mean(reference), _mean(variant)),
            (_class(reference), _class(variant)),
            len(video.clips),
            video.label,
            video.group,
            video.is_query,
        )


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    pair = (unit_vectors(each).reshape(-1, each.shape[-1]).astype(np.float64) for each in (a, b))
    return np.asarray(np.einsum("kd,kd->k", *pair))


def _mean(outputs: Outputs) -> NDArray[np.float32]:
    return unit_vectors(outputs.embedding.mean(axis=0))


def _class(outputs: Outputs) -> int | None:
    return None if outputs.logits is None else int(softmax(outputs.logits).mean(axis=0).argmax())


def _overlap(reference: NDArray[np.float32], variant: NDArray[np.float32]) -> float:
    """Mean share of the nearest other videos `float32 [V, D]` that both find; 1 of a single video."""
    k = min(_NEIGHBOURS, (len(reference) - 1) // 2)  # of a handful, the nearest half: all of them always agree
    if k < 1:
        return 1.0
    nearest = []
    for vectors in (reference, variant):
        cosines = vectors @ vectors.T  # [V, V]
        np.fill_diagonal(cosines, -np.inf)
        nearest.append(largest_columns(cosines, k))
    return float(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(*nearest, strict=True)]))


def _figures(seen: Sequence[_Seen], classes: Sequence[str]) -> dict[str, PairedFigure]:
    """What the labels say; nothing without queries, or where those that are asked are of fewer than two classes."""
    queries, gallery = ([each for each in seen if each.label and each.is_query is asks] for asks in (True, False))
    if not queries or len({each.label for each in gallery}) < 2:
        return {}
    truth, labels = (np.array([each.label for each in some]) for some in (queries, gallery))
    groups = np.array([each.group for each in gallery])
    asking, asked = ([np.stack([each.vectors[who] for each in some]) for who in (0, 1)] for some in (queries, gallery))

    def finds(of_queries: int, of_gallery: int) -> NDArray[np.bool_]:
        _, nearest = nearest_neighbours(asking[of_queries], asked[of_gallery], 1)
        return np.asarray(labels[nearest[:, 0]] == truth)

    def names(who: int) -> NDArray[np.bool_]:
        probe = fit_probe(asked[who], labels, groups)
        return np.asarray(probe.model.classes_[probe.probabilities(asking[who]).argmax(axis=1)] == truth)

    is_right = {
        "R@1": (finds(0, 0), finds(1, 1)),
        "mixed R@1": (finds(0, 0), finds(1, 0)),
        "probe": (names(0), names(1)),
    }
    if classes and set(classes) & set(truth.tolist()):
        is_right["classifier"] = (_named_rightly(queries, 0, classes), _named_rightly(queries, 1, classes))
    return {name: paired_figure(*pair) for name, pair in is_right.items()}


def _named_rightly(queries: Sequence[_Seen], who: int, classes: Sequence[str]) -> NDArray[np.bool_]:
    positions: list[Any] = [each.classes[who] for each in queries]
    return np.array([classes[at] == each.label for at, each in zip(positions, queries, strict=True)])
