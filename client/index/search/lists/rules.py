"""When lists are worth their building, and when they must grow or be trained anew.

An exact scan reads 4·N·D bytes: 84 ms for a million vectors of 256, 17 ms for 200,000 (one core, measured). Lists
answer in a millisecond whatever N is, and cost a minute or two of building.
"""

from typing import Literal

from cocon.client.index.search.lists.record import ListsRecord

__all__ = ["ListsTask", "lists_task", "num_lists_for"]

# `keep` also where there are no lists, and none are wanted.
ListsTask = Literal["keep", "build", "extend"]

# Values (N·D) of live rows from which on lists are built: 200,000 clips of 256, 800,000 of 64.
_MIN_VALUES = 200_000 * 256
# Values after the lists that may be scanned with every search (a millisecond), and what share of the rows in the lists
# they must be at least, because an extension writes the whole file.
_MAX_TAIL_VALUES = 10_000 * 256
_MIN_TAIL_SHARE = 0.01
# Lists are trained anew when there are so many times the rows that they were trained for, ...
_MAX_GROWTH = 2.0
# ... or when more than this share of the rows before their end are dead.
_MAX_DEAD_SHARE = 0.5
# Lists for √N rows, as FAISS's guidelines and the measurements have it.
_LISTS_PER_ROOT = 4


def lists_task(record: ListsRecord | None, num_live: int, num_tail: int, embedding_dim: int) -> ListsTask:
    """What is to be done about the lists of an index.

    Args:
        record: Of its lists, if they were built or given up before.
        num_live: Rows of its videos.
        num_tail: Those of them that are not in the lists, as they came later.
        embedding_dim: D.
    """
    if num_live * embedding_dim < _MIN_VALUES:
        return "keep"
    if record is None or num_live >= _MAX_GROWTH * record.trained_rows:
        return "build"
    if record.file is None:
        return "keep"
    if record.covered_rows - (num_live - num_tail) > _MAX_DEAD_SHARE * record.covered_rows:
        return "build"
    is_long = num_tail * embedding_dim > _MAX_TAIL_VALUES and num_tail > _MIN_TAIL_SHARE * record.covered_rows
    return "extend" if is_long else "keep"


def num_lists_for(num_rows: int) -> int:
    """How many lists so many rows are divided into."""
    return max(1, round(_LISTS_PER_ROOT * num_rows**0.5))
