"""The file of the lists: written whole, verified, mapped, and added to in a copy."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.search.lists import tuning
from cocon.client.index.search.lists.building import extended_lists, make_lists
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.row_lists import RowLists
from cocon.client.index.search.vector_query import VectorQuery
from cocon.client.index.search.vector_search import VectorSearch
from cocon.core.errors import MismatchError, StorageError
from tests.client.index.search.brute_force import clustered, table_of
from tests.disks import full_disk

DIM = 16
TABLE = table_of([4] * 300)
VECTORS = clustered(np.random.default_rng(3), TABLE, dim=DIM)
HALF = table_of([4] * 150)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ListsRecord]:
    folder = tmp_path_factory.mktemp("index") / os.fsdecode(b"no text \xff")
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "_MAX_PROBED_SHARE", 1.0)  # so few rows need no lists
        return folder, make_lists(folder / "lists-1.faiss", VECTORS[:600], HALF, np.arange(600))


def test_a_file_is_opened_where_nobody_may_write(written: tuple[Path, ListsRecord]) -> None:
    folder, record = written
    assert (folder / "lists-1.faiss").stat().st_size == record.num_bytes
    (folder / "lists-1.faiss").chmod(0o444)
    before = sorted(folder.iterdir())
    lists = RowLists.open(folder, ListsRecord.from_json(json.loads(json.dumps(record.to_json()))), DIM)
    assert (lists.num_rows, lists.num_lists) == (600, record.num_lists)
    found = VectorSearch(VECTORS[:600], HALF, lists=lists).search([VectorQuery.of(VECTORS[[77]])], top=1)
    assert found.answers[0].rows.tolist() == [77] and found.way == "lists"
    assert sorted(folder.iterdir()) == before


def test_every_damage_is_seen_before_it_is_used(written: tuple[Path, ListsRecord], tmp_path: Path) -> None:
    folder, record = written
    content = (folder / "lists-1.faiss").read_bytes()
    place = tmp_path / "lists-1.faiss"
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 40).tolist():
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(rng.integers(8))
        place.write_bytes(flipped)
        with pytest.raises(MismatchError, match="damaged"):
            RowLists.open(tmp_path, record, DIM)
    for length in (0, 1, len(content) // 2, len(content) - 1):
        place.write_bytes(content[:length])
        with pytest.raises(MismatchError, match="damaged"):
            RowLists.open(tmp_path, record, DIM)
    place.unlink()
    with pytest.raises(MismatchError, match="cannot be read") as missing:
        RowLists.open(tmp_path, record, DIM)
    assert "\n" not in str(missing.value)
    with pytest.raises(MismatchError, match="of 16 dimensions, must be"):
        RowLists.open(folder, record, DIM + 1)


def test_a_copy_has_later_rows_too_and_the_old_file_stays(written: tuple[Path, ListsRecord]) -> None:
    folder, record = written
    before = (folder / "lists-1.faiss").read_bytes()
    rows = np.setdiff1d(np.arange(1200), [5, 1000])  # one that is in already, and one that is damaged
    seen: list[tuple[int, int | None]] = []
    extended = extended_lists(
        folder / "lists-2.faiss", record, VECTORS, TABLE, rows, on_progress=lambda *done: seen.append(done)
    )
    assert (folder / "lists-1.faiss").read_bytes() == before
    assert replace(extended, file=record.file, num_bytes=0, checksum=0, covered_rows=600) == replace(
        record, num_bytes=0, checksum=0
    )
    assert extended.covered_rows == 1200 and seen[-1] == (599, 599)
    lists = RowLists.open(folder, extended, DIM)
    assert lists.num_rows == 600 + 599
    search = VectorSearch(VECTORS, TABLE, lists=lists)
    queries = [VectorQuery.of(VECTORS[[row]]) for row in (3, 700, 1199)]
    assert [answer.rows[0] for answer in search.search(queries).answers] == [3, 700, 1199]


def test_a_full_disk_leaves_nothing_behind(written: tuple[Path, ListsRecord]) -> None:
    folder, record = written
    before = sorted(folder.iterdir())
    with full_disk(20_000), pytest.raises(StorageError, match=r"lists-3\.faiss"):
        extended_lists(folder / "lists-3.faiss", record, VECTORS, TABLE, np.arange(1200))
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("content", [{}, {"file": "lists-1.faiss", "lists": 3}])
def test_a_record_of_another_form_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(MismatchError, match="another form"):
        ListsRecord.from_json(content)
