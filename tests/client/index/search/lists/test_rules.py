import pytest

from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.rules import ListsTask, lists_task, num_lists_for


def record(rows: int, *, covered: int = 0) -> ListsRecord:
    return ListsRecord("lists-1.faiss", covered or rows, rows, 1900, 8, 0.998)


NONE = ListsRecord(None, 300_000, 300_000, 2191, 328, 0.4, why_none="noise")


@pytest.mark.parametrize(
    ("before", "rows", "gone", "dim", "task"),
    [
        (None, 199_900, 0, 256, "keep"),
        (None, 200_000, 0, 256, "build"),
        (None, 200_000, 0, 64, "keep"),
        (None, 800_000, 0, 64, "build"),
        (record(300_000), 300_000, 0, 256, "keep"),
        (record(300_000), 309_900, 0, 256, "keep"),
        (record(300_000), 310_100, 0, 256, "extend"),
        (record(300_000), 600_000, 0, 256, "build"),
        (record(300_000, covered=590_000), 590_000, 0, 256, "keep"),
        (record(2_000_000), 2_015_000, 0, 256, "keep"),
        (record(2_000_000), 2_030_000, 0, 256, "extend"),
        (record(600_000), 600_000, 2_900, 256, "keep"),
        (record(600_000), 600_000, 3_100, 256, "build"),
        (record(600_000), 600_000, 5_000, 256, "keep"),
        (NONE, 310_100, 0, 256, "keep"),
        (NONE, 600_000, 0, 256, "build"),
    ],
    ids=str,
)
def test_what_is_to_be_done(before: ListsRecord | None, rows: int, gone: int, dim: int, task: ListsTask) -> None:
    covered = before.covered_rows if before else 0  # of which the first hundreds are removed
    num_tail = rows - max(covered, 100 * gone)
    assert lists_task(before, rows - 100 * gone, num_tail, dim) == task


def test_there_are_four_lists_for_the_root_of_the_rows() -> None:
    assert [num_lists_for(rows) for rows in (0, 1, 10_000, 1_000_000)] == [1, 4, 400, 4000]
