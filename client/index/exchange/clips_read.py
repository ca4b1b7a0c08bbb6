"""What a file of clips says of whole videos, checked: vectors of unit length, clips in order, nothing twice."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.exchange.arrow_columns import begins_of, list_column, places_column, text_column
from cocon.client.index.exchange.clip_file import ClipFile, reading
from cocon.client.index.exchange.columns import REQUIRED, TEXTS
from cocon.client.index.records import IndexFacts, check_vectors
from cocon.core.errors import MismatchError
from cocon.core.printable import printable

__all__ = ["VideoClips", "videos_of"]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class VideoClips:
    """Some whole videos of a file; the clips of each follow one another.

    Attributes:
        counts: Clips of each, `int64 [V]`.
        texts: Column → text of each video; None where the file has none.
        numbers: Column → number of each video.
        also: Other places of each.
        spans: Start and end of all clips, `float64 [L, 2]`.
        vectors: Of all clips, `float32 [L, D]`.
        blocks: Likewise, `float16 [L, N·D]`; None where the file has none.
        tells_overlap: Whether the file says how clips overlap; or else it is guessed from the first two of a video.
        have_blocks: Whether all blocks of a video are known, `bool [V]`.
    """

    counts: NDArray[np.int64]
    texts: dict[str, list[str | None]]
    numbers: dict[str, NDArray[Any]]
    also: list[list[dict[str, Any]] | None]
    spans: NDArray[np.float64]
    vectors: NDArray[np.float32]
    blocks: NDArray[np.float16] | None
    have_blocks: NDArray[np.bool_]
    tells_overlap: bool

    def __len__(self) -> int:
        return len(self.counts)


def videos_of(file: ClipFile, facts: IndexFacts | None) -> Iterator[VideoClips]:
    """Read a file, some whole videos at a time, and check them.

    Args:
        file: Open.
        facts: Of the index that they are for; None: sizes are those of the first vector, and what the file says.

    Raises:
        UsageError: It is damaged.
        MismatchError: Something of it fits no index, or not this one.
    """
    import pyarrow as pa

    if missing := [name for name in REQUIRED if name not in file.names]:
        raise MismatchError(
            f"'{printable(file.path)}' has no column {', '.join(missing)}; write it with 'client index export' or "
            "'client embed --output'"
        )
    rest = None
    for table in file.tables():
        with reading(file.path):
            whole = table if rest is None else pa.concat_tables([rest, table])
            whole = whole.unify_dictionaries().combine_chunks()
            end = _last_begin(whole)
        if end:
            yield _Checked(file, whole.slice(0, end), facts).read()
        rest = whole.slice(end)
    if rest is not None and rest.num_rows:
        yield _Checked(file, rest, facts).read()


def _last_begin(table: Any) -> int:  # noqa: ANN401  # pyarrow is untyped
    """Where the last video of a table begins."""
    firsts = np.flatnonzero(begins_of(table))
    return int(firsts[-1])


class _Checked:
    """Whole videos of a table."""

    def __init__(self, file: ClipFile, table: Any, facts: IndexFacts | None) -> None:  # noqa: ANN401  # pyarrow is untyped
        self._named = f"'{printable(file.path)}'"
        self._path = file.path
        self._block_dim = file.block_dim if facts is None else facts.block_dim
        self._table = table
        self._facts = facts

    def read(self) -> VideoClips:
        with reading(self._path):
            firsts = np.flatnonzero(begins_of(self._table))
            counts = np.diff(firsts, append=self._table.num_rows)
            texts = {name: self._shared_text(name, firsts) for name in TEXTS}
            numbers = {name: self._shared_number(name, firsts) for name in ("num_frames", "truncated")}
            spans = self._spans(firsts, counts)
            numbers["overlap"] = self._overlap(firsts, counts, spans)
            vectors = self._vectors()
            blocks, known = self._blocks(self._block_dim or vectors.shape[1])
            also = self._also(firsts)
        have_blocks = np.logical_and.reduceat(known, firsts)
        found = VideoClips(
            counts, texts, numbers, also, spans, vectors, blocks, have_blocks, "overlap" in self._table.column_names
        )
        self._check(found)
        return found

    def _shared_text(self, name: str, firsts: NDArray[np.int64]) -> list[str | None]:
        if name not in self._table.column_names:
            return [None] * len(firsts)
        codes, values = text_column(self._table, name)
        self._check_shared(name, codes, firsts)
        if name in REQUIRED and (codes < 0).any():
            raise MismatchError(f"{self._named}: its '{name}' has gaps (nulls)")
        return [None if code < 0 else values[code] for code in codes[firsts].tolist()]

    def _shared_number(self, name: str, firsts: NDArray[np.int64]) -> NDArray[Any]:
        values = self._numbers(name)
        self._check_shared(name, values, firsts)
        return values[firsts]

    def _numbers(self, name: str) -> NDArray[Any]:
        column = self._table.column(name)
        if column.null_count:
            raise MismatchError(f"{self._named}: its '{name}' has gaps (nulls)")
        values: NDArray[Any] = column.to_numpy()
        if values.dtype.kind not in "iufb" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
            raise MismatchError(f"{self._named}: its '{name}' is {values.dtype}, must be finite numbers")
        return values

    def _check_shared(self, name: str, values: NDArray[Any], firsts: NDArray[np.int64]) -> None:
        begins = np.zeros(len(values), np.bool_)
        begins[firsts] = True
        if (values[1:] != values[:-1])[~begins[1:]].any():
            raise MismatchError(f"{self._named}: '{name}' differs among the clips of one video")

    def _spans(self, firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        clip: NDArray[np.int64] = np.arange(self._table.num_rows) - np.repeat(firsts, counts)
        if (self._numbers("clip") != clip).any():
            raise MismatchError(f"{self._named}: clips of a video are missing, twice, or not in order")
        spans = np.stack([self._numbers("start_seconds"), self._numbers("end_seconds")], axis=1).astype(np.float64)
        if (spans[:, 0] > spans[:, 1]).any():
            raise MismatchError(f"{self._named}: a clip ends before it begins")
        return spans

    def _overlap(self, firsts: NDArray[np.int64], counts: NDArray[np.int64], spans: NDArray[np.float64]) -> Any:  # noqa: ANN401
        """As the file says, or as the first two clips of a video lie."""
        if "overlap" in self._table.column_names:
            return self._shared_number("overlap", firsts).astype(np.float64)
        second = np.minimum(firsts + 1, firsts + counts - 1)
        lengths = spans[firsts, 1] - spans[firsts, 0]
        steps = spans[second, 0] - spans[firsts, 0]
        with np.errstate(all="ignore"):
            found = np.where((counts > 1) & (lengths > 0), 1.0 - steps / lengths, 0.0)
        return np.round(np.clip(found, 0.0, 0.999), 3)

    def _vectors(self) -> NDArray[np.float32]:
        vectors = list_column(self._table, "embedding")
        if vectors is None or self._table.column("embedding").null_count:
            raise MismatchError(f"{self._named}: its 'embedding' has gaps, must be lists of float32")
        with np.errstate(over="ignore"):
            vectors = np.ascontiguousarray(vectors, np.float32)
        dim = vectors.shape[1] if self._facts is None else self._facts.embedding_dim
        check_vectors(vectors, dim, source=self._named)
        return vectors

    def _blocks(self, dim: int) -> tuple[NDArray[np.float16] | None, NDArray[np.bool_]]:
        rows = self._table.num_rows
        if "blocks" not in self._table.column_names:
            return None, np.zeros(rows, np.bool_)
        blocks = list_column(self._table, "blocks")
        if blocks is None:
            return None, np.zeros(rows, np.bool_)
        blocks = np.ascontiguousarray(blocks, np.float16)
        if blocks.shape[1] % dim:
            raise MismatchError(f"{self._named}: its 'blocks' have {blocks.shape[1]} numbers, no multiple of {dim}")
        if not np.isfinite(blocks).all():
            raise MismatchError(f"{self._named}: its 'blocks' are not finite")
        return blocks, blocks.any(axis=1)

    def _also(self, firsts: NDArray[np.int64]) -> list[list[dict[str, Any]] | None]:
        if "also" not in self._table.column_names:
            return [None] * len(firsts)
        return places_column(self._table, firsts)

    def _check(self, found: VideoClips) -> None:
        for sha256 in found.texts["content_sha256"]:
            if not _SHA256.fullmatch(sha256 or ""):
                raise MismatchError(f"{self._named}: '{printable(sha256)}' is no sha256 of a content")
        metadata = [*found.texts["metadata"], *(place["metadata"] for others in found.also for place in others or ())]
        for text in filter(None, metadata):
            with reading(self._path):
                known = json.loads(text)
            if not isinstance(known, dict):
                raise MismatchError(f"{self._named}: its 'metadata' ({printable(text[:40])}) is no JSON object")
        expected = {self._facts.fingerprint} if self._facts else set(found.texts["fingerprint"][:1])
        if others := set(found.texts["fingerprint"]) - expected:
            raise MismatchError(
                f"{self._named} was made by another model (fingerprint {printable(str(others.pop()))[:12]}) than the "
                f"index ({str(*expected)[:12]}); embed the videos with the model of the index"
            )
