"""ONNX Runtime in this process, straight from a model repository: no server, any operating system.

    repository = LocalRepository(Path("model_repository"))
    with repository.open(ENCODER, "rgb") as embedder:
        outputs = embedder.embed(clips)

Of several versions it is the one that a server would give: `config_files.current_version`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.embedder import ENCODER
from cocon.embedding.fusion_record import FusionRecord
from cocon.embedding.model_kind import ModelKind, ModelVersion
from cocon.embedding.open_model import Contract, OpenModel, outputs_given
from cocon.embedding.repository import (
    CONFIG_FILE,
    NO_OTHER_FILE,
    ONNX,
    SHA256_KEY,
    ModelFormat,
    check_repository,
    sound_content,
    variant_of,
    version_key,
)
from cocon.video.views import VIEWS

__all__ = ["LocalRepository", "LocalSession", "execution_providers", "is_by_gpu"]

# Some releases of ONNX Runtime prepare to tell its makers of its use, and leave a file in the system's place for
# temporary ones. It looks when it is imported, which is done late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_CPU = ("CPUExecutionProvider",)
_CUDA = "CUDAExecutionProvider"
# Rows of one call. A processor is as fast with one clip as with sixteen, whose activations take a hundred megabytes
# more; a GPU is not.
_CPU_BATCH_SIZE, _GPU_BATCH_SIZE = 4, 16

_Contract = TypeVar("_Contract", bound=Contract)
_Model = TypeVar("_Model", bound=OpenModel[Any])


class LocalSession(Generic[_Contract]):
    """A `Session` over one ONNX file.

    Args:
        model_path: the file, in the folder of its version, in that of its model.
        contract: the file's contract.
        num_threads: of ONNX Runtime; all cores by default.
        providers: ONNX Runtime's names of what may run it, best first; by default whatever this machine has.
        sha256: that the file must have, if it is known.

    Raises:
        MismatchError: it is another file, ONNX Runtime cannot load it, or its tensors are not the contract's.
    """

    def __init__(
        self,
        model_path: Path,
        contract: _Contract,
        *,
        num_threads: int = 0,
        providers: Sequence[str] | None = None,
        sha256: str | None = None,
    ) -> None:
        self.contract = contract
        self.name, self.version = model_path.parent.parent.name, model_path.parent.name
        self._session = _onnx_session(model_path, sha256, num_threads, providers or execution_providers())
        (self._input,) = contract.input_shapes
        self.output_names = _checked_outputs(model_path, self._session, contract)

    @property
    def max_batch_size(self) -> int:
        """Most rows of one call."""
        return _GPU_BATCH_SIZE if _CUDA in self._session.get_providers() else _CPU_BATCH_SIZE

    def run(self, values: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """See `Session.run`."""
        outputs = self._session.run(self.output_names, {self._input: values})
        return dict(zip(self.output_names, outputs, strict=True))

    def close(self) -> None:
        """Free the session."""
        del self._session


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """The models of a repository folder.

    Attributes:
        root: the folder.
        model_format: of the encoders; one that ONNX Runtime runs.
        num_threads: of ONNX Runtime, unless `open` names them; all cores by default.
    """

    root: Path
    model_format: ModelFormat = ONNX
    num_threads: int = 0

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here, in the order of the view table."""
        return tuple(view for view in VIEWS if (self.root / ENCODER.name(view, self.model_format)).is_dir())

    def open(self, kind: ModelKind[_Contract, _Model], view: str, *, num_threads: int = 0) -> _Model:
        """Load the current model of a kind and view: name, version, contract and weights all of one version.

        Args:
            kind: such as `ENCODER`.
            view: that it sees.
            num_threads: of ONNX Runtime; those of the repository by default.

        Raises:
            UsageError: the repository has no such model.
            MismatchError: its contract or its file cannot be read, they do not belong together, or are not those that
                its configuration records.
        """
        while True:
            current = kind.current(self.root, view, self.model_format)
            if current is None:
                raise self._no_model(kind, view)
            providers = _CPU if kind.is_light else None
            recorded = current.recorded()
            try:
                contract = current.contract()
                _check_contract(kind, current, contract, recorded)
                session = LocalSession(
                    current.model_path,
                    contract,
                    num_threads=num_threads or self.num_threads,
                    providers=providers,
                    sha256=recorded.get(version_key(SHA256_KEY, current.folder.name)),
                )
                if current.contract() == contract:
                    return kind.model(session)
                session.close()
            except MismatchError:
                if current.folder.is_dir() and current.recorded() == recorded:
                    raise
            # The version has been replaced since: look again.

    def fusion(self) -> FusionRecord | None:
        """How its views are to be fused; None where nothing is said of it.

        Raises:
            MismatchError: what is said cannot be read, or is damaged.
        """
        return FusionRecord.current(self.root)

    def _no_model(self, kind: ModelKind[Any, Any], view: str) -> UsageError:
        check_repository(self.root)
        missing = f"model of view '{view}'; it has: {', '.join(self.views) or 'none'}"
        name = kind.name(view, self.model_format)
        if kind.remedy:
            missing = f"model '{name}'; {kind.remedy}"
        elif variant := variant_of(name):
            missing = f"model '{name}'; make it with 'cocon export --variant {variant}'"
        return UsageError(f"model repository '{self.root}' has no {missing}")


