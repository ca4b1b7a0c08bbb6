"""Embeddings as columns: Parquet and NumPy files. All rows have one dimension and one fingerprint.

table = pyarrow.parquet.read_table("rows.parquet")
table.schema.metadata[b"fingerprint"], table.schema.metadata[b"normalised"]      # b"l2"
numpy.load("rows.npz")["embedding"]                                             # float32 [R, D]
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cocon.client.pipeline.video_embedding import Row
from cocon.video.store.archive import write_arrays

__all__ = ["NpzSink", "ParquetSink"]

NO_NOTES: Mapping[str, str] = MappingProxyType({})

# Column → NumPy type, in the order of the row; the embedding is the last one.
_COLUMNS = {
    "video": np.str_,
    "content_sha256": np.str_,
    "view": np.str_,
    "clip": np.int64,
    "start_seconds": np.float64,
    "end_seconds": np.float64,
    "num_frames": np.int64,
    "truncated": np.bool_,
    "model": np.str_,
    "version": np.str_,
    "fingerprint": np.str_,
}


class ParquetSink:
    """One Parquet file, `embedding` a fixed-size list of float32.

    Args:
        stream: File to write, which can tell where it is.
        embedding_dim: D.
        fingerprint: Written into the schema's metadata.
        num_blocks: N, if rows have `blocks`, `float32 [N, block_dim]`, to be written as float16; 0 if they have none.
        block_dim: Of these; as many numbers as a clip's vector has where it is not given.
        notes: What else the file is to say of itself.
    """

    def __init__(
        self,
        stream: BinaryIO,
        embedding_dim: int,
        fingerprint: str,
        *,
        num_blocks: int = 0,
        block_dim: int = 0,
        notes: Mapping[str, str] = NO_NOTES,
    ) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = {
            np.str_: pyarrow.string(),
            np.int64: pyarrow.int64(),
            np.float64: pyarrow.float64(),
            np.bool_: pyarrow.bool_(),
        }
        columns = [pyarrow.field(name, kinds[kind], nullable=False) for name, kind in _COLUMNS.items()]
        columns.append(pyarrow.field("embedding", pyarrow.list_(pyarrow.float32(), embedding_dim), nullable=False))
        if num_blocks:
            kind = pyarrow.list_(pyarrow.float16(), num_blocks * (block_dim or embedding_dim))
            columns.append(pyarrow.field("blocks", kind, nullable=False))
        self._has_blocks = num_blocks > 0
        self._schema = pyarrow.schema(columns, metadata={"normalised": "l2", "fingerprint": fingerprint, **notes})
        self._writer = parquet.ParquetWriter(stream, self._schema, write_page_checksum=True)

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows of one video; failed inputs have no place here."""
        import pyarrow

        sound = [row for row in rows if "error" not in row]
        if not sound:
            return
        columns = [_column(np.array([row[name] for row in sound], kind)) for name, kind in _COLUMNS.items()]
        columns.append(self._lists("embedding", _vectors(sound)))
        if self._has_blocks:
            columns.append(self._lists("blocks", np.array([row["blocks"] for row in sound], np.float16)))
        self._writer.write_batch(pyarrow.record_batch(columns, schema=self._schema))

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def _lists(self, name: str, values: NDArray[Any]) -> Any:  # noqa: ANN401  # pyarrow is untyped
        import pyarrow

        return pyarrow.FixedSizeListArray.from_arrays(_column(values.ravel()), type=self._schema.field(name).type)


class NpzSink:
    """One `.npz` file: an array per column, no pickles; `embedding` is `float32 [R, D]`.

    Args:
        stream: File to write.
        embedding_dim: D.
        fingerprint: Written beside the columns' own, so that a file without rows says what it is.
    """

    def __init__(self, stream: BinaryIO, embedding_dim: int, fingerprint: str) -> None:
        self._stream = stream
        self._embedding_dim = embedding_dim
        self._fingerprint = fingerprint
        self._rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Take the rows of one video; failed inputs have no place here."""
        self._rows += (row for row in rows if "error" not in row)

    def finish(self) -> None:
        """Write the file."""
        columns: dict[str, NDArray[Any]] = {
            name: np.array([row[name] for row in self._rows], kind) for name, kind in _COLUMNS.items()
        }
        vectors = _vectors(self._rows).reshape(-1, self._embedding_dim)
        facts = {"normalised": np.array("l2"), "model_fingerprint": np.array(self._fingerprint)}
        write_arrays(self._stream, {**columns, **facts, "embedding": vectors})


def _vectors(rows: Sequence[Row]) -> NDArray[np.float32]:
    return np.array([row["embedding"] for row in rows], np.float32)  # [R, D]


def _column(values: NDArray[Any]) -> Any:  # noqa: ANN401  # pyarrow is untyped
    """A column without nulls, of texts, truths or numbers `[R]`.

    `pyarrow.array` imports pandas where that is installed, to see whether it was given some of it, and that takes a
    second: longer than a short video does. So it is made of its bytes.
    """
    import pyarrow

    if values.dtype.kind == "U":
        texts = [text.encode() for text in values.tolist()]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
        return pyarrow.StringArray.from_buffers(len(texts), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(texts)))
    kind = pyarrow.from_numpy_dtype(values.dtype)
    content = np.packbits(values, bitorder="little") if values.dtype == np.bool_ else values
    return pyarrow.Array.from_buffers(kind, len(values), [None, pyarrow.py_buffer(content)])
