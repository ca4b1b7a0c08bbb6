"""Files appear whole or not at all; what is no file is written through."""

import os
import subprocess
from pathlib import Path

import pytest

from cocon.core.atomic import append, is_stream, replacing, written_through
from cocon.core.errors import StorageError, UsageError
from tests.disks import full_disk, unwritable


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path, is_durable: bool) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with replacing(path, is_durable=is_durable) as aside:
            aside.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_of_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    message = f"^'{path}' cannot be written: File too large; "
    with full_disk(100), pytest.raises(StorageError, match=message), replacing(path) as aside:
        aside.write_text("half" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_may_not_be_written_is_called_by_its_own_name(tmp_path: Path) -> None:
    with unwritable(tmp_path), pytest.raises(PermissionError) as raised, replacing(tmp_path / "a.txt") as aside:
        aside.write_text("new")
    assert raised.value.filename == str(tmp_path / "a.txt")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, is_there: bool) -> None:
    target, link, second = tmp_path / "far" / "a.txt", tmp_path / "a.txt", tmp_path / "b.txt"
    target.parent.mkdir()
    if is_there:
        target.write_text("old")
    link.symlink_to("far/a.txt")
    second.symlink_to(link)
    with replacing(second) as aside:
        aside.write_text("new")
    assert (second.readlink(), link.readlink(), target.read_text()) == (link, Path("far/a.txt"), "new")
    assert sorted(tmp_path.rglob("*")) == [link, second, target.parent, target]


def test_a_link_in_the_place_of_what_is_half_written_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / f".a.txt.{os.getpid()}.partial").symlink_to(precious)
    with replacing(tmp_path / "a.txt") as aside:
        aside.write_text("new")
    assert precious.read_text() == "kept"


def test_a_fifo_gets_all_bytes_and_stays(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert is_stream(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        with replacing(fifo) as aside:
            aside.write_bytes(b"abc" * 50_000)
        assert reader.communicate()[0] == b"abc" * 50_000
    assert fifo.is_fifo()


def test_devices_stay_devices() -> None:
    with replacing(Path("/dev/null")) as aside:
        aside.write_text("gone")
    assert Path("/dev/null").is_char_device()
    with (
        pytest.raises(StorageError, match="'/dev/full' cannot be written: No space"),
        replacing(Path("/dev/full")) as a,
    ):
        a.write_text("lost")


def test_an_open_descriptor_goes_on_where_it_is(tmp_path: Path) -> None:
    """As `--output /dev/stdout > rows` does, which is a link to a file."""
    with (tmp_path / "rows").open("wb", buffering=0) as rows:
        rows.write(b"one\n")
        for name in (f"/dev/fd/{rows.fileno()}", f"/proc/self/fd/{rows.fileno()}"):
            assert is_stream(Path(name))
            with written_through(Path(name)) as stream:
                stream.write(b"two\n")
        rows.write(b"three\n")
    assert (tmp_path / "rows").read_text() == "one\ntwo\ntwo\nthree\n"


def test_a_reader_that_goes_and_what_is_open_for_reading_alone_are_told(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    with (
        subprocess.Popen(["head", "-c1", fifo], stdout=subprocess.DEVNULL) as reader,
        pytest.raises(StorageError, match=f"^'{fifo}' cannot be written: who reads it has gone$"),
        written_through(fifo) as stream,
    ):
        stream.write(b"a")
        stream.flush()
        reader.wait()
        stream.write(b"b")
    with (
        (tmp_path / "rows").open("ab+") as rows,
        Path(rows.name).open("rb") as source,
        pytest.raises(UsageError, match=r"cannot be written: Bad file descriptor$"),
        written_through(Path(f"/dev/fd/{source.fileno()}")) as stream,
    ):
        stream.write(b"lost")


def test_a_line_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("ab", buffering=0) as lines:
        append(lines, b"one\n")
        with full_disk(10), pytest.raises(OSError, match="File too large"):
            append(lines, b"does not fit\n")
        append(lines, b"two\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127 + "x")
    with replacing(path) as partial:
        partial.write_text("whole")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [(path.name, "whole")]
