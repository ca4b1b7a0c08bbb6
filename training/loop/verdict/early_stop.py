"""Ending pre-training when held-out videos say that it gains nothing more, with the encoders that were best on them.

stop = EarlyStop(patience=3, least_steps=300)
stop.seen(figures, encoders, epoch=4, step=400)       # after each probe
if stop.is_due: ...
line = stop.restore_best(encoders, fabric)
"""

import math
from collections.abc import Mapping
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from cocon.training.models.encoder import Encoder

__all__ = ["EarlyStop"]

_JUDGED_BY = ("probe_top1/", "R@1/")


class EarlyStop:
    """Remembers the best encoders so far, and when to stop; it is the first process that is told what probes find.

    Args:
        patience: probes without a gain after which it is due; 0 never, and nothing is remembered.
        least_steps: before which it is never due.

    Attributes:
        is_due: whether training should end.
    """

    def __init__(self, patience: int, least_steps: int) -> None:
        self.is_due = False
        self._patience = patience
        self._least_steps = least_steps
        self._best = -math.inf
        self._epoch = self._step = self._num_without = 0
        self._encoders: dict[str, dict[str, Tensor]] = {}

    def seen(self, figures: Mapping[str, float], encoders: Mapping[str, Encoder], *, epoch: int, step: int) -> None:
        """Take in what a probe has found.

        Args:
            figures: in per cent, by names such as `probe_top1/rgb` and `R@1/ensemble`, of which the mean decides.
            encoders: view → encoder that was judged.
            epoch: epochs done.
            step: steps done.
        """
        judged = [value for name, value in figures.items() if name.startswith(_JUDGED_BY) and math.isfinite(value)]
        if not self._patience or not judged:
            return
        figure = sum(judged) / len(judged)
        if figure > self._best:
            self._best, self._epoch, self._step, self._num_without = figure, epoch, step, 0
            self._encoders = {
                view: {name: tensor.detach().cpu().clone() for name, tensor in encoder.state_dict().items()}
                for view, encoder in encoders.items()
            }
        else:
            self._num_without += 1
        self.is_due = self._num_without >= self._patience and step >= self._least_steps

    @property
    def kept_step(self) -> int | None:
        """The step of the encoders that `restore_best` puts back; None where it leaves the last ones."""
        return self._step if self._encoders and self._num_without else None

    def restore_best(self, encoders: Mapping[str, Encoder], fabric: Fabric) -> str:
        """Put the best weights back into the encoders, by every process at once.

        Returns:
            What was done, in a line; empty if the last ones are best, and in all processes but the first.
        """
        best: dict[str, dict[str, Tensor]] = fabric.broadcast(self._encoders if self.kept_step is not None else {})
        for view, tensors in best.items():
            encoders[view].load_state_dict(tensors)
        if self.kept_step is None:
            return ""
        why = f"{self._num_without} probes later found no better ones" if self.is_due else "later ones were no better"
        return f"the encoders of epoch {self._epoch} are kept: {self._best:.1f} % top1 and R@1 on average, and {why}"

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs to keep: tensors and plain containers."""
        return {
            "is_due": self.is_due,
            "best": self._best,
            "epoch": self._epoch,
            "step": self._step,
            "num_without": self._num_without,
            "encoders": self._encoders,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint; nothing of one of an earlier release, whose probes nobody counted."""
        if not state:
            return
        self.is_due, self._best = bool(state["is_due"]), float(state["best"])
        self._epoch, self._step = int(state["epoch"]), int(state.get("step", 0))
        self._num_without = int(state["num_without"])
        self._encoders = dict(state["encoders"])
