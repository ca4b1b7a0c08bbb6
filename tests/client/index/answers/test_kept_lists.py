"""Lists are kept beside an index that grows; the sizes from which on they are worth it are lowered."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from cocon.client import VideoIndex
from cocon.client.index.answers.kept_lists import keep_lists
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.query.queries import Query
from cocon.client.index.query.search_options import SearchOptions
from cocon.client.index.search.lists import rules as lists_rules
from cocon.client.index.search.lists import tuning as lists_tuning
from tests.client.index.conftest import FACTS, NUM_BLOCKS, embedding_of


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_rules, "_MIN_VALUES", 100 * 8)
    monkeypatch.setattr(lists_rules, "_MAX_TAIL_VALUES", 10 * 8)
    monkeypatch.setattr(lists_tuning, "_MAX_PROBED_SHARE", 1.0)


def put(folder: Path, names: Sequence[str]) -> bool:
    folder.mkdir(exist_ok=True)
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS)) as writer:
        contents = Contents(writer)
        with contents.transaction():
            for name in names:
                contents.put(f"/videos/{name}", embedding_of(name), label=None, overlap=0.0)
        seen: list[int] = []
        is_new = keep_lists(writer, lambda done, total: seen.append(done))
        assert bool(seen) == is_new
    return is_new


def lists_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("lists-*"))


def test_lists_are_built_extended_and_built_anew(tmp_path: Path, small: None, caplog: pytest.LogCaptureFixture) -> None:
    folder, index = tmp_path / "index", VideoIndex(tmp_path / "index")
    queries = [Query.of(embedding_of(f"q{number}")) for number in range(5)]

    def check() -> dict[str, object] | None:
        """Answers are those of a comparison with every vector; returns what is known of the lists."""
        exact = index.search_many(queries, SearchOptions(is_exact=True))
        assert VideoIndex(folder).search_many(queries, SearchOptions(is_exact=True)) == exact
        for found, whole in zip(index.search_many(queries), exact, strict=True):
            assert len({hit.video for hit in found} & {hit.video for hit in whole}) >= 9
        record: dict[str, object] | None = index.snapshot().fact("lists")
        return record

    assert not put(folder, [f"a{number}" for number in range(20)])
    assert check() is None
    assert put(folder, [f"b{number}" for number in range(80)])
    first = check()
    assert first is not None
    assert first["covered_rows"] == 300
    assert not put(folder, ["c"])
    assert put(folder, [f"d{number}" for number in range(20)])
    assert put(folder, [f"e{number}" for number in range(400)])
    last = check()
    assert last is not None
    assert last["covered_rows"] == 3 * 521
    assert lists_in(folder) == [last["file"]]
    assert index.verify().is_sound
    path = folder / str(last["file"])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        damaged = VideoIndex(folder)
        assert damaged.search_many(queries) == index.search_many(queries, SearchOptions(is_exact=True))
    assert "until then every vector is compared" in caplog.text
    index.remove(["/videos/a0"])
    index.compact()
    assert check() is not None
    assert lists_in(folder) == [index.snapshot().fact("lists")["file"]]
