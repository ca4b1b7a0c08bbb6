"""What is measured: a model that callers can ask, each on its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.served_work import ServedWork

__all__ = ["Caller", "MeasuredModel", "Request", "TensorSpec"]

Request = Mapping[str, NDArray[Any]]
"""Name of a tensor → its values `[B, ...]`."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a model.

    Attributes:
        dtype: Of its numbers.
        shape: Of a row.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Caller(Protocol):
    """Asks one model, a request at a time; each thread has its own."""

    def call(self, request: Request) -> None:
        """Ask, and wait for the answer.

        Raises:
            CoconError: There is none.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds; who waits for an answer waits no longer."""
        ...


class MeasuredModel(Protocol):
    """A model, and what is known of it before anybody asks."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def version(self) -> str:
        """Of the model."""
        ...

    @property
    def software(self) -> str:
        """What runs it, and its version."""
        ...

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """Its inputs by name."""
        ...

    @property
    def max_batch_size(self) -> int:
        """Most rows of a request; 0 where there is no limit."""
        ...

    @property
    def num_instances(self) -> int:
        """How many requests are computed at a time."""
        ...

    @property
    def num_threads(self) -> int:
        """Of each instance; 0 for all cores."""
        ...

    def caller(self) -> Caller:
        """A new caller."""
        ...

    def work(self) -> Mapping[str, ServedWork]:
        """What a server has done so far, by model: this one first, then those it is made of. Empty without a server."""
        ...

    def close(self) -> None:
        """Let go of what it holds; callers are closed on their own."""
        ...
