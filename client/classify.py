"""Actions of a video: the mean of its clips' class probabilities, or the vote of the labelled videos of an index."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.folder import VideoIndex
from cocon.client.index.query.queries import Example, Query
from cocon.client.pipeline.video_embedding import Row, VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.core.printable import escaped, printable
from cocon.embedding.videos.fused_model import FusedModel

__all__ = ["UNKNOWN", "Prediction", "check_labels", "classify_by_index", "top_actions"]

UNKNOWN = "unknown"
"""Label of what is of no class of an index; a class of that name is the same."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class of one video.

    Attributes:
        video: Path, as it was given.
        rank: From 1, the most probable first.
        label: Name of the class, or `UNKNOWN`.
        probability: From 0 to 1; those of all classes, and of what is of none, sum to 1.
    """

    video: str
    rank: int
    label: str
    probability: float

    def row(self) -> Row:
        """The fields by name."""
        return asdict(self) | {"video": escaped(self.video)}


def check_labels(model: FusedModel) -> tuple[str, ...]:
    """The classes a model can tell apart.

    Raises:
        MismatchError: An encoder has no classifier, or the encoders know different classes.
    """
    labels = {view: single.contract.labels for view, single in model.models.items()}
    without = [view for view, known in labels.items() if not known]
    if without:
        raise MismatchError(
            f"the model of view {', '.join(without)} has no classifier, so it cannot name actions; "
            "train one with 'cocon train' and export again"
        )
    if not model.labels:
        raise MismatchError(f"the models of views {model.view} know different classes; give one --view at a time")
    return model.labels


def top_actions(video: VideoEmbedding, labels: tuple[str, ...], *, top: int = 5) -> list[Prediction]:
    """The most probable classes of a video, the best first.

    Args:
        video: Embedded by a model with these labels.
        labels: Class names in the order of the probabilities.
        top: Most classes to return.

    Raises:
        MismatchError: The video carries no probabilities of these classes.
    """
    if video.probabilities is None or video.probabilities.shape[1] != len(labels):
        raise MismatchError(
            f"'{printable(video.video)}' was embedded without probabilities of the {len(labels)} classes"
        )
    return _ranked(video.video, labels, video.probabilities.mean(axis=0), top)


def classify_by_index(index: VideoIndex, video: VideoEmbedding | Example, *, top: int = 5) -> list[Prediction]:
    """The most probable classes of a video by the labelled videos of an index; no classifier is needed.

    The most similar ones vote, as was chosen by leaving out one after the other (`VoteRule`). Neither the video itself
    nor copies of it do. One that is less similar than strangers are is `UNKNOWN` before all; else that has no row.

    Args:
        index: Whose model the video was embedded by.
        video: Embedded; or an example of it, as what the index holds.
        top: Most classes to return.

    Returns:
        The best first.

    Raises:
        UsageError: The index does not exist, or none of its videos has a label.
        MissingViewError: The video lacks a view of the index.
        MismatchError: It was embedded by another model than the index, or that is damaged.
    """
    example = video if isinstance(video, Example) else Example.of(video)
    index.check_query(Query.of(example))
    voters = index.voters()
    (shares,) = voters.shares(example.vectors, np.array([len(example.vectors)]), [example.content_sha256 or ""])
    labels = [*voters.classes, UNKNOWN]
    if UNKNOWN in voters.classes:
        shares[labels.index(UNKNOWN)] += shares[-1]
    if UNKNOWN in voters.classes or shares[-1] == 0:
        shares = shares[:-1]
    return _ranked(example.video, labels, shares, top)


def _ranked(video: str, labels: Sequence[str], probabilities: NDArray[np.floating[Any]], top: int) -> list[Prediction]:
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [Prediction(video, rank, labels[i], round(float(probabilities[i]), 6)) for rank, i in enumerate(best, 1)]
