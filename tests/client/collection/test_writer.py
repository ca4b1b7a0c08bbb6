"""Writers of an index in Milvus: whatever ends one, readers see whole videos, and the next one clears up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.collection.stored_rows import StoredRows, Which
from cocon.client.collection.writer import CollectionWriter
from cocon.client.index.changes.contents import Contents
from cocon.core.errors import UsageError
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of


class Ending(StoredRows):
    """Ends its process, so to say, before it writes for the n-th time."""

    def __init__(self, stored: StoredRows, writes: int) -> None:
        super().__init__(stored.url)
        self._left = writes

    def _write(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt

    def put(self, which: Which, rows: Any) -> None:
        if rows := [*rows]:
            self._write()
            super().put(which, rows)

    def delete(self, which: Which, keys: Any) -> None:
        if len(keys):
            self._write()
            super().delete(which, keys)

    def delete_where(self, which: Which, expression: str) -> None:
        self._write()
        super().delete_where(which, expression)


@contextmanager
def ending(index: MilvusIndex, writes: int) -> Iterator[Contents]:
    """Contents of a writer that ends before it writes so often; others see that its process is gone."""
    stored = Ending(index._stored, 1_000)
    try:
        with CollectionWriter(stored) as writer:
            stored._left = writes
            yield Contents(writer)
    except KeyboardInterrupt:
        index._stored.delete("catalogue", ["state:writer"])


def check_whole(index: MilvusIndex) -> list[str]:
    """All that is listed can be read and found, and nothing else is; its paths."""
    videos = index.videos()
    part = index.part([video.video_id for video in videos])
    assert part.rows.num_rows.tolist() == [video.num_clips for video in sorted(videos, key=lambda each: each.video_id)]
    hits = index.search(embedding_of("q"), top=99, keep_duplicates=True)
    assert sorted(hit.video for hit in hits) == [video.video for video in videos]
    return [video.video for video in videos]


def leftovers(index: MilvusIndex) -> tuple[set[int], set[str]]:
    """Videos of clips, and keys of records, that belong to no video that is listed."""
    ids = {video.video_id for video in index.videos()}
    clips = {row["video_id"] for row in index._stored.where("clips", "key >= 0", ["key", "video_id"])}
    records = index._stored.where("catalogue", 'kind != "fact"', ["key", "video_id"])
    return clips - ids, {row["key"] for row in records if row["video_id"] not in ids}


@pytest.fixture
def index(lite: str, request: pytest.FixtureRequest) -> Iterator[MilvusIndex]:
    """An index of two videos."""
    made = MilvusIndex(f"{lite}{request.node.name.partition('[')[0]}")
    with made.writer(new=(FACTS, NUM_BLOCKS)) as writer:
        for name in ("a", "b"):
            Contents(writer).put(f"/videos/{name}", embedding_of(name), label="jump", overlap=0.0)
    yield made
    made._stored.drop()


def test_a_video_is_there_whole_or_not_at_all(index: MilvusIndex) -> None:
    seen = []
    for writes in range(12):
        name = f"n{writes:02d}"
        before = check_whole(index)
        with ending(index, writes) as contents:
            contents.put(f"/videos/{name}", embedding_of(name, 4), label=None, overlap=0.0)
        now = check_whole(index)
        assert now in (before, [*before, f"/videos/{name}"])
        seen.append(now == before)
        with index.writer() as writer:
            assert leftovers(index) == (set(), {"state:writer"}), "the next writer has cleared up"
            Contents(writer).put(f"/videos/{name}", embedding_of(name, 4), label=None, overlap=0.0)
        assert f"/videos/{name}" in check_whole(index)
    assert seen[0], "it ended before the first write"
    assert not seen[-1], "it was never done"


def test_a_video_is_forgotten_whole_or_not_at_all(index: MilvusIndex) -> None:
    gone = []
    for writes in range(8):
        with index.writer() as writer:
            Contents(writer).put("/videos/x", embedding_of("x", 4), label=None, overlap=0.0)
        with ending(index, writes) as contents:
            contents.forget(["/videos/x"])
        gone.append("/videos/x" not in check_whole(index))
        with index.writer():
            assert leftovers(index) == (set(), {"state:writer"})
    assert (gone[0], gone[-1]) == (False, True)


def test_a_content_embedded_anew_is_there_all_the_time(index: MilvusIndex) -> None:
    for writes in range(10):
        with ending(index, writes) as contents:
            contents.put("/videos/a", embedding_of("a"), label=None, overlap=0.5 if writes % 2 else 0.25)
        assert check_whole(index) == ["/videos/a", "/videos/b"]
        assert index.videos()[0].label == "jump"
    with index.writer():
        assert leftovers(index) == (set(), {"state:writer"})


def test_of_two_writers_one_is_refused_or_waits(index: MilvusIndex) -> None:
    with index.writer(), pytest.raises(UsageError, match=f"is being written by process {os.getpid()} on "):
        index.writer()
    with index.writer():
        pass
    script = "import os; print(os.getpid(), os.uname().nodename)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    pid, host = ended.stdout.split()
    for holder, is_refused in (
        ({"host": host, "pid": int(pid), "until": time.time() + 99}, False),
        ({"host": "elsewhere", "pid": 1, "until": time.time() + 99}, True),
        ({"host": "elsewhere", "pid": 1, "until": time.time() - 1}, False),
    ):
        row = {"key": "state:writer", "kind": "state", "video_id": 0, "label": "", "path": "", "terms": {}}
        record = json.dumps(holder | {"token": "other"})
        index._stored.put("catalogue", [row | {"record": record, "vector": np.zeros(8, np.float32)}])
        if is_refused:
            with pytest.raises(UsageError, match="process 1 on elsewhere"):
                index.writer()
        else:
            with index.writer():
                pass


def test_an_index_that_was_not_made_to_its_end_is_made_anew(lite: str, index: MilvusIndex) -> None:
    unfinished = MilvusIndex(f"{lite}unfinished")
    unfinished._stored.make(FACTS.embedding_dim)
    assert not unfinished.exists
    with pytest.raises(UsageError, match="does not exist"):
        unfinished.videos()
    with unfinished.writer(new=(FACTS, NUM_BLOCKS)) as writer:
        Contents(writer).put("/videos/a", embedding_of("a"), label=None, overlap=0.0)
    assert check_whole(unfinished) == ["/videos/a"]
    unfinished._stored.drop()
    other = MilvusIndex(f"{index.url.text}_catalogu")
    other._stored._names["clips"] = index._stored._names["catalogue"]
    with pytest.raises(UsageError, match="Milvus has another collection of that name"):
        other.writer(new=(FACTS, NUM_BLOCKS))


def test_what_milvus_does_not_take_is_refused(index: MilvusIndex) -> None:
    with pytest.raises(UsageError, match="Milvus keeps at most 65535"):
        index.describe(["/videos/a"], {"text": "x" * 70_000})
    assert check_whole(index) == ["/videos/a", "/videos/b"]
    assert index.videos()[0].metadata == {}


_ADDS = """
import sys
from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.index.changes.contents import Contents
from tests.client.index.conftest import embedding_of, FACTS, NUM_BLOCKS

with MilvusIndex(sys.argv[1]).writer(new=(FACTS, NUM_BLOCKS)) as writer:
    for number in range(1000):
        Contents(writer).put(f"/videos/k{number:03d}", embedding_of(f"k{number}", 6), label=None, overlap=0.0)
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_what_it_told_and_nothing_by_halves(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    url, told = f"milvus:{tmp_path / 'killed.db'}/videos", 0
    rng = np.random.default_rng(0)
    for _ in range(4):
        command = [sys.executable, "-c", _ADDS, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            told = max(told, int(process.stdout.readline()) + 1)
            time.sleep(float(rng.uniform(0.0, 0.5)))
            process.send_signal(signal.SIGKILL)
            told = max([told, *(int(line) + 1 for line in process.stdout)])
        index = MilvusIndex(url)
        assert len(check_whole(index)) in (told, told + 1)
        with index.writer():
            assert leftovers(index) == (set(), {"state:writer"})
        index.close()
