"""The kinds of models of one view: what tells the models, files and contracts of a kind from those of the others.

`ENCODER`, `BOUNDARY_MODEL` and `FEATURE_MAPS` stand beside their contracts. Whoever opens models takes a kind:

    repository.open(FEATURE_MAPS, "rgb").maps(frames)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cocon.core.errors import MismatchError
from cocon.embedding.config_files import current_version, recorded_texts
from cocon.embedding.open_model import Contract, OpenModel, Session
from cocon.embedding.repository import CONFIG_FILE, ONNX, ModelFormat, latest_version, model_name

__all__ = ["ModelKind", "ModelVersion"]

_Contract = TypeVar("_Contract", bound=Contract)
_Contract_co = TypeVar("_Contract_co", bound=Contract, covariant=True)
_Model = TypeVar("_Model", bound=OpenModel[Any])


class _Reader(Protocol[_Contract_co]):
    def __call__(self, text: str, *, source: str) -> _Contract_co: ...


@dataclass(frozen=True, slots=True)
class ModelVersion(Generic[_Contract]):
    """One version of a model in a repository folder: whoever has it has looked once, and gets all from there.

    Attributes:
        folder: of the version.
        model_path: its file.
        contract_path: its contract.
        read: reads the contract.
    """

    folder: Path
    model_path: Path
    contract_path: Path
    read: _Reader[_Contract]

    def contract(self) -> _Contract:
        """Its contract.

        Raises:
            MismatchError: it is missing, or no contract of this kind.
        """
        path = self.contract_path
        try:
            text = path.read_text("utf-8", errors="replace")
        except FileNotFoundError as error:
            raise MismatchError(f"'{path}' is missing; export the model again") from error
        except OSError as error:
            raise MismatchError(f"'{path}' cannot be read: {error.strerror}; export the model again") from error
        return self.read(text, source=f"'{path}'")

    def recorded(self) -> dict[str, str]:
        """What the configuration of the model records in its parameters; nothing where there is none.

        Raises:
            MismatchError: it cannot be read.
        """
        return recorded_texts(self.folder.parent / CONFIG_FILE)


@dataclass(frozen=True, slots=True)
class ModelKind(Generic[_Contract, _Model]):
    """A kind of models.

    Attributes:
        suffix: of the model's name, after `cocon_<view>`.
        contract_key: of the contract in the parameters of the configuration, `<key>.<version>`.
        contract_file: in the version folder.
        read: makes a contract of what its `to_json` wrote.
        model: what is opened: class of the kind, over whatever runs it.
        input_type: of the input's numbers: `uint8` or `float32`.
        formats: that it is exported in, the one that is opened unless another is asked for first.
        is_light: computes so little that a GPU is not worth the way.
        is_warmed_up: whether a server is ready only when it has computed the usual batch sizes once.
        remedy: how to get one, where there is none.
    """

    suffix: str
    contract_key: str
    contract_file: str
    read: _Reader[_Contract]
    model: Callable[[Session[_Contract]], _Model]
    input_type: str = "uint8"
    formats: tuple[ModelFormat, ...] = (ONNX,)
    is_light: bool = False
    is_warmed_up: bool = False
    remedy: str = ""

    def name(self, view: str, model_format: ModelFormat = ONNX) -> str:
        """Name of a view's model; in the first format where this kind has no other."""
        return model_name(view, self.suffix + self._format(model_format).suffix)

    def newest(self, root: Path, view: str, model_format: ModelFormat = ONNX) -> ModelVersion[_Contract] | None:
        """The newest version of a view's model in a repository folder, served or not; None where there is none."""
        model = root / self.name(view, model_format)
        return self._version(model, latest_version(model), model_format)

    def current(self, root: Path, view: str, model_format: ModelFormat = ONNX) -> ModelVersion[_Contract] | None:
        """The version that callers are to take, see `current_version`; None where there is no version at all."""
        name = self.name(view, model_format)
        return self._version(root / name, current_version(root, name), model_format)

    def _version(self, model: Path, version: int | None, model_format: ModelFormat) -> ModelVersion[_Contract] | None:
        if version is None:
            return None
        folder = model / str(version)
        path = folder / self._format(model_format).file_name
        return ModelVersion(folder, path, folder / self.contract_file, self.read)

    def _format(self, wanted: ModelFormat) -> ModelFormat:
        return wanted if wanted in self.formats else self.formats[0]
