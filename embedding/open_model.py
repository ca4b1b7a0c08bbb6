"""A model that is open to be asked, whatever runs it: ONNX Runtime in this process, or Triton.

What runs it is a `Session`: tensors in, tensors out. What the tensors mean is up to the kind of the model: its class
derives from `OpenModel` and puts typed, checked calls in front of the session.
"""

from collections.abc import Collection
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.closing import Closing
from cocon.embedding.contract import BLOCK_LOGITS

__all__ = ["Contract", "OpenModel", "Session", "outputs_given"]

_ADDED_LATER = frozenset({BLOCK_LOGITS})


class Contract(Protocol):
    """What a model of any kind says of itself; it travels with the model."""

    @property
    def view(self) -> str:
        """Name of the view it sees."""
        ...

    @property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of the one input → shape of a row; -1 is any number."""
        ...

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of every output → shape of a row, in the order the models give them."""
        ...

    def to_json(self) -> str:
        """All of it."""
        ...


_Contract = TypeVar("_Contract", bound=Contract)
_Contract_co = TypeVar("_Contract_co", bound=Contract, covariant=True)


class Session(Protocol[_Contract_co]):
    """What runs one version of one model."""

    @property
    def contract(self) -> _Contract_co:
        """What goes in and what comes out."""
        ...

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def version(self) -> str:
        """Of the model."""
        ...

    @property
    def max_batch_size(self) -> int:
        """Most rows of one call."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """Those of the contract's outputs that it gives: a model that was exported long ago may lack one."""
        ...

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The outputs `float32 [B, ...]` by their contract names, for an input `[B, ...]`."""
        ...

    def close(self) -> None:
        """Let go of the model; others of the same server are not touched."""
        ...


class OpenModel(Closing, Generic[_Contract]):
    """One version of a model, ready to be asked; its version is fixed when it is opened.

    Attributes:
        contract: What goes in and what comes out.
        name: Of the model, such as `cocon_rgb`.
        version: Of the model.
        max_batch_size: Most rows of one call.
        output_names: Those of the contract's outputs that it gives.
    """

    def __init__(self, session: Session[_Contract]) -> None:
        self._session = session
        self.contract, self.name, self.version = session.contract, session.name, session.version
        self.max_batch_size, self.output_names = session.max_batch_size, session.output_names

    def close(self) -> None:
        """Let go of the model."""
        self._session.close()


def outputs_given(contract: Contract, present: Collection[str]) -> dict[str, tuple[int, ...]]:
    """Name and shape of the outputs that a model has to give: all of its contract's, those added later if it has them.

    Args:
        contract: its contract.
        present: names of the outputs that it has.
    """
    shapes = contract.output_shapes.items()
    return {name: shape for name, shape in shapes if name in present or name not in _ADDED_LATER}
