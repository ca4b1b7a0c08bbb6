"""An encoder of a repository folder in this process, asked as the client asks it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cocon.client.bench.measured_model import Request, TensorSpec
from cocon.client.models.connect import connect
from cocon.client.models.served_work import ServedWork
from cocon.core.errors import UsageError
from cocon.embedding.contract import CLIP, ModelContract
from cocon.embedding.embedder import ENCODER, ModelEmbedder
from cocon.embedding.repository import FORMATS, ONNX_RUNTIME, FormatName, check_repository
from cocon.video.views import VIEWS

__all__ = ["InProcess"]


class InProcess:
    """A `MeasuredModel` of `--url local:FOLDER`.

    Args:
        root: The folder.
        name: Of an encoder that ONNX Runtime runs.

    Raises:
        UsageError: There is no such encoder.
        MismatchError: It cannot be loaded.
    """

    num_instances = 1
    num_threads = 0

    def __init__(self, root: Path, name: str) -> None:
        view, model_format = _known(root, name)
        host = connect(f"local:{root}", model_format=model_format)
        self.software = host.software
        self._model = host.open(ENCODER, view)
        self.name, self.version, self.max_batch_size = name, self._model.version, 0
        self.inputs = {CLIP: TensorSpec(np.dtype(np.uint8), self._model.contract.clip_shape)}

    @property
    def contract(self) -> ModelContract:
        """Of the encoder."""
        return self._model.contract

    def caller(self) -> "_EmbedderCaller":
        """A new caller; all share one session."""
        return _EmbedderCaller(self._model)

    def work(self) -> Mapping[str, ServedWork]:
        """Nobody counts."""
        return {}

    def close(self) -> None:
        """Free the session."""
        self._model.close()


class _EmbedderCaller:
    def __init__(self, model: ModelEmbedder) -> None:
        self._model = model

    def call(self, request: Request) -> None:
        self._model.embed(request[CLIP])

    def close(self) -> None:
        """Nothing is held: the model is the subject's."""


def _known(root: Path, name: str) -> tuple[str, FormatName]:
    """View and format of an encoder of a repository folder."""
    check_repository(root)
    formats = {chosen: each for chosen, each in FORMATS.items() if each.backend == ONNX_RUNTIME}
    known = {ENCODER.name(view, each): (view, chosen) for view in VIEWS for chosen, each in formats.items()}
    present = [other for other in known if (root / other).is_dir()]
    if name not in present:
        raise UsageError(
            f"'local:{root}' has no encoder '{name}' that runs without a server; it has: {', '.join(present) or 'none'}"
        )
    return known[name]
