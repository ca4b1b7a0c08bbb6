"""Where no Triton can run, the message names the ways on."""

import shutil
import sys
from pathlib import Path

import pytest

from cocon.core.errors import ServerError, StorageError, UsageError
from cocon.serving.installation import find_installation
from tests.disks import full_disk


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "model_repository"


def test_a_tritonserver_on_path_is_used_with_its_own_backends(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "tritonserver"
    binary.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    installation = find_installation(repository)
    assert installation.binary == binary
    assert not installation.is_bundled


def test_without_any_server_the_alternatives_are_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setitem(sys.modules, "pytriton", None)
    with pytest.raises(ServerError) as caught:
        find_installation(repository)
    message = str(caught.value)
    assert "nvidia-pytriton is not installed" in message
    assert f"docker run --rm -p127.0.0.1:8001:8001 -v {repository}:/models nvcr.io/nvidia/tritonserver" in message
    assert f"--url local:{repository}" in message


def test_the_backend_directory_holds_real_files(
    can_serve: None, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = find_installation(repository)
    if shutil.which("tritonserver"):  # it has backends of its own
        assert installation.backend_directory is None
        return
    assert installation.backend_directory is not None
    names = {
        str(path.relative_to(installation.backend_directory)) for path in installation.backend_directory.rglob("*")
    }
    assert {"onnxruntime/model.py", "pytorch/model.py", "python/libtriton_python.so"} <= names
    assert not any(path.is_symlink() for path in installation.backend_directory.rglob("*"))
    assert find_installation(repository) == installation


def test_a_full_disk_leaves_no_half_of_the_backend_directory(
    can_serve: None, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if not shutil.which("tritonserver"):
        with (
            full_disk(1000),
            pytest.raises(StorageError, match=f"^'{tmp_path / 'cache'}.* cannot be written: File too"),
        ):
            find_installation(repository)
        assert list((tmp_path / "cache" / "cocon" / "triton-backends").iterdir()) == []


@pytest.mark.triton
@pytest.mark.parametrize("name", ["with blank", "qu'ote", "$(exit)", "José"])
def test_a_cache_folder_that_a_shell_reads_otherwise_is_refused(
    name: str, can_serve: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("tritonserver"):
        pytest.skip("only the server of nvidia-pytriton starts its workers by a shell")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    with pytest.raises(UsageError, match="set XDG_CACHE_HOME"):
        find_installation(tmp_path)
