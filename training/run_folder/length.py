"""How long a run was trained: its configuration says what was asked for, its summary what became of that.

length = RunFolder.open(path).length
length.steps, length.planned_steps, length.ended_by      # 120, 300, "health"
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from cocon.training.config.run import Config

__all__ = ["EndedBy", "TrainedLength"]

EndedBy = Literal["plan", "health", "early_stop", "start"]

_WHY = {
    "plan": "",
    "health": "the last healthy ones: embeddings collapsed after that",
    "early_stop": "the best ones on videos that judge: later ones were no better",
    "start": "those that it began with: trained ones were worse on videos that judge",
}


@dataclass(frozen=True, slots=True)
class TrainedLength:
    """Of which step the encoders are that a run keeps, and how long their classifiers were trained.

    Attributes:
        epochs: of pre-training, a part of one counted as one; 0 without.
        classifier_epochs: of classifiers; 0 where they were fitted at once.
        steps: of pre-training; None in a run that is not complete, or of an earlier release.
        planned_steps: that were to be taken, likewise.
        ended_by: what ended it: `plan` at the end, `health` where it never was healthy again, `early_stop`; or `start`,
            where nothing of it is kept.
    """

    epochs: int
    classifier_epochs: int = 0
    steps: int | None = None
    planned_steps: int | None = None
    ended_by: EndedBy = "plan"

    @classmethod
    def of(cls, summary: Mapping[str, Any], config: Config) -> "TrainedLength":
        """What a run's summary says; where it says nothing, what was asked for."""
        said = summary.get("length")
        if isinstance(said, dict) and said.keys() == cls.__dataclass_fields__.keys():
            numbers = [value for name, value in said.items() if name != "ended_by"]
            if all(isinstance(number, int) for number in numbers) and said["ended_by"] in get_args(EndedBy):
                return cls(**said)
        # As runs say since classifiers are fitted.
        is_fitted = summary.get("classifier") == "fitted"
        return cls(config.training.epochs, 0 if is_fitted else config.classifier.epochs)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def is_short(self) -> bool:
        """Whether the encoders are of an earlier step than the last one that was planned."""
        return self.ended_by != "plan"

    @property
    def steps_said(self) -> str:
        """How many steps, in words, and of how many where they are fewer; empty where that is not known."""
        if self.steps is None:
            return ""
        return f"{self.steps} of {self.planned_steps} steps" if self.is_short else f"{self.steps} steps"

    @property
    def said(self) -> str:
        """Epochs of pre-training, and where that is known the steps, in words."""
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        why = f", {self.why}" if self.is_short else ""
        return f"{epochs} ({self.steps_said}{why})" if self.steps_said else epochs

    @property
    def why(self) -> str:
        """Why it ended before its time, of the encoders that are kept, in words; empty where it did not."""
        return _WHY[self.ended_by]
