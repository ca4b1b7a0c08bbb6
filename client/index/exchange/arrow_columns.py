"""Columns of an Arrow table as arrays and lists; `ValueError` where a column is not of the kind that it must be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["begins_of", "list_column", "places_column", "text_column"]

_PLACE = ("video", "label", "metadata")


def begins_of(table: Any) -> NDArray[np.bool_]:  # noqa: ANN401  # pyarrow is untyped
    """Whether a video begins at each row, of which there are some: its path or its content is another."""
    begins = np.zeros(table.num_rows, np.bool_)
    begins[0] = True
    for name in ("video", "content_sha256"):
        codes, _ = text_column(table, name)
        begins[1:] |= codes[1:] != codes[:-1]
    return begins


def text_column(table: Any, name: str) -> tuple[NDArray[np.int64], list[str | None]]:  # noqa: ANN401  # untyped
    """A column of text: the code of each row, -1 for none, and the texts."""
    import pyarrow as pa
    from pyarrow import types

    column = table.column(name)
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise ValueError(f"its '{name}' is {kind}, must be text")
    if not types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    chunk = column.unify_dictionaries().combine_chunks()
    if isinstance(chunk, pa.ChunkedArray):
        (chunk,) = chunk.chunks
    codes = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, chunk.dictionary.to_pylist()


def list_column(table: Any, name: str) -> NDArray[Any] | None:  # noqa: ANN401  # pyarrow is untyped
    """A column of lists of one length as `[L, n]`, zeros where there are none; None where no row has any."""
    import pyarrow as pa
    from pyarrow import compute, types

    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        (column,) = column.chunks
    kind = column.type
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        raise ValueError(f"its '{name}' is {kind}, must be lists of numbers")
    valid = column.is_valid().to_numpy(zero_copy_only=False).astype(np.bool_)
    if not valid.any():
        return None
    held = column if valid.all() else column.filter(column.is_valid())
    numbers = held.flatten()
    lengths = compute.min_max(compute.list_value_length(held)).as_py()
    if numbers.null_count or lengths["min"] != lengths["max"] or not lengths["min"]:
        raise ValueError(f"lists of its '{name}' are not equally long, or have gaps")
    values = np.asarray(numbers.to_numpy(zero_copy_only=False)).reshape(-1, lengths["min"])
    if values.dtype.kind != "f":
        raise ValueError(f"its '{name}' is {kind}, must be lists of float32")
    if valid.all():
        return values
    spread = np.zeros((len(valid), lengths["min"]), values.dtype)
    spread[valid] = values
    return spread


def places_column(table: Any, rows: NDArray[np.int64]) -> list[list[dict[str, Any]] | None]:  # noqa: ANN401  # untyped
    """The other places of the videos that begin at some rows."""
    from pyarrow import types

    kind = table.schema.field("also").type
    is_right = types.is_null(kind) or (types.is_list(kind) and types.is_struct(kind.value_type))
    if is_right and not types.is_null(kind):
        fields = {field.name: field.type for field in kind.value_type}
        is_right = [*fields] == [*_PLACE] and all(map(types.is_string, fields.values()))
    found: list[list[dict[str, Any]] | None] = table.column("also").take(rows).to_pylist() if is_right else []
    if not is_right or any(not isinstance(place["video"], str) for places in found for place in places or ()):
        raise ValueError(f"its 'also' is {kind}, must be lists of {', '.join(_PLACE)}")
    return found
