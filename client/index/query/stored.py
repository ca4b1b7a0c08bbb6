"""Videos and clips of an index as examples: `id:12`, `id:12/3`, or a path whose content has not changed."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.changes.observation import absolute
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.query.queries import Example
from cocon.client.index.query.spans import TimeSpan, clips_in_span
from cocon.core.errors import MismatchError, UsageError
from cocon.core.paths import why_no_file
from cocon.core.printable import escaped, printable, unescaped
from cocon.video.store.dataset import content_sha256

__all__ = ["example_of_id", "example_of_path", "parse_id", "part_of"]

_ID = re.compile(r"id:(\d{1,18})(?:/(\d{1,18}))?", re.ASCII)
_VIDEO = """
SELECT video_id, content_sha256, view, fingerprint, spans, path FROM videos JOIN places USING (video_id)
WHERE {} ORDER BY path LIMIT 1
"""


def parse_id(name: str) -> tuple[int, int | None] | None:
    """The id of a video, and the number of a clip if one is given; None for another name."""
    found = _ID.fullmatch(name.strip())
    return None if found is None else (int(found[1]), None if found[2] is None else int(found[2]))


def example_of_id(snapshot: Snapshot, video_id: int, clip: int | None, name: str) -> Example:
    """A stored video, or one clip of it.

    Raises:
        UsageError: The index has none such.
        MismatchError: Its vectors are damaged.
    """
    found = snapshot.select(_VIDEO.format("video_id = ?"), [video_id])
    if not found:
        raise UsageError(f"the index has no video '{printable(name)}'; 'client index list --json' has the video_ids")
    example = _example(snapshot, found[0], name)
    if clip is None:
        return example
    if clip >= len(example.vectors):
        raise UsageError(
            f"the index has no clip '{printable(name)}'; those of video {video_id} are 0 to {len(example.vectors) - 1}"
        )
    return _restricted(example, np.array([clip]))


def example_of_path(snapshot: Snapshot, path: Path, name: str, *, overlap: float | None) -> Example | None:
    """A video that is there with the same content, cut into clips in the same way; None where it is not.

    Raises:
        OSError: The file cannot be read.
        MismatchError: The stored vectors are damaged.
    """
    where = _VIDEO.format("path = ? AND overlap = coalesce(?, overlap)")
    found = snapshot.select(where, [escaped(absolute(path)), overlap])
    if not found or why_no_file(path) or content_sha256(path) != found[0][1]:
        return None
    return _example(snapshot, found[0], name)


def part_of(example: Example, span: TimeSpan | None) -> Example:
    """The clips of a part of an example alone; raises like `clips_in_span`, and `UsageError` if it has no times."""
    if span is None:
        return example
    if example.spans is None:
        raise UsageError(f"'{printable(example.name)}' does not say when its clips are, so it has no parts")
    starts, ends = example.spans.T
    return _restricted(example, clips_in_span(starts, ends, span, source=example.video))


def _example(snapshot: Snapshot, record: tuple[Any, ...], name: str) -> Example:
    video_id, digest, view, fingerprint, spans, path = record
    rows = snapshot.rows.rows_of(snapshot.rows.positions_of(np.array([video_id])))
    if not len(rows) or not snapshot.are_sound(rows).all():
        raise MismatchError(
            f"the stored vectors of '{printable(unescaped(path))}' are damaged; 'client index verify' tells more"
        )
    blocks = None
    if snapshot.have_sound_blocks(rows).all():
        assert snapshot.blocks is not None
        blocks = snapshot.blocks[rows].astype(np.float32)
    times = np.frombuffer(spans, "<f8").reshape(-1, 2)
    return Example(name, snapshot.vectors[rows], times, blocks, unescaped(path), digest, fingerprint, view)


def _restricted(example: Example, clips: NDArray[np.int64]) -> Example:
    return replace(
        example,
        vectors=example.vectors[clips],
        spans=None if example.spans is None else example.spans[clips],
        blocks=None if example.blocks is None else example.blocks[clips],
    )
