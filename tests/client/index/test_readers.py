"""Readers beside a writer: each sees the state of one commit, as new as what was acknowledged when it looked."""

import gc
import os
import random
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Thread

import pytest

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from tests.client.index.churn import State, changes, held
from tests.client.index.conftest import embedding_of, put_videos

KINDS, NUM_CHANGES, NUM_READERS = ("put", "put", "remove"), 60, 8


def test_a_state_that_nobody_reads_any_more_frees_its_memory_at_once(stored: Path) -> None:
    query = embedding_of("a")
    index = VideoIndex(stored)
    index.search(query)
    before = weakref.ref(index.snapshot())
    put_videos(stored, ["f"])
    gc.disable()
    try:
        assert len(index.search(query)) == 6
        assert before() is None
        last = weakref.ref(index.snapshot())
        del index
        assert last() is None
    finally:
        gc.enable()


class Told:
    """What a writer has said so far: how many changes it has begun, and how many are done."""

    def __init__(self, stream: int) -> None:
        self.num_begun = self.num_done = 0
        self.is_over = False
        Thread(target=self._listen, args=(stream,), daemon=True).start()

    def wait_until_begun(self, number: int) -> None:
        """Fail unless a change has been begun, of which may be heard a little later."""
        deadline = time.monotonic() + 30
        while self.num_begun < number:
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def _listen(self, stream: int) -> None:
        while said := os.read(stream, 1):
            self.num_begun += said == b"b"
            self.num_done += said == b"d"
        self.is_over = True


def states() -> list[State]:
    """The state before each change, and after the last."""
    found: list[State] = [{}]
    for change in islice(changes({}, random.Random(3), KINDS), NUM_CHANGES):
        found.append(change.applied(found[-1]))
    return found


@pytest.fixture
def written(tmp_path: Path) -> Iterator[tuple[Path, Told]]:
    """An index that a process of its own writes."""
    folder = tmp_path / "index"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.client.index.churn", str(folder), "3", str(NUM_CHANGES), *KINDS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        told = Told(writer.stdout.fileno())
        while not told.num_done:
            assert writer.poll() is None
        yield folder, told
        assert writer.wait(timeout=300) == 0


@pytest.mark.parametrize("is_shared", [True, False])
def test_every_reader_sees_a_state_that_was(written: tuple[Path, Told], is_shared: bool) -> None:
    folder, told = written
    expected, shared = states(), VideoIndex(folder)

    def read(_: int) -> int:
        index, seen = shared if is_shared else VideoIndex(folder), set()
        while True:
            is_last, first = told.is_over, told.num_done
            found = held(index.snapshot())
            number = next(number for number in range(first, NUM_CHANGES + 1) if found == expected[number])
            told.wait_until_begun(number)
            seen.add(len(found))
            if is_last:
                return len(seen)

    with ThreadPoolExecutor(NUM_READERS) as pool:
        assert min(pool.map(read, range(NUM_READERS))) > 1
    assert held(VideoIndex(folder).snapshot()) == expected[-1]


def test_a_reader_sees_that_a_backup_was_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    put_videos(folder, ["a", "b"])
    backup = {path: path.read_bytes() for path in (folder / "catalog.sqlite", folder / "index.json")}
    put_videos(folder, ["lost"])
    index = VideoIndex(folder)
    assert index.search(embedding_of("lost"))[0].video == "/videos/lost"
    for path, content in backup.items():
        path.write_bytes(content)
    later = embedding_of("later", 5)  # under the id of the lost one, and in its rows
    with IndexWriter(folder) as writer:
        Contents(writer).put(later.video, later, label=None, overlap=0.0)
    hits = index.search(later, top=20, grouping="moment")
    assert [hit.clip for hit in hits if hit.video == later.video and hit.score > 0.999] == [0, 1, 2, 3, 4]
    assert len(hits) == 3 + 3 + 5
