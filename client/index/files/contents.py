"""What an index holds, for its writer: contents and the places where they are found, and changes of both."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.tables import VideoRecord, put_place, put_video
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import check_vectors
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["Content", "Contents", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A path of an index.

    Attributes:
        path: Absolute.
        video_id: Of the content that was there when it was looked at last.
        label: Of the video there.
        metadata: What else is known of it.
    """

    path: str
    video_id: int
    label: str | None
    metadata: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Content:
    """A content of an index.

    Attributes:
        video_id: Of it.
        overlap: Share of a clip that the next one repeats.
        places: Where it was found, by path.
    """

    video_id: int
    overlap: float
    places: tuple[str, ...]


class Contents:
    """Contents and places of an index that is open for writing.

    Args:
        writer: Of the index.
    """

    def __init__(self, writer: IndexWriter) -> None:
        self._writer = writer

    def at(self, path: str) -> Place | None:
        """What is known of a path."""
        found = self._writer.select("SELECT video_id, label, metadata FROM places WHERE path = ?", [escaped(path)])
        return Place(path, found[0][0], found[0][1], json.loads(found[0][2])) if found else None

    def with_content(self, content_sha256: str) -> Content | None:
        """The content with this digest."""
        found = self._writer.select("SELECT video_id, overlap FROM videos WHERE content_sha256 = ?", [content_sha256])
        if not found:
            return None
        ((video_id, overlap),) = found
        return Content(video_id, overlap, self._places(video_id))

    def put(self, path: str, video: VideoEmbedding, *, label: str | None, overlap: float) -> bool:
        """Store a video and its clips; it is the path's from now on, and its other places keep it.

        Returns:
            Whether neither the path nor the content was known.

        Raises:
            MismatchError: The vectors are unsound, or of another model; nothing is stored.
            StorageError: The disk takes no more; nothing is stored.
        """
        writer = self._writer
        check_vectors(video.embedding, writer.facts.embedding_dim, source=f"'{printable(video.video)}'")
        if video.fingerprint != writer.facts.fingerprint:
            raise MismatchError(f"'{printable(video.video)}' was embedded by another model than the index")
        blocks = video.blocks.astype("<f2") if writer.row_facts.blocks is not None else None
        held, same = self.at(path), self.with_content(video.content_sha256)
        kept = [] if same is None else [self.at(place) for place in same.places]
        first_row = writer.append(video.embedding, blocks)
        record = VideoRecord(
            content_sha256=video.content_sha256,
            view=video.view,
            num_frames=video.num_frames,
            truncated=video.truncated,
            overlap=overlap,
            model=video.model,
            version=video.version,
            fingerprint=video.fingerprint,
            first_row=first_row,
            spans=np.stack([video.start_seconds, video.end_seconds], axis=1),
            checksums=row_checksums(np.ascontiguousarray(video.embedding)),
            block_checksums=np.array([], np.uint64) if blocks is None else row_checksums(blocks),
        )
        with writer.transaction() as connection:
            if same is not None:
                connection.execute("DELETE FROM videos WHERE video_id = ?", [same.video_id])
            video_id = put_video(connection, record)
            for place in filter(None, kept):
                put_place(connection, escaped(place.path), video_id, label=place.label, metadata=place.metadata)
            self._set(path, video_id, label, held)
            self._note_makers(video.made_by)
        return held is None and same is None

    def move(self, video_id: int, path: str, *, label: str | None, vacated: Iterable[str] = ()) -> None:
        """A path holds a content of the index now; others do not hold it any more."""
        with self._writer.transaction():
            vacated = list(vacated)
            held = self.at(path) or (self.at(vacated[0]) if vacated else None)
            self._forget(vacated)
            self._set(path, video_id, label, held)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget places, and contents that have no other."""
        with self._writer.transaction():
            self._forget(paths)
            self._drop_orphans()

    def drop_orphans(self) -> None:
        """Forget contents without a place, if there are any."""
        if self._writer.select(f"SELECT 1 FROM videos WHERE {_IS_ORPHAN} LIMIT 1"):
            with self._writer.transaction():
                self._drop_orphans()

    def _places(self, video_id: int) -> tuple[str, ...]:
        found = self._writer.select("SELECT path FROM places WHERE video_id = ? ORDER BY path", [video_id])
        return tuple(unescaped(path) for (path,) in found)

    def _set(self, path: str, video_id: int, label: str | None, held: Place | None) -> None:
        metadata = held.metadata if held else {}
        put_place(self._writer.connection, escaped(path), video_id, label=label, metadata=metadata)

    def _forget(self, paths: Iterable[str]) -> None:
        self._writer.connection.executemany("DELETE FROM places WHERE path = ?", [(escaped(path),) for path in paths])

    def _drop_orphans(self) -> None:
        self._writer.connection.execute(f"DELETE FROM videos WHERE {_IS_ORPHAN}")

    def _note_makers(self, made_by: Mapping[str, str]) -> None:
        """Who made the views of one more video."""
        known = {view: tuple(names) for view, names in (self._writer.fact("made_by") or {}).items()}
        named = known | {view: tuple(sorted({*known.get(view, ()), maker})) for view, maker in made_by.items()}
        if named != known:
            self._writer.put_fact("made_by", named)


_IS_ORPHAN = "video_id NOT IN (SELECT video_id FROM places)"
