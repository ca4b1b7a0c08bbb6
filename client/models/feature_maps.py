"""Feature maps behind a Triton server."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError
from cocon.embedding.tracking.feature_maps import (
    FEATURE_MAP,
    FRAMES,
    FeatureMapContract,
    check_frames,
    check_maps,
    feature_map_model,
)

if TYPE_CHECKING:
    from cocon.client.models.server import TritonServer

__all__ = ["TritonFeatureMaps"]


class TritonFeatureMaps:
    """The newest model of a view's feature maps on a server; its version is fixed when it is opened.

    Args:
        server: Is asked; not closed here.
        view: Whose frames.

    Raises:
        ServerError: The server does not answer.
        UsageError: It has no such model; the message names those it has.
        MismatchError: The model carries no contract, or one of another model.
    """

    def __init__(self, server: "TritonServer", view: str) -> None:
        self.name = feature_map_model(view)
        self._server = server
        remedy = "; make it with 'cocon export --feature-maps', and serve that"
        self.version, config, text, source = server.newest(self.name, FEATURE_MAP, remedy=remedy)
        self.contract = FeatureMapContract.from_json(text, source=source)
        shapes = {tensor.name: tuple(tensor.dims) for tensor in (*config.input, *config.output)}
        if shapes != {FRAMES: self.contract.frame_shape, FEATURE_MAP: self.contract.map_shape}:
            raise MismatchError(f"{source} is of another model: its tensors are {shapes}; export it again")

    def maps(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Feature maps `float32 [B, s, s, D']` of frames `uint8 [B, H, W, C]`.

        Raises:
            MismatchError: `frames` is not what the contract takes, the model is gone, or the maps are not finite.
            ServerError: The server does not answer in time.
        """
        check_frames(frames, self.contract)
        tensors = self._server.infer(self.name, self.version, {FRAMES: frames}, {FEATURE_MAP: FEATURE_MAP})
        return check_maps(tensors[FEATURE_MAP], self.contract, len(frames))
