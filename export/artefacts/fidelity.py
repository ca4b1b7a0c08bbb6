"""The gate of variants, which compute almost what the reference does: how near they come, and if they serve as well.

    figures = measure_fidelity(reference, candidate, videos, source="videos of 'figures'")
    FidelityBound(mean_cosine=0.99).check(figures)

Both embed the same videos. With labels, every query counts for both, so a difference is told by the queries on which
they disagree alone; without labels, by the neighbours that both find.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import GateError
from cocon.embedding.embedder import Embedder, Outputs
from cocon.embedding.fusion import softmax
from cocon.embedding.neighbours import largest_columns, nearest_neighbours, unit_vectors
from cocon.training.evaluation.recognition.probe import fit_probe

__all__ = ["Fidelity", "FidelityBound", "JudgedVideo", "PairedFigure", "measure_fidelity", "paired_figure"]

_NEIGHBOURS = 10
_LEAST_OVERLAP = 0.95
_CONFIDENCE = 0.95


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


@dataclass(frozen=True, slots=True)
class PairedFigure:
    """A share of queries, by the reference and by the variant.

    Attributes:
        reference: per cent.
        variant: per cent.
        low: lower end of the 95 % interval of variant - reference, in per cent points.
        high: upper end.
    """

    reference: float
    variant: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.reference:.1f} → {self.variant:.1f} % (difference {self.low:+.1f} to {self.high:+.1f})"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a variant comes to its reference.

    Attributes:
        mean_cosine: of corresponding vectors of the queries; the lower of the means of embeddings and blocks.
        min_cosine: smallest of them.
        num_videos: that both embedded.
        num_clips: of them.
        source: whose videos, in words.
        neighbour_overlap: share of the ten nearest videos of each that both find, 0..1.
        figures: `R@1`, `mixed R@1` (the variant's queries among vectors of the reference, as in an index that both
            have filled), `probe` and, with a classifier, `classifier`; nothing without labels.
    """

    KEY: ClassVar[str] = "fidelity"

    mean_cosine: float
    min_cosine: float
    num_videos: int
    num_clips: int
    source: str
    neighbour_overlap: float
    figures: Mapping[str, PairedFigure] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"mean cosine {self.mean_cosine:.4f}, least {self.min_cosine:.4f}"]
        parts += [f"{name} {figure}" for name, figure in self.figures.items()]
        parts.append(f"{self.neighbour_overlap:.0%} of the ten nearest the same")
        return f"{'; '.join(parts)}; {self.num_clips} clips of {self.num_videos} {self.source}"

    def to_json(self) -> str:
        """All of it, for the `parameters` of a model configuration."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        figures = {name: PairedFigure(**figure) for name, figure in content["figures"].items()}
        return cls(**content | {"figures": figures})


@dataclass(frozen=True, slots=True)
class FidelityBound:
    """What a variant must reach.

    Attributes:
        mean_cosine: see `Fidelity`, as the next.
        min_cosine: likewise.
    """

    mean_cosine: float = -1.0
    min_cosine: float = -1.0

    def __str__(self) -> str:
        bounds = {"mean cosine": self.mean_cosine, "every cosine": self.min_cosine}
        return ", ".join(f"{name} at least {bound:g}" for name, bound in bounds.items() if bound > -1)

    def check(self, found: Fidelity) -> None:
        """Refuse a variant that is too far off.

        Raises:
            GateError: a cosine is too small; with labels, a figure is below the reference's beyond its interval;
                without, fewer than 95 % of the nearest videos are the same.
        """
        problems = []
        # Written so that a NaN fails too.
        if not (found.mean_cosine >= self.mean_cosine and found.min_cosine >= self.min_cosine):
            problems.append(f"must have {self}")
        problems += [f"{name} is below the reference's" for name, each in found.figures.items() if not each.high >= 0]
        if not found.figures and not found.neighbour_overlap >= _LEAST_OVERLAP:
            problems.append(f"must find {_LEAST_OVERLAP:.0%} of the same neighbours")
        if problems:
            raise GateError(f"{', '.join(problems)}: {found}")


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


def paired_figure(is_right: NDArray[np.bool_], is_right_too: NDArray[np.bool_]) -> PairedFigure:
    """Shares of the same queries that two models answer rightly, and the exact interval of their difference.

    The queries that both answer alike say nothing of the difference; of the others, the share that the second model
    wins is binomial (McNemar's test), and its Clopper-Pearson interval is that of the difference.

    Args:
        is_right: whether the reference answers each query rightly, `bool [Q]`.
        is_right_too: whether the variant does.
    """
    from scipy.stats import binomtest

    gained, lost = int((is_right_too & ~is_right).sum()), int((is_right & ~is_right_too).sum())
    differing, low, high = gained + lost, 0.0, 0.0
    if differing:
        share = binomtest(gained, differing).proportion_ci(_CONFIDENCE, method="exact")
        low, high = (100.0 * differing / len(is_right) * (2.0 * float(end) - 1.0) for end in (share.low, share.high))
    return PairedFigure(100.0 * float(is_right.mean()), 100.0 * float(is_right_too.mean()), low, high)


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