def execution_providers() -> Sequence[str]:
    """CUDA where a device answers, else the CPU; asking for CUDA without a device prints errors."""
    import onnxruntime

    has_cuda = _CUDA in onnxruntime.get_available_providers() and Path("/dev/nvidia0").exists()
    return (_CUDA, *_CPU) if has_cuda else _CPU


def is_by_gpu() -> bool:
    """Whether models in this process run on a GPU."""
    return _CUDA in execution_providers()


def _check_contract(
    kind: ModelKind[_Contract, Any], version: ModelVersion[_Contract], contract: _Contract, recorded: Mapping[str, str]
) -> None:
    """See that the contract beside a file is the one that the configuration records for it, where it records one."""
    key = version_key(kind.contract_key, version.folder.name)
    if key in recorded and kind.read(recorded[key], source=f"parameter '{key}'") != contract:
        raise MismatchError(
            f"'{version.contract_path}' is another contract than '{key}' in '{CONFIG_FILE}'; export the model again"
        )


def _onnx_session(model_path: Path, sha256: str | None, num_threads: int, providers: Sequence[str]) -> Any:  # noqa: ANN401  # onnxruntime is imported late
    import onnxruntime

    content = sound_content(model_path, sha256)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    # Waiting threads sleep: decoders need the cores, and no model here is slower for it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*NO_OTHER_FILE)
    try:
        return onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise MismatchError(f"model '{model_path}' cannot be loaded: {error}; export it again") from error


def _checked_outputs(model_path: Path, session: Any, contract: Contract) -> tuple[str, ...]:  # noqa: ANN401  # as above
    """Names of the outputs that the file gives, once its tensors are known to be the contract's."""
    # Without the batch; a name stands for any number.
    found = {tensor.name: tensor.shape[1:] for tensor in (*session.get_inputs(), *session.get_outputs())}
    outputs = outputs_given(contract, found)
    expected = contract.input_shapes | outputs
    if absent := expected.keys() - found:
        raise MismatchError(f"model '{model_path}' has no tensor {sorted(absent)}; export it again")
    if not all(_fits(found[name], shape) for name, shape in expected.items()):
        raise MismatchError(f"model '{model_path}' has other tensors than its contract: {found}; export it again")
    return tuple(outputs)


def _fits(found: Sequence[int | str | None], shape: tuple[int, ...]) -> bool:
    """Whether a tensor may have this shape; a graph need not say any."""
    known = zip(found, shape, strict=False)
    return not found or (
        len(found) == len(shape) and all(size == -1 or not isinstance(dim, int) or dim == size for dim, size in known)
    )
