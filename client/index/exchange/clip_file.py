"""Reading a file of clips, some at a time: Parquet of `client index export` or `client embed`, `.npz` of the latter."""

import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from cocon.client.index.exchange.columns import INDEX_KEY, OPTIONAL, REQUIRED, TEXTS
from cocon.core.errors import UsageError
from cocon.core.paths import check_file
from cocon.core.printable import in_one_line, printable
from cocon.video.store.archive import read_array

__all__ = ["ClipFile", "reading"]

# Clips that are worked on at once: by their bytes, and at most so many.
_PART_BYTES, _MAX_PART_ROWS = 32 << 20, 1 << 16
_BATCH_ROWS = 4096
# What readers raise of a damaged file, besides `ArrowException`.
_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, SyntaxError, ArithmeticError, MemoryError,
    RuntimeError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What libraries say of a damaged file, in our words: raises `UsageError`."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, *_DAMAGE) as error:
        reason = in_one_line(error.strerror if isinstance(error, OSError) and error.strerror else error)
        raise UsageError(
            f"'{printable(path)}' cannot be read: {reason}; write it with 'client index export', or with "
            "'client embed --output'"
        ) from error


@dataclass(frozen=True, slots=True)
class ClipFile:
    """An open file.

    Attributes:
        path: Of it.
        names: Columns.
        total_rows: Clips.
        fingerprint: That the file as a whole says; None if it says nothing.
        index: What an export says of its index; empty for other files.
    """

    path: Path
    names: tuple[str, ...]
    total_rows: int
    fingerprint: str | None
    index: Mapping[str, Any]
    _held: Any  # a ParquetFile, or a Table

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open a file by its ending.

        Raises:
            UsageError: There is none, it is damaged, or of another kind.
        """
        check_file(path, "clips")
        suffix = path.suffix.lower()
        if suffix not in (".parquet", ".npz"):
            raise UsageError(f"'{printable(path)}' holds no clips; such a file ends in .parquet or .npz")
        with reading(path):
            stream = path.open("rb")
        with stream:
            with reading(path):
                opened = cls._parquet(path, stream) if suffix == ".parquet" else cls._npz(path, stream)
            yield opened

    @property
    def block_dim(self) -> int:
        """Numbers of a block's vector, where they are not as many as a clip's has and the file says so; 0 else."""
        found = self.index.get("block_dim", 0)
        return found if isinstance(found, int) and found > 0 else 0

    @property
    def view_dims(self) -> tuple[int, ...]:
        """Numbers of a clip's vector that are each view's, where they differ and the file says so; empty else."""
        found = self.index.get("view_dims", [])
        are_dims = isinstance(found, list) and all(isinstance(dim, int) and dim > 0 for dim in found)
        return tuple(found) if are_dims else ()

    def tables(self) -> Iterator[Any]:
        """Its rows as Arrow tables, each of the size that is worked on at once; texts are dictionaries.

        Raises:
            UsageError: It is damaged.
        """
        import pyarrow as pa

        batches = self._batches()
        held: list[Any] = []
        rows = size = 0
        while True:
            with reading(self.path):
                batch = next(batches, None)
            if batch is not None:
                held.append(batch)
                rows, size = rows + batch.num_rows, size + batch.nbytes
            if held and (batch is None or size >= _PART_BYTES or rows >= _MAX_PART_ROWS):
                with reading(self.path):
                    table = pa.Table.from_batches(held)
                yield table
                held, rows, size = [], 0, 0
            if batch is None:
                return

    def _batches(self) -> Iterator[Any]:
        wanted = [name for name in (*REQUIRED, *OPTIONAL) if name in self.names]
        if hasattr(self._held, "iter_batches"):
            return iter(self._held.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False))
        return iter(self._held.select(wanted).to_batches(_BATCH_ROWS))

    @classmethod
    def _parquet(cls, path: Path, stream: IO[bytes]) -> Self:
        from pyarrow import parquet

        schema = parquet.ParquetFile(stream).schema_arrow
        # Of a text that is repeated a million times one is kept.
        texts = [name for name in TEXTS if name in schema.names]
        file = parquet.ParquetFile(stream, read_dictionary=texts, page_checksum_verification=True, pre_buffer=False)
        said = schema.metadata or {}
        fingerprint = said.get(b"fingerprint")
        return cls(
            path,
            tuple(schema.names),
            file.metadata.num_rows,
            None if fingerprint is None else fingerprint.decode(),
            json.loads(said.get(INDEX_KEY, b"{}")),
            file,
        )

    @classmethod
    def _npz(cls, path: Path, stream: IO[bytes]) -> Self:
        import pyarrow as pa

        with zipfile.ZipFile(stream) as archive:
            present = {name.removesuffix(".npy") for name in archive.namelist()}
            names = [name for name in REQUIRED if name in present]
            arrays = {name: read_array(archive, name) for name in names}
            whole = read_array(archive, "model_fingerprint") if "model_fingerprint" in present else None
        table = pa.table({name: _as_arrow(array) for name, array in arrays.items()})
        return cls(path, tuple(names), table.num_rows, None if whole is None else str(whole), {}, table)


def _as_arrow(array: Any) -> Any:  # noqa: ANN401  # pyarrow is untyped
    import pyarrow as pa

    if array.dtype.kind == "U":
        return pa.array(array.tolist(), pa.string()).dictionary_encode()
    if array.ndim == 2:
        kind = pa.list_(pa.from_numpy_dtype(array.dtype), array.shape[1])
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(array).ravel()), type=kind)
    return pa.array(array)
