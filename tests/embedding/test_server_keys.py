"""Only the user who started a server has its keys."""

import os
from pathlib import Path

import pytest

from cocon.embedding.server_keys import MEMORY_KEY, OPERATOR_KEY


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def test_a_key_is_random_and_in_a_file_of_this_user_alone() -> None:
    key = OPERATOR_KEY.make(9001)
    path = OPERATOR_KEY.path(9001)
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, f"{key}\n")
    assert OPERATOR_KEY.headers(9001) == {"triton-grpc-protocol-cocon-operator": key}
    assert (OPERATOR_KEY.headers(9002), MEMORY_KEY.headers(9001)) == ({}, {})
    assert OPERATOR_KEY.make(9001) != key
    OPERATOR_KEY.forget(9001)
    assert OPERATOR_KEY.headers(9001) == {}


def test_a_file_that_others_can_read_is_no_key() -> None:
    OPERATOR_KEY.make(9001)
    OPERATOR_KEY.path(9001).chmod(0o640)
    assert OPERATOR_KEY.headers(9001) == {}


def test_what_is_no_key_is_none(tmp_path: Path) -> None:
    path = MEMORY_KEY.path(9001)
    MEMORY_KEY.make(9001)
    path.write_bytes(b"\xff\n")
    assert MEMORY_KEY.headers(9001) == {}
    path.write_text("0" * 64 + "\r\nother: header")
    assert MEMORY_KEY.headers(9001) == {}
    path.unlink()
    os.mkfifo(path, 0o600)
    assert MEMORY_KEY.headers(9001) == {}
    path.unlink()
    path.symlink_to(OPERATOR_KEY.path(9001))
    OPERATOR_KEY.make(9001)
    assert MEMORY_KEY.headers(9001) == {}
