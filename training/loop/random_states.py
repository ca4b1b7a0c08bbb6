"""The random generators that a process draws from while training, kept in a checkpoint and restored from it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["random_states", "restore_random_states"]


def random_states() -> dict[str, Tensor | list[Tensor]]:
    """State of every random generator that this process draws from while training."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Undo everything drawn since `random_states`."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
