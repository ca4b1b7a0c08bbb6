"""Vectors in a Parquet file: a column `embedding` of lists of numbers, and those of `client embed` beside it."""

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.query.columns import TEXTS, TIMES, TextColumn, VectorColumns, as_times, check_column_bytes

__all__ = ["read_parquet"]

# Of the narrowest number or code of a row, decoded.
_VALUE_BYTES = 4


def read_parquet(stream: IO[bytes]) -> VectorColumns:
    """Read the columns; raises `ValueError` if the file is none or damaged, or what the system says of it."""
    import pyarrow

    try:
        return _read(stream)
    except pyarrow.lib.ArrowException as error:
        raise ValueError(str(error)) from error


def _read(stream: IO[bytes]) -> VectorColumns:
    from pyarrow import parquet

    schema = parquet.ParquetFile(stream).schema_arrow
    if "embedding" not in schema.names:
        raise ValueError("it has no column 'embedding'")
    texts, times = ([name for name in names if name in schema.names] for names in (TEXTS, TIMES))
    for name in texts:
        if not _is_text(schema.field(name).type):
            raise ValueError(f"its '{name}' is {schema.field(name).type}, must be text")
    # Of a text that is repeated a million times one is kept.
    file = parquet.ParquetFile(stream, read_dictionary=texts)
    _check_sizes(file.metadata, {"embedding", *texts, *times})
    table = file.read(["embedding", *texts, *times], use_threads=False)
    whole = (schema.metadata or {}).get(b"fingerprint")
    return VectorColumns(
        _as_vectors(table.column("embedding")),
        {name: _as_texts(name, table.column(name)) for name in texts},
        {name: as_times(name, table.column(name).to_numpy()) for name in times},
        None if whole is None else whole.decode(errors="backslashreplace"),
    )


def _check_sizes(metadata: Any, names: set[str]) -> None:  # noqa: ANN401  # pyarrow is untyped
    """Refuse by the footer what is much larger when it is decoded."""
    sizes = dict.fromkeys(names, 0)
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            if (name := chunk.path_in_schema.split(".")[0]) in names:
                sizes[name] += max(chunk.total_uncompressed_size, _VALUE_BYTES * chunk.num_values)
    check_column_bytes(max(sizes.values()))


def _is_text(kind: Any) -> bool:  # noqa: ANN401  # pyarrow is untyped
    from pyarrow import types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner))


def _as_vectors(column: Any) -> NDArray[Any]:  # noqa: ANN401  # pyarrow is untyped
    """Lists of numbers as `[R, D]`."""
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise ValueError(f"its embedding is {kind}, must be lists of float32")
    if not len(column):
        return np.empty((0, 0), np.float32)
    rows = pyarrow.concat_arrays(column.chunks)
    numbers = rows.flatten()
    if rows.null_count or numbers.null_count:
        raise ValueError("its embedding has gaps (nulls)")
    lengths = compute.list_value_length(rows)
    if compute.min(lengths).as_py() != compute.max(lengths).as_py():
        raise ValueError("its vectors are not equally long")
    return np.asarray(numbers.to_numpy(zero_copy_only=False)).reshape(len(rows), -1)


def _as_texts(name: str, column: Any) -> TextColumn:  # noqa: ANN401  # pyarrow is untyped
    import pyarrow

    if column.null_count:
        raise ValueError(f"its '{name}' has gaps (nulls)")
    if not len(column):
        return TextColumn([], np.empty(0, np.int64))
    encoded = pyarrow.concat_arrays(column.dictionary_encode().unify_dictionaries().chunks)
    return TextColumn(encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64))
