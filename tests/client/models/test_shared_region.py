"""Regions of shared memory are private, there in full, and gone with their process, however it ends."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from cocon.client.models.shared_region import SharedRegion, is_leftover, remove_leftovers

pytestmark = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="POSIX shared memory is elsewhere")

MAKE = """
import sys
from cocon.client.models.shared_region import SharedRegion
region = SharedRegion.create(4096)
print(region.name, flush=True)
sys.stdin.readline()
"""


def path_of(name: str) -> Path:
    return Path("/dev/shm") / name


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a region."""
    with subprocess.Popen([sys.executable, "-c", MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        yield it, path_of(it.stdout.readline().strip())
        it.kill()


def test_a_region_is_its_owners_alone_and_goes_when_it_is_removed() -> None:
    first, second = SharedRegion.create(5000), SharedRegion.create(5000)
    assert first.name != second.name and first.array.nbytes == 5000 and not first.array.any()
    status = path_of(first.name).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_blocks > 0) == (0o600, True)
    first.array[:] = 7
    assert path_of(first.name).read_bytes() == b"\7" * 5000
    assert not is_leftover(first.key)
    first.remove()
    first.remove()
    assert is_leftover(first.key) and not path_of(first.name).exists()
    name = second.name
    del second
    assert not path_of(name).exists()


def test_what_there_is_no_room_for_is_an_error_and_leaves_nothing() -> None:
    remove_leftovers()
    before = set(Path("/dev/shm").glob("cocon-client-*"))
    with pytest.raises(OSError, match=r"No space|too large"):
        SharedRegion.create(1 << 50)
    assert set(Path("/dev/shm").glob("cocon-client-*")) <= before


def test_a_process_that_ends_takes_its_region_with_it(other: tuple[subprocess.Popen[str], Path]) -> None:
    process, path = other
    remove_leftovers()
    assert path.exists()
    process.communicate("\n")
    assert not path.exists()


def test_what_a_killed_process_leaves_is_removed_by_the_next(other: tuple[subprocess.Popen[str], Path]) -> None:
    process, path = other
    process.kill()
    process.wait()
    assert path.exists()
    mine = SharedRegion.create(4096)
    remove_leftovers()
    assert not path.exists() and path_of(mine.name).exists()


def test_a_forked_process_takes_nothing_with_it() -> None:
    region = SharedRegion.create(4096)
    child = os.fork()
    if child == 0:
        region.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert path_of(region.name).exists()


def test_links_and_pipes_of_such_names_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    link, pipe = (path_of(f"cocon-client-{token_hex(16)}") for _ in range(2))
    link.symlink_to(target)
    os.mkfifo(pipe)
    try:
        remove_leftovers()
        assert link.is_symlink() and pipe.is_fifo() and target.read_text() == "mine"
    finally:
        link.unlink()
        pipe.unlink()


def test_what_a_server_shares_with_its_own_processes_is_left_alone() -> None:
    of_a_server = path_of(f"cocon-8001-{token_hex(16)}")  # as `cocon serve` has Triton call it
    of_a_server.touch()
    try:
        remove_leftovers()
        assert of_a_server.exists()
    finally:
        of_a_server.unlink(missing_ok=True)


@pytest.mark.parametrize("key", ["/other", "/cocon-client-a/../b", "/cocon-8001-a", "cocon", ""])
def test_regions_of_others_are_no_leftovers(key: str) -> None:
    assert not is_leftover(key)
