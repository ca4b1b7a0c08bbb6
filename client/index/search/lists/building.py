"""Making a lists file: training, adding the rows, and adding later ones to a copy."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.checksums import stream_checksum
from cocon.client.index.files.row_table import RowTable
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.row_lists import RowLists, open_lists
from cocon.client.index.search.lists.rules import num_lists_for
from cocon.client.index.search.lists.tuning import calibrate
from cocon.core.atomic import replacing
from cocon.core.progress import OnProgress, no_progress
from cocon.embedding.ranking.sampling import sample_of

__all__ = ["extended_lists", "make_lists", "trained_lists"]

_ROUNDS = 10  # of k-means; FAISS's own number for lists
# Rows that the lists are trained with: so many for each, and not more at all (256 MiB of vectors of 256).
_TRAINING_ROWS_PER_LIST = 40
_MAX_TRAINING_ROWS = 1 << 18
_ADDED_ROWS = 1 << 15  # at once
_SEED = 20_261_130


def trained_lists(
    vectors: NDArray[np.float32],
    rows: NDArray[np.int64],
    *,
    num_lists: int | None = None,
    on_progress: OnProgress = no_progress,
) -> Any:  # noqa: ANN401  # faiss is untyped
    """Train lists on a sample of rows, and put all rows into them; with all threads that FAISS takes.

    Args:
        vectors: Of all rows of the index, of unit length: `float32 [R, D]`.
        rows: Those that are live and sound, rising, at least one: `int64 [n]`.
        num_lists: By the rule for so many rows unless given.
        on_progress: Called with how many rows were seen, and how many will be.

    Returns:
        FAISS's inverted file, in memory: n·(D + 8) bytes and more.
    """
    import faiss

    num_lists = min(num_lists or num_lists_for(len(rows)), len(rows))
    sample = sample_of(rows, min(_TRAINING_ROWS_PER_LIST * num_lists, _MAX_TRAINING_ROWS), seed=_SEED)
    chosen = vectors[sample]
    total = _ROUNDS * len(sample) + len(rows)
    quantizer = faiss.IndexFlatIP(vectors.shape[1])
    for number in _trained(quantizer, chosen, num_lists):
        on_progress(number * len(sample), total)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, vectors.shape[1], num_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(chosen)  # the range of the codes alone
    _add(index, vectors, rows, on_progress, done=_ROUNDS * len(sample), total=total)
    return index


def make_lists(
    path: Path,
    vectors: NDArray[np.float32],
    table: RowTable,
    rows: NDArray[np.int64],
    *,
    on_progress: OnProgress = no_progress,
) -> ListsRecord:
    """Build lists, measure them beside the exact search, and write them if they help.

    Args:
        path: Of the new file, which appears whole and durably, or not at all.
        vectors: Of all rows of the index, of unit length: `float32 [R, D]`.
        table: Which rows belong to which video.
        rows: Those that are live and sound, rising: `int64 [n]`.
        on_progress: Called with how many rows were seen, and how many will be.

    Returns:
        What is to be remembered; without a file where no lists help.

    Raises:
        StorageError: The disk takes no more.
    """
    if not len(rows):
        return ListsRecord(None, table.total_rows, 0, 0, 0, 0.0, why_none="there are no clips")
    index = trained_lists(vectors, rows, on_progress=on_progress)
    found = calibrate(RowLists(index, table.total_rows, 1), vectors, table, rows)
    record = ListsRecord(
        None, table.total_rows, len(rows), int(index.nlist), found.num_probed, found.recall, why_none=found.why_none
    )
    return record if found.why_none else _saved(index, path, record)


def extended_lists(
    path: Path,
    record: ListsRecord,
    vectors: NDArray[np.float32],
    table: RowTable,
    rows: NDArray[np.int64],
    *,
    on_progress: OnProgress = no_progress,
) -> ListsRecord:
    """Write a copy of the lists of a record that has later rows too, without training; otherwise like `make_lists`.

    Args:
        path: Of the new file, in the folder of the old one, which stays.
        record: Of lists that there are.
        vectors: Of all rows of the index, `float32 [R, D]`.
        table: Which rows belong to which video.
        rows: Those that are live and sound, rising: `int64 [n]`; what the old file covers is left out.
        on_progress: Called with how many rows were added, and how many will be.

    Raises:
        MismatchError: The old file is missing or damaged.
        StorageError: The disk takes no more.
    """
    index = open_lists(path.parent, record, vectors.shape[1], is_mapped=False)
    later = rows[rows >= record.covered_rows]
    _add(index, vectors, later, on_progress, done=0, total=len(later))
    return _saved(index, path, replace(record, covered_rows=table.total_rows))


def _saved(index: Any, path: Path, record: ListsRecord) -> ListsRecord:  # noqa: ANN401  # faiss is untyped
    """Write an inverted file, durably; returns the record with the facts of the file."""
    import faiss

    with replacing(path, is_durable=True) as partial:
        with partial.open("wb") as stream:
            faiss.write_index(index, faiss.PyCallbackIOWriter(stream.write))
        num_bytes = partial.stat().st_size
        with partial.open("rb", buffering=0) as stream:
            checksum = stream_checksum(stream)
    return replace(record, file=path.name, num_bytes=num_bytes, checksum=checksum)


def _trained(quantizer: Any, vectors: NDArray[np.float32], num_lists: int) -> Iterator[int]:  # noqa: ANN401
    """Fill a quantizer with the centres of spherical k-means; yields the number of each round when it is done."""
    import faiss

    clustering = faiss.Clustering(vectors.shape[1], num_lists)
    clustering.niter, clustering.seed, clustering.spherical = 1, _SEED, True
    clustering.min_points_per_centroid = 1  # or it warns on standard error
    for number in range(1, _ROUNDS + 1):
        clustering.train(vectors, quantizer)  # goes on from the centres that it has
        yield number


def _add(
    index: Any,  # noqa: ANN401
    vectors: NDArray[np.float32],
    rows: NDArray[np.int64],
    on_progress: OnProgress,
    *,
    done: int,
    total: int,
) -> None:
    for begin in range(0, len(rows), _ADDED_ROWS):
        part = rows[begin : begin + _ADDED_ROWS]
        index.add_with_ids(vectors[part], part)
        on_progress(done + begin + len(part), total)
