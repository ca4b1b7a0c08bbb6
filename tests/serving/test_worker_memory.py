"""A server that would run out of shared memory is not started."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.serving.worker_memory import check_worker_memory, worker_memory


def test_each_instance_takes_a_full_batch_and_an_ensemble_nothing(full_repository: Path, tmp_path: Path) -> None:
    (tmp_path / "cocon_flow").symlink_to(full_repository / "cocon_flow")
    one = worker_memory(tmp_path)
    assert 2 << 20 < one < 3 << 20
    (tmp_path / "cocon_flow").unlink()
    (tmp_path / "cocon_busy").symlink_to(full_repository / "cocon_busy")  # the same model, in three instances
    assert worker_memory(tmp_path) == 3 * one
    (tmp_path / "cocon").symlink_to(full_repository / "cocon")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.pbtxt").write_text("{")
    assert worker_memory(tmp_path) == 3 * one


def test_too_little_is_said_with_what_is_needed(full_repository: Path) -> None:
    check_worker_memory(full_repository)
    with pytest.raises(UsageError, match=r"/dev/shm has 1 MiB free, .* take up to \d+ MiB: .* --shm-size=\d+m"):
        check_worker_memory(full_repository, free_bytes=1 << 20)
