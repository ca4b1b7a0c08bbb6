"""A disk that takes no more is one error, and everything else stays what it is."""

import errno
from pathlib import Path

import pytest

from cocon.core.errors import CoconError, StorageError, UnreadableVideoError, UsageError
from cocon.core.storage import refused, storing

FULL = OSError(errno.ENOSPC, "No space left on device")


def _chained() -> Exception:
    error = RuntimeError("unexpected pos 576 vs 534")  # as PyTorch's
    error.__context__ = FULL
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FULL, "No space left on device; make room and run the same again"),
        (OSError(errno.EDQUOT, "over quota"), "Disk quota exceeded; make room in your quota and run the same again"),
        (OSError(errno.EFBIG, "large", "/tmp/.a.partial"), "File too large; files may not be larger here, see"),
        (OSError(errno.EIO, "i/o"), "Input/output error; the disk may be damaged"),
        (ValueError("I/O error: No space left on device (os error 28)"), "No space left on device; make room"),
        (_chained(), "No space left on device; make room"),
    ],
)
def test_a_full_disk_is_called_by_the_file(error: Exception, reason: str) -> None:
    with pytest.raises(StorageError) as raised, storing("runs/a/state.pt"):
        raise error
    assert str(raised.value).startswith(f"'runs/a/state.pt' cannot be written: {reason}")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied"),
        ValueError("shape (3,) is none"),
        UnreadableVideoError("video 'a.mp4' cannot be read (Input/output error)"),
        StorageError("'b' cannot be written"),
    ],
)
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, storing(Path("a")):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(("error", "kind"), [(FULL, StorageError), (PermissionError(13, "closed"), UsageError)])
def test_who_may_not_write_has_used_it_wrongly(error: OSError, kind: type[CoconError]) -> None:
    reason = refused(error, "index 'i'")
    assert type(reason) is kind
    assert str(reason).startswith("index 'i' cannot be written: ")
