"""Actions of a video: the mean of its clips' class probabilities."""

from dataclasses import asdict, dataclass

import numpy as np

from cocon.client.models.fused_model import FusedModel
from cocon.client.pipeline.video_embedding import Row, VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.core.printable import escaped, printable

__all__ = ["Prediction", "check_labels", "top_actions"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class of one video.

    Attributes:
        video: Path, as it was given.
        rank: From 1, the most probable first.
        label: Name of the class.
        probability: From 0 to 1; those of all classes sum to 1.
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
    mean = video.probabilities.mean(axis=0)  # [L]
    best = np.argsort(-mean, kind="stable")[:top]
    return [Prediction(video.video, rank, labels[i], round(float(mean[i]), 6)) for rank, i in enumerate(best, 1)]
