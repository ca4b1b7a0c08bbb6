"""Whether what a network holds are numbers at all."""

from itertools import chain

from torch import nn

__all__ = ["unsound_tensor"]


def unsound_tensor(module: nn.Module) -> str:
    """Name of the first parameter or buffer, such as a running statistic, that is not finite; empty if all are."""
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return name
    return ""
