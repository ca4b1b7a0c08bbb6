"""Many videos into an index in one commit."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.tables import VideoRecord, put_place, put_video
from cocon.client.index.exchange.clips_read import VideoClips
from cocon.client.index.exchange.columns import SETTINGS
from cocon.client.index.exchange.incoming import Incoming, IncomingPlace
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.writing import CatalogueWriter

__all__ = ["BulkStore"]

_OF_CONTENTS = """
SELECT content_sha256, video_id, overlap FROM videos WHERE content_sha256 IN (SELECT value FROM json_each(?))
"""
_OF_PLACES = "SELECT path, video_id, label, metadata FROM places WHERE path IN (SELECT value FROM json_each(?))"
_DROP_ORPHANS = """
DELETE FROM videos WHERE video_id IN (SELECT value FROM json_each(?)) AND video_id NOT IN (SELECT video_id FROM places)
"""


class BulkStore:
    """Stores videos.

    Args:
        writer: Of the index.
        index: What the file says of the index that it is of.

    Attributes:
        added: Contents that were not there.
        updated: Videos whose place, label, metadata or overlap were.
        unchanged: Videos that were there already.
        num_clips: Rows that were added.
    """

    def __init__(self, writer: CatalogueWriter, index: Mapping[str, Any]) -> None:
        self._writer = writer
        self._index = index
        self._is_new = not writer.select("SELECT 1 FROM videos LIMIT 1")
        self.added = self.updated = self.unchanged = self.num_clips = 0

    def put(self, videos: Sequence[Incoming], clips: VideoClips) -> None:
        """Store some videos, without those that are there already; they are on the disk when this returns."""
        known = self._known(videos)
        held = self._held(videos)
        is_new = _are_new(videos, known)
        first_row = self._append(clips, is_new)
        sums = _Sums.of(clips, is_new, with_blocks=self._writer.row_facts.blocks is not None)
        with self._writer.transaction() as connection:
            self._put_facts()
            part = _Part(connection, {sha256: video_id for sha256, (video_id, _) in known.items()}, held)
            for number, video in enumerate(videos):
                if is_new[number]:
                    part.put(_record(video, clips, number, first_row, sums))
                    first_row += int(clips.counts[number])
                part.put_places(video, is_new=bool(is_new[number]), is_known=video.content_sha256 in known)
            connection.execute(_DROP_ORPHANS, [json.dumps(sorted(part.displaced))])
        self.added += part.added
        self.updated += part.updated
        self.unchanged += part.unchanged
        self.num_clips += int(clips.counts[is_new].sum())

    def _known(self, videos: Sequence[Incoming]) -> dict[str, tuple[int, float]]:
        wanted = json.dumps([video.content_sha256 for video in videos])
        return {sha: (video_id, overlap) for sha, video_id, overlap in self._writer.select(_OF_CONTENTS, [wanted])}

    def _held(self, videos: Sequence[Incoming]) -> "Held":
        wanted = json.dumps([place.path for video in videos for place in video.places])
        return {
            path: (video_id, label, known) for path, video_id, label, known in self._writer.select(_OF_PLACES, [wanted])
        }

    def _append(self, clips: VideoClips, is_new: NDArray[np.bool_]) -> int:
        """Write the rows of new videos; where the first of them is."""
        chosen = np.repeat(is_new, clips.counts)
        blocks, num_blocks = None, self._writer.row_facts.num_blocks
        if num_blocks:
            shape = (int(chosen.sum()), num_blocks, self._writer.facts.block_dim)
            blocks = np.zeros(shape, "<f2") if clips.blocks is None else clips.blocks[chosen].reshape(shape)
        return self._writer.append(clips.vectors[chosen], blocks)

    def _put_facts(self) -> None:
        """Who made the views, and for a new index how it is searched: in the first commit."""
        made_by, settings = self._index.get("made_by"), self._index.get("settings")
        if isinstance(made_by, dict):
            known = {view: set(names) for view, names in (self._writer.fact("made_by") or {}).items()}
            for view, names in made_by.items():
                known.setdefault(view, set()).update(map(str, names))
            self._writer.put_fact("made_by", {view: sorted(names) for view, names in known.items()})
        if self._is_new and isinstance(settings, dict):
            for name in set(SETTINGS) & set(settings):
                self._writer.put_fact(name, settings[name])
        self._index = {}


# Path → content, label, and metadata as JSON.
Held = dict[str, tuple[int, str | None, str]]


class _Part:
    """One commit."""

    def __init__(self, connection: sqlite3.Connection, ids: dict[str, int], held: Held) -> None:
        self._connection = connection
        self._ids = ids
        self._held = held
        self.displaced: set[int] = set()
        self.added = self.updated = self.unchanged = 0

    def put(self, record: VideoRecord) -> None:
        """A content, in the place of what was known of it; its places stay."""
        replaced = self._ids.get(record.content_sha256)
        places = []
        if replaced is not None:
            places = self._connection.execute(
                "SELECT path, label, metadata FROM places WHERE video_id = ?", [replaced]
            ).fetchall()
            self._connection.execute("DELETE FROM videos WHERE video_id = ?", [replaced])
        video_id = self._ids[record.content_sha256] = put_video(self._connection, record)
        for path, label, known in places:
            put_place(self._connection, path, video_id, label=label, metadata=json.loads(known))

    def put_places(self, video: Incoming, *, is_new: bool, is_known: bool) -> None:
        """The places of a content, unless they are what they were."""
        video_id, is_changed = self._ids[video.content_sha256], False
        for place in video.places:
            held = self._held.get(place.path)
            wanted = _wanted(place, video_id, held)
            if is_new or held != wanted:
                _, label, known = wanted
                put_place(self._connection, place.path, video_id, label=label, metadata=json.loads(known))
                self._held[place.path] = wanted
                is_changed = True
                if held is not None and held[0] != video_id:
                    self.displaced.add(held[0])
        if is_new and not is_known:
            self.added += 1
        elif is_changed:
            self.updated += 1
        else:
            self.unchanged += 1


def _wanted(
    place: IncomingPlace, video_id: int, held: tuple[int, str | None, str] | None
) -> tuple[int, str | None, str]:
    """What a path is to hold: what the file does not tell stays."""
    _, label, known = held or (0, None, "{}")
    if place.metadata is not None:
        known = json.dumps(dict(place.metadata), sort_keys=True, ensure_ascii=False)
    return video_id, place.label if place.label is not None else label, known


def _are_new(videos: Sequence[Incoming], known: Mapping[str, tuple[int, float]]) -> NDArray[np.bool_]:
    """Whether vectors are to be stored: of contents that are not there, or there with another overlap."""
    seen: set[str] = set()
    found = np.zeros(len(videos), np.bool_)
    for number, video in enumerate(videos):
        _, overlap = known.get(video.content_sha256, (0, None))
        is_same = overlap is not None and (not video.tells_overlap or overlap == video.overlap)
        found[number] = not is_same and video.content_sha256 not in seen
        seen.add(video.content_sha256)
    return found


@dataclass(frozen=True, slots=True)
class _Sums:
    """Checksums of all rows, those of videos that are not stored left at zero."""

    begins: NDArray[np.int64]
    vectors: NDArray[np.uint64]
    blocks: NDArray[np.uint64] | None

    @classmethod
    def of(cls, clips: VideoClips, is_new: NDArray[np.bool_], *, with_blocks: bool) -> "_Sums":
        begins = np.cumsum(clips.counts) - clips.counts
        vectors = row_checksums(clips.vectors) if is_new.any() else np.zeros(len(clips.vectors), np.uint64)
        blocks = row_checksums(clips.blocks) if with_blocks and clips.blocks is not None else None
        return cls(begins, vectors, blocks)


def _record(video: Incoming, clips: VideoClips, number: int, first_row: int, sums: _Sums) -> VideoRecord:
    rows = slice(int(sums.begins[number]), int(sums.begins[number] + clips.counts[number]))
    no_blocks = sums.blocks is None or not clips.have_blocks[number]
    return VideoRecord(
        content_sha256=video.content_sha256,
        **video.columns,
        overlap=video.overlap,
        first_row=first_row,
        spans=clips.spans[rows],
        checksums=sums.vectors[rows],
        block_checksums=np.array([], np.uint64) if no_blocks or sums.blocks is None else sums.blocks[rows],
    )
