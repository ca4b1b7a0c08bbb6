"""Whose checkpoints can be imported; light, so that `--help` stays quick."""

from typing import Literal

__all__ = ["Source"]

Source = Literal["cocon", "dpc", "vicc", "vclr", "cyclecontrast", "torchvision"]
"""Whose code wrote a file, or whose names its tensors have."""
