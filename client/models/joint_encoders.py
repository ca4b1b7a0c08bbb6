"""The encoders of all views asked by one request: the ensemble `cocon` of a server, and what each view says in it.

It costs a server less than a request per view, and the fusion, which nobody asks it for, is not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocon.client.models.channel import TritonChannel
from cocon.client.models.versions.offered import DescribedVersion, VersionGoneError
from cocon.embedding.contract import CLIP
from cocon.embedding.embedder import ModelEmbedder, Outputs, check_clips

__all__ = ["JointEncoders"]


@dataclass(slots=True)
class JointEncoders:
    """Encoders of several views behind one model of a server; asked one by one once it serves another version of it.

    Attributes:
        models: View → its encoder.
        channel: Is asked; not closed here.
        described: The ensemble, and the encoders as its parts.
        is_gone: Whether the server has that version of the ensemble no more, but those of the encoders.
    """

    models: Mapping[str, ModelEmbedder]
    channel: TritonChannel
    described: DescribedVersion
    is_gone: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether it takes and gives all that the encoders do; ensembles of before give fused vectors alone."""
        config = self.described.config
        taken, given = ({tensor.name: tuple(tensor.dims) for tensor in of} for of in (config.input, config.output))
        inputs = {_of(CLIP, view): model.contract.clip_shape for view, model in self.models.items()}
        return taken == inputs and all(given.get(name) == shape for name, shape in self._wanted().items())

    @property
    def max_batch_size(self) -> int:
        """Most rows of one call."""
        return int(self.described.config.max_batch_size)

    def embed(self, clips: Mapping[str, NDArray[np.uint8]]) -> dict[str, Outputs]:
        """Embed the rows of all views.

        Args:
            clips: View → `uint8 [B, N, T, H, W, C]`, the same B in all of them.

        Returns:
            View → what its encoder says.

        Raises:
            MismatchError: Clips are not what a contract takes, or a model is gone or has changed.
            ServerError: The server does not answer in time.
        """
        for view, model in self.models.items():
            check_clips(clips[view], model.contract)
        if not self.is_gone:
            try:
                return self._together(clips)
            except VersionGoneError:
                self.is_gone = True
        return {view: model.embed(clips[view]) for view, model in self.models.items()}

    def _together(self, clips: Mapping[str, NDArray[np.uint8]]) -> dict[str, Outputs]:
        """The same by one request."""
        inputs = {_of(CLIP, view): clips[view] for view in self.models}
        tensors = self.channel.infer(self.described, inputs, {name: name for name in self._wanted()})
        return {
            view: Outputs.of({name: tensors[_of(name, view)] for name in model.output_names})
            for view, model in self.models.items()
        }

    def _wanted(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every output that is asked for."""
        return {
            _of(name, view): model.contract.output_shapes[name]
            for view, model in self.models.items()
            for name in model.output_names
        }


def _of(name: str, view: str) -> str:
    """What the ensemble calls a tensor of a view's encoder."""
    return f"{name}_{view}"
