"""Models of a repository on this machine, run by ONNX Runtime in this process."""

from dataclasses import dataclass
from typing import Any, TypeVar

from cocon.embedding.local import LocalRepository
from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel

__all__ = ["LOCAL", "LocalHost"]

LOCAL = "local:"
"""What the URL of a folder begins with."""

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


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
        return f"{LOCAL}{self.repository.root}"

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

    def open(self, kind: ModelKind[_Contract, _Model], view: str) -> _Model:
        """Load the newest model of a kind and view; raises like `LocalRepository.open`."""
        return self.repository.open(kind, view)

    def close(self) -> None:
        """Nothing is held: sessions end with their models."""
