"""Find a `tritonserver`: the one on PATH (an NGC image), else the one inside the PyPI wheel `nvidia-pytriton`.

The wheel's server comes without the ONNX Runtime and PyTorch backends. Our python-based stand-ins (`backends/`) take
their names, so the same `config.pbtxt` runs here and on the image's C++ backends.
"""

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from cocon.core.errors import ServerError, UsageError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.core.storage import storing

__all__ = ["PLAIN", "Installation", "find_installation"]

PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
"""What a shell takes as it stands: the wheel's server starts its workers by one, without quotes."""

# The newest release whose fixes (CVE-2025-23310 and later) we know of.
_IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
_OLDEST_GLIBC = (2, 35)


@dataclass(frozen=True, slots=True)
class Installation:
    """A tritonserver binary and what it needs to run.

    Attributes:
        binary: Absolute path of `tritonserver`.
        backend_directory: Value of `--backend-directory`; None leaves the server's own.
        environment: Environment variables to run it with.
    """

    binary: Path
    backend_directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def is_bundled(self) -> bool:
        """Whether it is the wheel's server: old, with published CVEs, to be bound to loopback only."""
        return self.backend_directory is not None


def find_installation(repository: Path) -> Installation:
    """Find a server that can run on this machine.

    Args:
        repository: The model repository to be served; only named in the remedy of an error.

    Raises:
        ServerError: There is none, or the wheel's cannot run here; the message names the alternatives.
        UsageError: The cache folder has a name that the wheel's cannot be given.
    """
    on_path = shutil.which("tritonserver")
    if on_path:
        return Installation(real_path(on_path))
    try:
        return _bundled_installation()
    except _CannotRunError as error:
        raise ServerError(f"{error}; {_alternatives(repository)}") from error


class _CannotRunError(Exception):
    """Why the wheel's server cannot run here."""


def _bundled_installation() -> Installation:
    site_packages = _wheel_folder()
    _check_platform()
    root = site_packages / "pytriton" / "tritonserver"
    stub = root / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
    if not stub.is_dir():
        raise _CannotRunError(f"nvidia-pytriton has no worker for Python {platform.python_version()}")
    environment = _environment(site_packages)
    _check_worker(stub / "triton_python_backend_stub", environment)
    return Installation(root / "bin" / "tritonserver", _assemble_backends(root, stub), environment)


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        raise _CannotRunError(
            "no tritonserver on PATH, and nvidia-pytriton is not installed "
            f"(pip install 'cocon[serving]'; Linux x86-64 only, this is {sys.platform} {platform.machine()})"
        )
    return Path(spec.origin).parent.parent


def _check_platform() -> None:
    name, release = platform.libc_ver()
    if name == "glibc" and tuple(int(part) for part in release.split(".")[:2]) < _OLDEST_GLIBC:
        raise _CannotRunError(f"the tritonserver of nvidia-pytriton needs glibc 2.35 or newer, this is {release}")
    # With NumPy 2 its worker returns outputs that have a shape and no bytes (python_backend pull request 384).
    if int(version("numpy").split(".")[0]) >= 2:
        raise _CannotRunError(
            f"the tritonserver of nvidia-pytriton needs NumPy 1, this environment has {version('numpy')} "
            "(pip install 'numpy<2')"
        )


def _environment(site_packages: Path) -> dict[str, str]:
    """Environment in which the server finds its libraries, and its Python workers find this environment's packages.

    The workers embed an interpreter that ignores PYTHONPATH and takes its home from the first `python3` on PATH. With
    this environment's `bin` in front it is this environment, editable installs included.
    """
    base_libraries = [Path(sys.base_prefix) / "lib", Path(str(sysconfig.get_config_var("LIBDIR")))]
    libpython = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    libraries = [site_packages / "nvidia_pytriton.libs", *(f for f in base_libraries if (f / libpython).exists())]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join([*map(str, libraries), *([inherited] if inherited else [])]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


def _check_worker(stub: Path, environment: Mapping[str, str]) -> None:
    """Run the worker without arguments: it complains and ends, or the loader says which library is missing.

    Without this check a missing libpython shows only as a model that never loads.
    """
    trial = subprocess.run([stub], env=environment, capture_output=True, text=True, errors="replace", check=False)
    if trial.returncode == 127:
        raise _CannotRunError(f"the Python worker of nvidia-pytriton cannot run: {trial.stderr.strip()}")


def _assemble_backends(root: Path, stub: Path) -> Path:
    """Lay out the wheel's python backend and our stand-ins as one backend directory.

    It is cached under the hash of its files, and renamed into place complete, so several servers may start at once.
    """
    files = {
        f"python/{source.name}": source
        for source in [*(root / "backends" / "python").iterdir(), *stub.iterdir()]
        if source.is_file()
    }
    for model in (Path(__file__).parent / "backends").glob("*/model.py"):
        files[f"{model.parent.name}/model.py"] = model
    directory = _cache_folder() / _digest(files)
    if not PLAIN.fullmatch(str(directory)):
        problem = "has a name that the workers of nvidia-pytriton cannot be given (ASCII without blanks and quotes)"
        raise UsageError(f"the cache folder '{printable(directory)}' {problem}; set XDG_CACHE_HOME")
    if not directory.is_dir():
        aside = directory.with_name(f"{directory.name}.{os.getpid()}")
        try:
            with storing(directory):
                _copy(files, aside)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        try:
            aside.rename(directory)
        except OSError:  # another process was first
            shutil.rmtree(aside)
    return directory


def _copy(files: Mapping[str, Path], folder: Path) -> None:
    for name, source in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Copied, not linked: Triton refuses a library that is a symlink leading out of the backend directory.
        shutil.copy2(source, target)


def _digest(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, source in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "cocon" / "triton-backends"


def _alternatives(repository: Path) -> str:
    return (
        f"serve with the NGC image (docker run --rm -p127.0.0.1:8001:8001 -v {repository}:/models {_IMAGE} "
        f"tritonserver --model-repository=/models), or use the models without a server (--url local:{repository})"
    )
