"""Where models are, as those see it who ask them: a Triton server, or a model repository opened in this process."""

from typing import Any, Protocol, TypeVar

from cocon.embedding.model_kind import ModelKind
from cocon.embedding.open_model import Contract, OpenModel

__all__ = ["ModelHost"]

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


class ModelHost(Protocol):
    """Something that offers models."""

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

    def open(self, kind: ModelKind[_Contract, _Model], view: str) -> _Model:
        """The newest model of a kind and view; see `TritonServer.open` and `LocalRepository.open`."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...
