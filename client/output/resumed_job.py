"""Rows of many videos on their way to a file, by a job that may be killed and is gone on with by the same command.

    with open_job("parquet", Path("rows.parquet"), columns=(), model=model, choices={}, on_kept=print) as job:
        for video in embedder.embed_many(job.remaining(paths)):
            job.write(list(video.rows()), content_sha256=video.content_sha256)

Rows are in a journal, `NAME.partial`, until all are there. Then the file is written, in the order of the inputs: the
same as without a kill. Standard output, a FIFO and a device have no journal: what they got is gone.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from cocon.client.fetching.urls import is_remote
from cocon.client.output.row_journal import FinishedVideo, RowJournal, json_lines
from cocon.client.output.sinks import Format, Sink, file_sink, open_sink
from cocon.client.pipeline.video_embedding import Row
from cocon.core.atomic import beside, is_stream, place_of, replacing
from cocon.core.printable import escaped, printable
from cocon.core.storage import storing
from cocon.embedding.videos.fused_model import FusedModel
from cocon.video.store.dataset import content_sha256 as content_sha256_of

__all__ = ["RowJob", "open_job"]

_logger = logging.getLogger(__name__)

# Called with the rows that a video has already.
_OnKept = Callable[[int], None]


class RowJob(Protocol):
    """Something that rows of many videos are written to, and that knows which of them it has."""

    def remaining(self, paths: Iterable[str | Path]) -> Iterator[str | Path]:
        """The videos that are still to be worked on. The rows of each of them must be written, in this order."""
        ...

    def write(self, rows: Sequence[Row], *, content_sha256: str | None = None) -> None:
        """Take the rows of the next video, or what failed of it, which has no content."""
        ...


@contextmanager
def open_job(
    chosen: Format,
    output: Path | None,
    *,
    columns: Sequence[str],
    model: FusedModel,
    choices: Mapping[str, object],
    on_kept: _OnKept,
    follows_versions: bool = False,
) -> Iterator[RowJob]:
    """Open where rows go.

    Args:
        chosen: Format.
        output: File, or None for standard output.
        columns: What a table shows.
        model: What the vectors come from.
        choices: What decides about the rows besides model and videos, as JSON takes it; rows by others are put aside.
        on_kept: Called with the number of rows of every video that is not worked on again.
        follows_versions: Whether rows of other versions of the model belong to the same job.

    Raises:
        StorageError: The disk takes no more.
        UsageError: Another process writes the same file.
    """
    if output is None or is_stream(output):
        with open_sink(chosen, output, columns=columns, model=model) as sink:
            yield _PassingJob(sink)
        return
    place = place_of(output)
    job = {"format": chosen, **_identity(model, follows_versions=follows_versions), **choices}
    with storing(output), RowJournal(beside(place, ".partial"), job) as journal:
        resumed = _ResumedJob(journal, on_kept)
        try:
            yield resumed
        except BaseException:
            _logger.warning("what is finished is in '%s'; the same command goes on from it", printable(journal.path))
            raise
        resumed.write_to(place, chosen, model)
        journal.remove()


def _identity(model: FusedModel, *, follows_versions: bool) -> dict[str, object]:
    """What the rows of a job must have in common of their model."""
    version: dict[str, object] = {"version": model.version, "fingerprint": model.fingerprint}
    if follows_versions:
        version = {"follows_versions": True, "embedding_dim": model.embedding_dim}
    return {"model": model.name, "view": model.view, **version}


class _PassingJob:
    """Rows that nobody keeps."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def remaining(self, paths: Iterable[str | Path]) -> Iterator[str | Path]:
        return iter(paths)

    def write(self, rows: Sequence[Row], *, content_sha256: str | None = None) -> None:
        self._sink.write(rows)


class _ResumedJob:
    """Rows in a journal."""

    def __init__(self, journal: RowJournal, on_kept: _OnKept) -> None:
        self._journal, self._on_kept = journal, on_kept
        self._kept = {video.content_sha256: video for video in journal.finished if video.content_sha256}
        self._sizes = {video.size for video in self._kept.values()} - {None}
        # Of every input in turn: as it is called, and its rows where they are there already.
        self._inputs: list[tuple[str | Path, FinishedVideo | None]] = []
        self._awaited: deque[int] = deque()

    def remaining(self, paths: Iterable[str | Path]) -> Iterator[str | Path]:
        for path in paths:
            kept = self._kept_of(path)
            self._inputs.append((path, kept))
            if kept is None:
                self._awaited.append(len(self._inputs) - 1)
                yield path
            else:
                self._on_kept(kept.num_rows)

    def write(self, rows: Sequence[Row], *, content_sha256: str | None = None) -> None:
        number = self._awaited.popleft()
        path, _ = self._inputs[number]
        finished = self._journal.append(rows, video=escaped(path), content_sha256=content_sha256, size=_size_of(path))
        self._inputs[number] = path, finished

    def write_to(self, place: Path, chosen: Format, model: FusedModel) -> None:
        """Write the file: the rows of all inputs, in their order."""
        videos = [(os.fspath(path), video) for path, video in self._inputs if video is not None]
        with replacing(place, is_durable=True) as whole:
            if chosen == "jsonl":
                with whole.open("wb") as lines:
                    lines.writelines(self._lines(path, video) for path, video in videos)
                return
            with whole.open("w", encoding="utf-8") as stream:
                sink = file_sink(chosen, stream, model)
                for path, video in videos:
                    sink.write(self._rows(path, video))
                sink.finish()

    def _kept_of(self, path: str | Path) -> FinishedVideo | None:
        """The rows of a video with the same bytes, whatever it was called."""
        if _size_of(path) not in self._sizes:
            return None
        try:
            return self._kept.get(content_sha256_of(Path(path)))
        except OSError:  # which is for who works on it to tell
            return None

    def _rows(self, path: str, video: FinishedVideo) -> list[Row]:
        return [row | {"video": escaped(path)} for row in self._journal.rows(video)]

    def _lines(self, path: str, video: FinishedVideo) -> bytes:
        return self._journal.lines(video) if video.video == escaped(path) else json_lines(self._rows(path, video))


def _size_of(path: str | Path) -> int | None:
    """Of a file, in bytes; None where that is not known, as of what is fetched."""
    try:
        return None if is_remote(os.fspath(path)) else Path(path).stat().st_size
    except OSError:
        return None
