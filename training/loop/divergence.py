"""A training whose numbers are no numbers any more ends before anything of it is kept."""

import math
from collections.abc import Iterable

from lightning_fabric import Fabric
from torch import nn

from cocon.core.errors import CoconError
from cocon.training.distributed import any_process
from cocon.training.models.soundness import unsound_tensor

__all__ = ["refuse_divergence"]


def refuse_divergence(
    phase: str, module: nn.Module, losses: Iterable[float], fabric: Fabric, *, epoch: int, remedy: str, kept: str
) -> None:
    """Raise unless losses, weights and running statistics are finite; by every process at once.

    The loss of a step is measured before its weights change: those of the last step are looked at here.

    Args:
        phase: what is trained, such as `pre-training`.
        module: its networks.
        losses: means or sums since the last check.
        fabric: devices and precision, launched.
        epoch: that ends, or is interrupted; from 1.
        remedy: what else to try.
        kept: what there is to go on from.

    Raises:
        CoconError: they are not, in any process.
    """
    loss = next((loss for loss in losses if not math.isfinite(loss)), None)
    unsound = "" if loss is not None else unsound_tensor(module)
    if any_process(loss is not None or bool(unsound), fabric):
        what = f"the loss of epoch {epoch} is {loss}"
        if loss is None:
            what = f"weights are not finite in epoch {epoch}" + (f", such as {unsound}" if unsound else "")
        raise CoconError(f"{phase} diverged: {what}; {remedy} ({kept})")
