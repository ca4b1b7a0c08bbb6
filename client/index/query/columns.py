"""What a file of vectors holds: its embeddings, and what it says of every row; refused where it claims too much.

Such a file may be from a stranger: what it says that it holds is looked at before anything of that size is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEXTS", "TIMES", "TextColumn", "VectorColumns", "as_times", "check_column_bytes"]

TEXTS, TIMES = ("video", "content_sha256", "fingerprint"), ("start_seconds", "end_seconds")
"""Columns that are read beside `embedding`, where a file has them, by their kind."""

_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TextColumn:
    """R texts, few of them different.

    Attributes:
        values: The different ones.
        codes: Which of them each row has, `int64 [R]`.
    """

    values: list[str]
    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VectorColumns:
    """The columns of a file.

    Attributes:
        embedding: `float [R, D]`, or `[D]` where it is a single vector.
        texts: By name, R rows each.
        times: Likewise, `float64 [R]`.
        fingerprint: Of the file as a whole; None where it says nothing.

    Raises:
        ValueError: They are no such columns.
    """

    embedding: NDArray[Any]
    texts: Mapping[str, TextColumn] = field(default_factory=dict)
    times: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        found = self.embedding
        if found.dtype.kind != "f" or found.ndim not in (1, 2):
            raise ValueError(f"its embedding is {found.dtype} {list(found.shape)}, must be float32 [D] or [Q, D]")
        lengths = {len(text.codes) for text in self.texts.values()} | set(map(len, self.times.values()))
        if lengths - {len(found) if found.ndim == 2 else 1}:
            raise ValueError("its columns are not equally long")


def check_column_bytes(num_bytes: int) -> None:
    """Raise `ValueError` if a column says it is larger than any that is read."""
    if num_bytes > _MAX_BYTES:
        raise ValueError(f"it has a column of {num_bytes / 2**30:.3g} GiB, more than {_MAX_BYTES >> 30} GiB")


def as_times(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """A column of `TIMES` as `float64 [R]`; raises `ValueError` if it is none."""
    if values.dtype.kind != "f" or values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"its '{name}' is {values.dtype} {list(values.shape)}, must be finite seconds, float64 [R]")
    return values.astype(np.float64)
