"""The same model file in ONNX Runtime, and nothing else of this project: what all else is held against."""

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cocon.client.bench.measured_model import Request, TensorSpec
from cocon.client.models.served_work import ServedWork
from cocon.core.errors import MismatchError, UsageError
from cocon.core.printable import printable
from cocon.embedding.config_files import current_version
from cocon.embedding.local import execution_providers
from cocon.embedding.repository import ONNX

__all__ = ["BareOnnx", "bare_session", "bare_software", "input_specs", "onnx_file"]

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class BareOnnx:
    """A `MeasuredModel` of as many sessions as a server has instances of the model, with as many threads each.

    Args:
        path: The file.
        num_instances: Sessions.
        num_threads: Of each; 0 for all cores.
        spins: Whether threads keep a core busy while they wait, which is ONNX Runtime's default, or sleep.

    Raises:
        MismatchError: ONNX Runtime cannot load it.
    """

    max_batch_size = 0

    def __init__(self, path: Path, *, num_instances: int = 1, num_threads: int = 0, spins: bool = True) -> None:
        self.name, self.version = path.parent.parent.name, path.parent.name
        self.software = bare_software(spins=spins)
        self.num_instances, self.num_threads = num_instances, num_threads
        # A session of its own for each instance, as a server has it: threads of one are shared by its callers.
        self._sessions = [bare_session(path, num_threads, spins=spins) for _ in range(num_instances)]
        self._next = count()
        self.inputs = input_specs(self._sessions[0])

    def caller(self) -> "_SessionCaller":
        """A new caller; callers take the sessions in turn."""
        return _SessionCaller(self._sessions[next(self._next) % len(self._sessions)])

    def work(self) -> Mapping[str, ServedWork]:
        """Nobody counts."""
        return {}

    def close(self) -> None:
        """Free the sessions."""
        self._sessions.clear()


class _SessionCaller:
    def __init__(self, session: Any) -> None:  # noqa: ANN401  # onnxruntime is imported late
        self._session = session

    def call(self, request: Request) -> None:
        self._session.run(None, dict(request))

    def close(self) -> None:
        """Nothing is held."""


def onnx_file(repository: Path, name: str, version: str) -> Path:
    """The file of one version of a model in a repository folder.

    Args:
        repository: The folder.
        name: Of the model.
        version: Its number; the one that a server would give where it is empty.

    Raises:
        UsageError: It is not there.
    """
    chosen = version or str(current_version(repository, name) or "")
    path = repository / name / chosen / ONNX.file_name
    if not path.is_file():
        raise UsageError(f"'{path}' does not exist: --bare takes the folder that the server has its ONNX models from")
    return path


def input_specs(session: Any) -> dict[str, TensorSpec]:  # noqa: ANN401  # as above
    """Inputs of a session by name.

    Raises:
        UsageError: One is of a type that no model of this project takes.
    """
    if other := [tensor for tensor in session.get_inputs() if tensor.type not in _TYPES]:
        raise UsageError(
            f"input '{printable(other[0].name)}' of the model is {other[0].type}; --bare knows {', '.join(_TYPES)}"
        )
    return {
        tensor.name: TensorSpec(np.dtype(_TYPES[tensor.type]), tuple(tensor.shape[1:]))
        for tensor in session.get_inputs()
    }


def bare_software(*, spins: bool) -> str:
    """Name and version of ONNX Runtime, and how it waits."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}, waiting threads {'spin' if spins else 'sleep'}"


def bare_session(path: Path, num_threads: int = 0, *, spins: bool = True) -> Any:  # noqa: ANN401  # as above
    """A session with arguments like `BareOnnx`'s, and what it raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=list(execution_providers()))
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise MismatchError(f"model '{path}' cannot be loaded: {error}; export it again") from error
