"""Writing an index into one Parquet file, some videos at a time: a million clips need no more memory than others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.exchange.columns import NUMBERS, SETTINGS, TEXTS, clip_schema, index_metadata
from cocon.client.index.files.snapshot import Snapshot
from cocon.core.errors import MismatchError
from cocon.core.printable import printable
from cocon.core.progress import OnProgress

__all__ = ["ExportReport", "export_parquet"]

_GROUP_BYTES = 64 << 20
_VIDEOS = """
SELECT video_id, content_sha256, view, model, version, fingerprint, num_frames, truncated, overlap, spans,
length(block_checksums) > 0
FROM videos WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY video_id
"""
_PLACES = """
SELECT video_id, path, label, metadata FROM places WHERE video_id IN (SELECT value FROM json_each(?)) ORDER BY path
"""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        num_videos: Contents.
        num_clips: Rows.
    """

    num_videos: int
    num_clips: int


@dataclass(frozen=True, slots=True)
class _Video:
    """A content of a part: the columns that all its clips share, its spans, whether it has blocks, and other places."""

    texts: tuple[str | None, ...]
    numbers: tuple[Any, ...]
    spans: NDArray[np.float64]
    has_blocks: bool
    also: list[dict[str, str | None]] | None


def export_parquet(
    snapshot: Snapshot, path: Path, on_progress: OnProgress, video_ids: NDArray[np.int64] | None = None
) -> ExportReport:
    """Write the videos of an index.

    Args:
        snapshot: Of the index.
        path: The file to write.
        on_progress: Called with rows done, of how many.
        video_ids: Which videos; all where it is None.

    Raises:
        MismatchError: Some of their vectors or blocks are damaged.
        OSError: The file cannot be written.
    """
    from pyarrow import parquet

    table = snapshot.rows
    positions = np.arange(len(table.video_ids)) if video_ids is None else table.positions_of(np.unique(video_ids))
    _check_sound(snapshot, table.video_ids[positions] if video_ids is not None else None)
    num_blocks = snapshot.row_facts.num_blocks if snapshot.blocks is not None else 0
    settings = {name: value for name in SETTINGS if (value := snapshot.fact(name)) is not None}
    metadata = index_metadata(snapshot.facts, num_blocks, snapshot.fact("made_by") or {}, settings)
    schema = clip_schema(snapshot.facts, num_blocks, metadata)
    total, done = int(table.num_rows[positions].sum()), 0
    writer = parquet.ParquetWriter(
        path,
        schema,
        compression={name: "NONE" if name in ("embedding", "blocks") else "ZSTD" for name in schema.names},
        use_dictionary=[*TEXTS, *NUMBERS],
        write_statistics=False,
        write_page_checksum=True,
    )
    row_bytes = 4 * snapshot.facts.embedding_dim + 2 * num_blocks * snapshot.facts.block_dim
    with writer:
        for places in table.parts(positions, max(1, _GROUP_BYTES // row_bytes)):
            part = positions[places]
            rows = table.rows_of(part)
            writer.write_table(_part_table(snapshot, schema, part, rows), row_group_size=len(rows))
            done += len(rows)
            on_progress(done, total)
    return ExportReport(len(positions), total)


def _check_sound(snapshot: Snapshot, chosen: NDArray[np.int64] | None) -> None:
    damaged = snapshot.rows.video_ids[snapshot.rows.videos_of(snapshot.unsound)]
    if len(damaged if chosen is None else np.intersect1d(damaged, chosen)) or snapshot.bad:
        told = snapshot.bad[0] if snapshot.bad else "vectors have changed"
        raise MismatchError(
            f"index '{printable(snapshot.folder)}' is damaged ({told}); 'client index rebuild' keeps what is sound"
        )


def _part_table(snapshot: Snapshot, schema: Any, part: NDArray[np.int64], rows: NDArray[np.int64]) -> Any:  # noqa: ANN401  # pyarrow is untyped
    import pyarrow as pa

    counts = snapshot.rows.num_rows[part]
    videos = _videos(snapshot, snapshot.rows.video_ids[part].tolist())
    owner = np.repeat(np.arange(len(part)), counts)
    clip = rows - np.repeat(snapshot.rows.first_rows[part], counts)
    spans = np.concatenate([video.spans for video in videos])
    columns: dict[str, Any] = {"clip": clip, "start_seconds": spans[:, 0], "end_seconds": spans[:, 1]}
    for names, field in ((TEXTS, "texts"), (NUMBERS, "numbers")):
        for number, name in enumerate(names):
            values = pa.array([getattr(video, field)[number] for video in videos], schema.field(name).type)
            columns[name] = values.take(pa.array(owner))
    columns["also"] = [videos[at].also if first else None for at, first in zip(owner, clip == 0, strict=True)]
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(snapshot.vectors[rows]).ravel()), type=schema.field("embedding").type
    )
    if "blocks" in schema.names:
        known = np.array([video.has_blocks for video in videos])[owner]
        columns["blocks"] = _blocks(snapshot, schema.field("blocks").type, rows, known)
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, schema.field(name).type)
        for name, column in ((name, columns[name]) for name in schema.names)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _blocks(snapshot: Snapshot, kind: Any, rows: NDArray[np.int64], known: NDArray[np.bool_]) -> Any:  # noqa: ANN401  # pyarrow is untyped
    """Blocks of rows; zeros where they are not known."""
    import pyarrow as pa

    assert snapshot.blocks is not None
    if not snapshot.have_sound_blocks(rows[known]).all():
        raise MismatchError(
            f"index '{printable(snapshot.folder)}' is damaged (blocks have changed); 'client index rebuild' keeps what "
            "is sound"
        )
    blocks = snapshot.blocks[rows].astype(np.float16)
    blocks[~known] = 0.0
    return pa.FixedSizeListArray.from_arrays(pa.array(blocks.ravel()), type=kind)


def _videos(snapshot: Snapshot, video_ids: Sequence[int]) -> list[_Video]:
    wanted = [json.dumps(list(video_ids))]
    places: dict[int, list[tuple[str, str | None, str]]] = {}
    for video_id, *place in snapshot.select(_PLACES, wanted):
        places.setdefault(video_id, []).append((place[0], place[1], place[2]))
    found = []
    for video_id, sha256, view, model, version, fingerprint, frames, cut, overlap, spans, has_blocks in snapshot.select(
        _VIDEOS, wanted
    ):
        (path, label, known), *others = places[video_id]
        also = [{"video": path, "label": label, "metadata": known} for path, label, known in others]
        texts = (path, sha256, view, model, version, fingerprint, label, known)
        times = np.frombuffer(spans, "<f8").reshape(-1, 2)
        found.append(_Video(texts, (frames, bool(cut), overlap), times, bool(has_blocks), also or None))
    return found
