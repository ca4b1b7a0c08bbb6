"""Boundary models behind a Triton server."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError
from cocon.embedding.contract import BLOCKS
from cocon.embedding.locating.boundary_model import (
    BOUNDARIES,
    HOW_TO_GET_ONE,
    NUM_BOUNDARIES,
    BoundaryContract,
    boundary_model_name,
    check_blocks,
    check_probabilities,
)

if TYPE_CHECKING:
    from cocon.client.models.server import TritonServer

__all__ = ["TritonBoundaries"]


class TritonBoundaries:
    """The newest boundary model of a view on a server; its version is fixed when it is opened.

    Args:
        server: Is asked; not closed here.
        view: Whose blocks.

    Raises:
        ServerError: The server does not answer.
        UsageError: It has no such model; the message names those it has.
        MismatchError: The model carries no contract, or one of another model.
    """

    def __init__(self, server: "TritonServer", view: str) -> None:
        self._server = server
        self._name = boundary_model_name(view)
        self._version, config, text, source = server.newest(self._name, BOUNDARIES, remedy=f"; {HOW_TO_GET_ONE}")
        self._contract = BoundaryContract.from_json(text, source=source)
        shapes = {tensor.name: tuple(tensor.dims) for tensor in (*config.input, *config.output)}
        if shapes != {BLOCKS: (-1, self._contract.embedding_dim), BOUNDARIES: (-1, NUM_BOUNDARIES)}:
            raise MismatchError(f"{source} is of another model: its tensors are {shapes}; export it again")

    @property
    def contract(self) -> BoundaryContract:
        """What goes in."""
        return self._contract

    def probabilities(self, blocks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of start, end and actionness `float32 [B, L, 3]` of blocks `float32 [B, L, D]`.

        Raises:
            MismatchError: `blocks` is not what the contract takes, the model is gone, or its answer is not
                finite.
            ServerError: The server does not answer in time.
        """
        check_blocks(blocks, self._contract)
        tensors = self._server.infer(self._name, self._version, {BLOCKS: blocks}, {BOUNDARIES: BOUNDARIES})
        return check_probabilities(tensors[BOUNDARIES], self._contract, blocks.shape[:2])
