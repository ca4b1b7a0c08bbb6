"""Lists of rows that lie near each other, in one immutable file: FAISS's inverted file with 8-bit codes.

A search reads the lists nearest to the query instead of all rows. The codes are only to find candidates with: whoever
asks scores them again from the vectors. Ids are row numbers. FAISS reads a file with flipped bits without a word, so
the file's checksum is verified before it is mapped; through the mapping a page is read when it is needed.
"""

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.files.checksums import stream_checksum
from cocon.client.index.search.lists.record import ListsRecord
from cocon.core.errors import MismatchError
from cocon.core.printable import in_one_line

__all__ = ["RowLists", "RowSelector", "open_lists"]


class RowLists:
    """Opened lists. Safe for several threads: nothing of it changes.

    Args:
        faiss_index: Inverted file whose ids are row numbers.
        covered_rows: Rows before this one are in it.
        num_probed: Lists that a search reads unless it says otherwise.

    Attributes:
        code_error: How far the codes' product with a unit vector is off the vectors' at most, save for rare ones.
    """

    def __init__(self, faiss_index: Any, covered_rows: int, num_probed: int) -> None:  # noqa: ANN401  # faiss is untyped
        import faiss

        self._index = faiss_index
        steps = faiss.vector_to_array(faiss_index.sq.trained)[faiss_index.d :] / 255.0  # of each value's code
        # Of a product with a unit vector: rounding is uniform within a step, and four deviations cover it.
        self.code_error = float(4.0 * np.sqrt(np.mean(np.square(steps)) / 12.0))
        self.covered_rows, self.num_probed = covered_rows, num_probed

    @classmethod
    def open(cls, folder: Path, record: ListsRecord, embedding_dim: int) -> Self:
        """Map the file of a record; raises like `open_lists`."""
        return cls(open_lists(folder, record, embedding_dim), record.covered_rows, record.num_probed)

    @property
    def num_lists(self) -> int:
        """Lists."""
        return int(self._index.nlist)

    @property
    def num_rows(self) -> int:
        """Rows in the lists."""
        return int(self._index.ntotal)

    def candidates(
        self,
        queries: NDArray[np.float32],
        count: int,
        *,
        num_probed: int | None = None,
        selector: "RowSelector | None" = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Rows that are probably the most similar.

        Args:
            queries: `float32 [M, D]`.
            count: Rows for each.
            num_probed: Lists that are read; by default what was calibrated.
            selector: Rows that may be found; all unless given.

        Returns:
            Scores as the codes have them, the best first, `float32 [M, count]`, and rows, `int64 [M, count]`, −1 where
            there are no more.
        """
        import faiss

        chosen = min(self.num_probed if num_probed is None else num_probed, self.num_lists)
        parameters = faiss.SearchParametersIVF(nprobe=chosen, sel=selector.faiss if selector else None)
        scores, rows = self._index.search(queries, count, params=parameters)
        return scores, rows


class RowSelector:
    """Rows that may be found, in the form that FAISS takes.

    Args:
        usable: Whether each row may be, `bool [R]`.
    """

    def __init__(self, usable: NDArray[np.bool_]) -> None:
        import faiss

        self._bits = np.packbits(usable, bitorder="little")
        # FAISS keeps the address alone.
        self.faiss = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))


def open_lists(folder: Path, record: ListsRecord, embedding_dim: int, *, is_mapped: bool = True) -> Any:  # noqa: ANN401
    """FAISS's inverted file of a record, when its bytes are verified.

    Args:
        folder: Of the index.
        record: Of lists that there are.
        embedding_dim: D.
        is_mapped: Whether it is read only where and when it is needed, and cannot be changed.

    Raises:
        MismatchError: It is missing, damaged, or of other vectors.
    """
    import faiss

    assert record.file is not None
    path = folder / record.file
    try:
        with path.open("rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size != record.num_bytes or stream_checksum(stream) != record.checksum:
                raise MismatchError(f"'{path}' is damaged (checksum differs); run 'client index rebuild'")
            # By the descriptor, for it is what was verified, and FAISS takes no names that are no text.
            how = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY if is_mapped else 0
            index = faiss.read_index(f"/dev/fd/{stream.fileno()}", how)
    except (OSError, RuntimeError) as error:
        raise MismatchError(f"'{path}' cannot be read ({in_one_line(error)}); run 'client index rebuild'") from error
    if (index.d, index.nlist) != (embedding_dim, record.num_lists):
        raise MismatchError(
            f"'{path}' holds {index.nlist} lists of {index.d} dimensions, must be {record.num_lists} of "
            f"{embedding_dim}; run 'client index rebuild'"
        )
    if is_mapped:  # reading ahead would start threads with every search
        faiss.downcast_InvertedLists(index.invlists).prefetch_nthread = 0
    return index
