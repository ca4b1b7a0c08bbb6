"""Where encoders come from: a Triton server, or a model repository opened in this process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cocon.client.models.defaults import DEFAULT_URL
from cocon.core.errors import UsageError
from cocon.embedding.embedder import Embedder
from cocon.embedding.local import LocalRepository
from cocon.embedding.locating.boundary_model import BoundaryModel, open_local_boundaries
from cocon.embedding.repository import check_repository
from cocon.embedding.tracking.feature_maps import FeatureMaps, open_local_feature_maps

__all__ = ["LocalHost", "ModelFormat", "ModelHost", "OpenModel", "connect"]

ModelFormat = Literal["onnx", "torchscript"]

_LOCAL = "local:"
# Clips of one call of ONNX Runtime in this process. A processor is as fast with one clip as with sixteen, whose
# activations take a hundred megabytes more; a GPU is not.
_CPU_BATCH_SIZE, _GPU_BATCH_SIZE = 4, 16


@dataclass(frozen=True, slots=True)
class OpenModel:
    """An encoder ready to be asked, and how its rows name it.

    Attributes:
        embedder: What embeds.
        name: Model name, such as `cocon_rgb`.
        version: Its version.
        max_batch_size: Most clips of one call.
    """

    embedder: Embedder
    name: str
    version: str
    max_batch_size: int


class ModelHost(Protocol):
    """Something that offers encoders."""

    @property
    def url(self) -> str:
        """What it was connected by."""
        ...

    @property
    def num_lanes(self) -> int:
        """Connections that keep it busy."""
        ...

    @property
    def software(self) -> str:
        """What runs the models, and its version."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here."""
        ...

    def open(self, view: str) -> OpenModel:
        """The newest encoder of a view; see `TritonServer.open`."""
        ...

    def open_feature_maps(self, view: str) -> FeatureMaps:
        """The newest model of a view's feature maps; raises as `tracking_model`."""
        ...

    def open_boundaries(self, view: str) -> BoundaryModel:
        """The newest boundary model of a view; raises like `open_local_boundaries`."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class LocalHost:
    """A model repository on this machine; ONNX Runtime in this process.

    Attributes:
        repository: The folder.
    """

    repository: LocalRepository

    @property
    def url(self) -> str:
        """`local:` and the folder."""
        return f"{_LOCAL}{self.repository.root}"

    @property
    def num_lanes(self) -> int:
        """One: ONNX Runtime uses all cores for one batch."""
        return 1

    @property
    def software(self) -> str:
        """ONNX Runtime and its version."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, in this process"

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here."""
        return self.repository.views

    def open(self, view: str) -> OpenModel:
        """Load the newest encoder of a view; raises like `LocalRepository.open`."""
        from cocon.embedding.local import execution_providers

        _, version = self.repository.contract(view)
        size = _GPU_BATCH_SIZE if "CUDAExecutionProvider" in execution_providers() else _CPU_BATCH_SIZE
        return OpenModel(self.repository.open(view), f"cocon_{view}", str(version), size)

    def open_feature_maps(self, view: str) -> FeatureMaps:
        """Load the newest model of a view's feature maps; raises like `open_local_feature_maps`."""
        return open_local_feature_maps(self.repository.root, view)

    def open_boundaries(self, view: str) -> BoundaryModel:
        """Load the newest boundary model of a view; raises like `open_local_boundaries`."""
        return open_local_boundaries(self.repository.root, view)

    def close(self) -> None:
        """Nothing is held: sessions end with their models."""


def connect(url: str = DEFAULT_URL, *, timeout_s: float = 30.0, model_format: ModelFormat = "onnx") -> ModelHost:
    """Connect to where the models are.

    Args:
        url: `host:port` or `grpc://host:port` for Triton, `local:FOLDER` for a model repository in this process.
        timeout_s: Deadline of every request to a server.
        model_format: Which export of a view to use; ONNX only without a server.

    Raises:
        UsageError: The URL has another form, the folder does not exist, or TorchScript is asked for without a server.
    """
    if url.startswith(_LOCAL):
        root = Path(url.removeprefix(_LOCAL))
        check_repository(root)
        if model_format != "onnx":
            raise UsageError(f"--model-format {model_format} needs a server; '{url}' runs ONNX")
        return LocalHost(LocalRepository(root))
    host, separator, port = url.removeprefix("grpc://").rpartition(":")
    if not separator or not host or "/" in host or not port.isdigit():
        raise UsageError(f"--url '{url}' is neither HOST:PORT, grpc://HOST:PORT nor local:FOLDER")
    from cocon.client.models.server import TritonServer

    return TritonServer(url, timeout_s=timeout_s, model_format=model_format)
