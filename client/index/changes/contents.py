"""What an index holds, for its writer: contents and the places where they are found, and changes of both."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.catalogue.moments import LabelledMoment
from cocon.client.index.catalogue.places import NO_VALUES, Content, Description, Place, Values
from cocon.client.index.catalogue.tables import VideoRecord, put_place, put_video
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.records import check_vectors
from cocon.client.pipeline.video_embedding import VideoEmbedding
from cocon.core.errors import MismatchError
from cocon.core.printable import escaped, printable, unescaped

__all__ = ["Contents"]


class Contents:
    """Contents and places of an index that is open for writing.

    Args:
        writer: Of the index.
    """

    def __init__(self, writer: CatalogueWriter) -> None:
        self._writer = writer

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are made, or none; they are committed at the end, or with the transaction around them."""
        connection = self._writer.connection
        if not connection.in_transaction:
            with self._writer.transaction():
                yield
            return
        connection.execute("SAVEPOINT change")
        try:
            yield
        except BaseException:
            if connection.in_transaction:  # SQLite itself has rolled back where a disk is full
                connection.execute("ROLLBACK TO change")
                connection.execute("RELEASE change")
            raise
        connection.execute("RELEASE change")

    def at(self, path: str) -> Place | None:
        """What is known of a path."""
        found = self._writer.select(
            """SELECT video_id, content_sha256, label, metadata, file FROM places JOIN videos USING (video_id)
               WHERE path = ?""",
            [escaped(path)],
        )
        return Place.of(path, *found[0]) if found else None

    def with_content(self, content_sha256: str) -> Content | None:
        """The content with this digest."""
        found = self._writer.select("SELECT video_id, overlap FROM videos WHERE content_sha256 = ?", [content_sha256])
        if not found:
            return None
        ((video_id, overlap),) = found
        places = self._writer.select("SELECT path FROM places WHERE video_id = ? ORDER BY path", [video_id])
        return Content(video_id, overlap, tuple(unescaped(path) for (path,) in places))

    def put(
        self,
        path: str,
        video: VideoEmbedding,
        *,
        label: str | None,
        overlap: float,
        values: Values = NO_VALUES,
        stamp: FileStamp | None = None,
    ) -> bool:
        """Store a video and its clips; it is the path's from now on, and its other places keep it.

        Args:
            path: Absolute.
            video: Embedded.
            label: Of it; None for what is known of the path, empty for none.
            overlap: Share of a clip that the next one repeats.
            values: Of its metadata, besides what is known of the path; None takes one away.
            stamp: Of the file, if its content will be this as long as it has that.

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
        origin = None if same is None or held else self._unplaced(same.video_id)
        known = origin or self._known_of(path, held)
        record = _record(video, overlap, writer.append(video.embedding, blocks), blocks)
        with self.transaction():
            if same is not None:
                writer.connection.execute("DELETE FROM videos WHERE video_id = ?", [same.video_id])
            video_id = put_video(writer.connection, record)
            for place in filter(None, kept):
                self._set(place.path, video_id, place.known, place.stamp)
            self._set(path, video_id, known.after(label, values), stamp)
            if held is not None:
                self._note_unplaced(held)
            self._note_makers(video.made_by)
        return held is None and same is None

    def check_known(self, path: str, label: str | None, values: Values) -> None:
        """Raise `TooLargeError` where what would be known of a path, with what is said anew, is more than is kept."""
        self._writer.check_known(path, self._known_of(path, self.at(path)).after(label, values))

    def move(
        self,
        video_id: int,
        path: str,
        *,
        label: str | None,
        values: Values = NO_VALUES,
        stamp: FileStamp | None = None,
        vacated: Iterable[str] = (),
    ) -> None:
        """A path holds a content of the index now; others do not hold it any more.

        What is known of the video comes with it: from the first of the others, or from where it was before; or else it
        is what was known of the path.

        Args:
            video_id: Of the content.
            path: Absolute.
            label: Of it; None for the one that comes with it, empty for none.
            values: Of its metadata, besides those that come with it; None takes one away.
            stamp: Of the file, if its content will be this as long as it has that.
            vacated: The others.
        """
        with self.transaction():
            held, left = self.at(path), list(filter(None, map(self.at, vacated)))
            origin = left[0].known if left else self._unplaced(video_id)
            known = origin or self._known_of(path, held)
            self._forget([place.path for place in left])
            self._set(path, video_id, known.after(label, values), stamp)
            if held is not None:
                self._note_unplaced(held)

    def vacate(self, paths: Iterable[str]) -> None:
        """Paths do not hold their contents any more; those are kept until `drop_unplaced`."""
        with self.transaction():
            for held in filter(None, map(self.at, paths)):
                self._forget([held.path])
                self._note_unplaced(held)

    def describe(self, path: str, label: str | None, values: Values) -> None:
        """Change what is known of the video at a path; as `put` does."""
        if held := self.at(path):
            self._know(held, held.known.after(label, values))

    def label_moments(self, path: str, moments: Iterable[LabelledMoment]) -> None:
        """Label parts of the video at a path, one after the other."""
        if held := self.at(path):
            self._know(held, held.known.with_moments(moments))

    def forget(self, paths: Iterable[str]) -> None:
        """Forget places, and contents that have no other."""
        with self.transaction():
            for held in filter(None, map(self.at, paths)):
                self._forget([held.path])
                self._writer.connection.execute(
                    "DELETE FROM videos WHERE video_id = ? AND video_id NOT IN (SELECT video_id FROM places)",
                    [held.video_id],
                )

    def drop_unplaced(self) -> None:
        """Forget contents that were found at no other place."""
        if self._writer.select("SELECT 1 FROM unplaced LIMIT 1"):
            with self.transaction():
                self._writer.connection.execute(
                    """DELETE FROM videos WHERE video_id IN (SELECT video_id FROM unplaced)
                       AND video_id NOT IN (SELECT video_id FROM places)"""
                )
                self._writer.connection.execute("DELETE FROM unplaced")

    def _know(self, held: Place, known: Description) -> None:
        if known != held.known:
            with self.transaction():
                self._set(held.path, held.video_id, known, held.stamp)

    def _set(self, path: str, video_id: int, known: Description, stamp: FileStamp | None) -> None:
        connection = self._writer.connection
        file = None if stamp is None else asdict(stamp)
        put_place(connection, escaped(path), video_id, label=known.label, metadata=known.metadata, file=file)
        connection.execute("DELETE FROM unplaced WHERE video_id = ?", [video_id])

    def _forget(self, paths: Iterable[str]) -> None:
        self._writer.connection.executemany("DELETE FROM places WHERE path = ?", [(escaped(path),) for path in paths])

    def _known_of(self, path: str, held: Place | None) -> Description:
        """What is known of a path, also where a video was that has become broken."""
        if held is not None:
            return held.known
        sql = "SELECT label, metadata FROM failures WHERE path = ? AND metadata IS NOT NULL"
        found = self._writer.select(sql, [escaped(path)])
        return Description(found[0][0], json.loads(found[0][1])) if found else Description()

    def _unplaced(self, video_id: int) -> Description | None:
        found = self._writer.select("SELECT label, metadata FROM unplaced WHERE video_id = ?", [video_id])
        return Description(found[0][0], json.loads(found[0][1])) if found else None

    def _note_unplaced(self, held: Place) -> None:
        """Keep what was known of a content, if a place was its last."""
        self._writer.connection.execute(
            """INSERT OR REPLACE INTO unplaced SELECT video_id, ?, ? FROM videos
               WHERE video_id = ? AND video_id NOT IN (SELECT video_id FROM places)""",
            [held.known.label, json.dumps(dict(held.known.metadata)), held.video_id],
        )

    def _note_makers(self, made_by: Mapping[str, str]) -> None:
        """Who made the views of one more video."""
        known = {view: tuple(names) for view, names in (self._writer.fact("made_by") or {}).items()}
        named = known | {view: tuple(sorted({*known.get(view, ()), maker})) for view, maker in made_by.items()}
        if named != known:
            self._writer.put_fact("made_by", named)


def _record(video: VideoEmbedding, overlap: float, first_row: int, blocks: NDArray[np.float16] | None) -> VideoRecord:
    return VideoRecord(
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
