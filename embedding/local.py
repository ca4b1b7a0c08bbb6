"""ONNX Runtime in this process, straight from a model repository: no server, any operating system.

    repository = LocalRepository(Path("model_repository"))
    with repository.open("rgb") as embedder:
        outputs = embedder.embed(clips)

The highest version folder wins, as in Triton.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.core.errors import MismatchError, UsageError
from cocon.embedding.contract import CLIP, ModelContract
from cocon.embedding.embedder import Outputs, check_clips
from cocon.embedding.repository import ONNX, check_repository, latest_version, model_name
from cocon.video.views import VIEWS

__all__ = ["LocalEmbedder", "LocalRepository", "execution_providers", "open_session"]


class LocalEmbedder:
    """An `Embedder` over one ONNX file.

    Args:
        model_path: `model.onnx`.
        contract: the file's contract.
        num_threads: of ONNX Runtime; all cores by default.
        providers: ONNX Runtime's names of what may run it, best first; by default whatever this machine has.

    Raises:
        MismatchError: ONNX Runtime cannot load the file, or its tensors are not the contract's.
    """

    def __init__(
        self,
        model_path: Path,
        contract: ModelContract,
        *,
        num_threads: int = 0,
        providers: Sequence[str] | None = None,
    ) -> None:
        self._contract = contract
        self._session = open_session(model_path, num_threads=num_threads, providers=providers)
        found = {tensor.name for tensor in (*self._session.get_inputs(), *self._session.get_outputs())}
        if absent := {CLIP, *contract.output_shapes} - found:
            raise MismatchError(f"model '{model_path}' has no tensor {sorted(absent)}; export it again")

    @property
    def contract(self) -> ModelContract:
        """What goes in and what comes out."""
        return self._contract

    def embed(self, clips: NDArray[np.uint8]) -> Outputs:
        """Embed `uint8 [B, N, T, H, W, C]`.

        Raises:
            MismatchError: `clips` is not what the contract takes.
        """
        check_clips(clips, self._contract)
        names = list(self._contract.output_shapes)
        tensors = dict(zip(names, self._session.run(names, {CLIP: clips}), strict=True))
        return Outputs.of(tensors)

    def close(self) -> None:
        """Free the session."""
        del self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class LocalRepository:
    """The encoders of a model repository folder.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def views(self) -> tuple[str, ...]:
        """Views that have an encoder here, in the order of the view table."""
        return tuple(view for view in VIEWS if (self.root / model_name(view)).is_dir())

    def contract(self, view: str) -> tuple[ModelContract, int]:
        """Contract and version number of the newest model of a view.

        Raises:
            UsageError: the repository has no such model.
            MismatchError: its contract cannot be read.
        """
        version, folder = self._newest(view)
        path = folder / "contract.json"
        if not path.is_file():
            raise MismatchError(f"'{path}' is missing; export the model again")
        return ModelContract.from_json(path.read_text("utf-8", errors="replace"), source=f"'{path}'"), version

    def open(self, view: str, *, num_threads: int = 0) -> LocalEmbedder:
        """Load the newest model of a view; raises like `contract` and `LocalEmbedder`."""
        contract, _ = self.contract(view)
        return LocalEmbedder(self._newest(view)[1] / ONNX.file_name, contract, num_threads=num_threads)

    def _newest(self, view: str) -> tuple[int, Path]:
        folder = self.root / model_name(view)
        check_repository(self.root)
        version = latest_version(folder)
        if version is None:
            known = ", ".join(self.views) or "none"
            raise UsageError(f"model repository '{self.root}' has no model of view '{view}'; it has: {known}")
        return version, folder / str(version)


def open_session(model_path: Path, *, num_threads: int = 0, providers: Sequence[str] | None = None) -> Any:  # noqa: ANN401  # onnxruntime is imported late
    """An ONNX Runtime session as everything here runs one; arguments as of `LocalEmbedder`.

    Raises:
        MismatchError: ONNX Runtime cannot load the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    # Waiting threads sleep: decoders need the cores, and no model here is slower for it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        chosen = providers or execution_providers()
        return onnxruntime.InferenceSession(str(model_path), options, providers=chosen)
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise MismatchError(f"model '{model_path}' cannot be loaded: {error}; export it again") from error


def execution_providers() -> Sequence[str]:
    """CUDA where a device answers, else the CPU; asking for CUDA without a device prints errors."""
    import onnxruntime

    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers() and Path("/dev/nvidia0").exists()
    return ["CUDAExecutionProvider", "CPUExecutionProvider"] if has_cuda else ["CPUExecutionProvider"]
