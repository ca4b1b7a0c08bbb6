"""Vectors in a file as queries: arrays of NumPy, and what `client embed --output` writes.

read_queries(Path("rows.parquet"), embedding_dim=256, fingerprint=facts.fingerprint)      # one query per video
"""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.query.columns import VectorColumns
from cocon.client.index.query.numpy_columns import read_npy, read_npz
from cocon.client.index.query.parquet_columns import read_parquet
from cocon.client.index.records import check_vectors
from cocon.core.errors import MismatchError, UsageError
from cocon.core.paths import check_file
from cocon.core.printable import in_one_line, printable, unescaped

__all__ = ["VectorsQuery", "is_vectors_file", "read_queries"]

_READERS = {".npy": read_npy, ".npz": read_npz, ".parquet": read_parquet}
# What readers raise of a damaged file: an archive may be encrypted or packed in unknown ways, a header be no Python.
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    SyntaxError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class VectorsQuery:
    """The vectors of one query.

    Attributes:
        video: Path of the video they are of, as the file has it, or else of the file itself.
        content_sha256: Of the video; None where the file does not say.
        embedding: Unit length, `float32 [Q, D]`, Q ≥ 1.
        start_seconds: Of the clips, `float64 [Q]`; None where the file does not say.
        end_seconds: Likewise.
    """

    video: str
    content_sha256: str | None
    embedding: NDArray[np.float32]
    start_seconds: NDArray[np.float64] | None = None
    end_seconds: NDArray[np.float64] | None = None


def is_vectors_file(path: Path) -> bool:
    """Whether a name is that of a file of vectors and not of a video."""
    return path.suffix.lower() in _READERS


def read_queries(path: Path, *, embedding_dim: int, fingerprint: str) -> list[VectorsQuery]:
    """The queries in a file, in the order of their first rows.

    Args:
        path: `.npy` of `[D]` or `[Q, D]` numbers, one query; `.npz` or `.parquet` as `client embed` writes them, or
            with `embedding` alone: a query per video.
        embedding_dim: D of the index.
        fingerprint: Of the index; a file that has one must have this.

    Raises:
        UsageError: There is no such file, or it is damaged, or holds no vectors, objects, or more than 1 GiB.
        MismatchError: Its vectors are not of the index's dimension or model, not finite, or not of unit length.
    """
    check_file(path, "vectors")
    source = f"'{printable(path)}'"
    columns = _read(path)
    _check_fingerprint(columns, fingerprint, source)
    vectors = np.atleast_2d(columns.embedding)
    if not len(vectors):
        raise UsageError(f"{source} holds no vectors; write some with 'client embed --output'")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        vectors = vectors.astype(np.float32)
    check_vectors(vectors, embedding_dim, source=source)
    return [_query(path, columns, vectors, rows) for rows in _rows_of_videos(columns, len(vectors))]


def _read(path: Path) -> VectorColumns:
    if not is_vectors_file(path):
        raise UsageError(f"'{printable(path)}' is no file of vectors; such a file ends in {', '.join(_READERS)}")
    try:
        with path.open("rb") as stream:
            return _READERS[path.suffix.lower()](stream)
    except (OSError, *_DAMAGE) as error:
        reason = in_one_line(error.strerror if isinstance(error, OSError) and error.strerror else error)
        raise UsageError(
            f"vectors '{printable(path)}' cannot be read: {reason}; write them with 'client embed --output'"
        ) from error


def _check_fingerprint(columns: VectorColumns, fingerprint: str, source: str) -> None:
    found = {*columns.texts["fingerprint"].values} if "fingerprint" in columns.texts else set()
    if columns.fingerprint is not None:
        found.add(columns.fingerprint)
    if others := found - {fingerprint}:
        raise MismatchError(
            f"vectors of {source} were made by another model (fingerprint {printable(min(others))[:12]}) than the "
            f"index ({fingerprint[:12]}); embed the videos with the model of the index"
        )


def _rows_of_videos(columns: VectorColumns, num_rows: int) -> Iterator[NDArray[np.int64]]:
    """The rows of each video, of which a path with two contents is two."""
    codes = np.zeros(num_rows, np.int64)
    for name in ("video", "content_sha256"):
        if name in columns.texts:
            text = columns.texts[name]
            _, codes = np.unique(codes * len(text.values) + text.codes, return_inverse=True)
    _, firsts, counts = np.unique(codes, return_index=True, return_counts=True)
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    return (rows[video] for video in np.argsort(firsts))


def _query(path: Path, columns: VectorColumns, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> VectorsQuery:
    first = {name: text.values[text.codes[rows[0]]] for name, text in columns.texts.items()}
    times = {name: values[rows] for name, values in columns.times.items()}
    video = unescaped(first["video"]) if "video" in first else str(path)
    return VectorsQuery(
        video, first.get("content_sha256"), vectors[rows], times.get("start_seconds"), times.get("end_seconds")
    )
