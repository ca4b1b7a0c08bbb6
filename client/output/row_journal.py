"""The rows of a job while it runs: a file of lines that is only appended to, so that a kill loses no finished video.

with RowJournal(Path("rows.parquet.partial"), {"model": "cocon_rgb", "version": "1"}) as journal:
    finished = journal.append(rows, content_sha256="…", size=12345)
    journal.rows(finished)

The first line says of which job the rows are. Then come, for every video, its rows and a line that says that these are
all, with their checksum: what follows the last such line is of a video that was being written, and is cut off. What is
damaged before it is skipped.
"""

import fcntl
import io
import json
import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cocon.client.output.sinks import file_sink
from cocon.client.pipeline.video_embedding import Row
from cocon.core.atomic import append, beside
from cocon.core.closing import Closing
from cocon.core.errors import UsageError
from cocon.core.printable import printable

__all__ = ["FinishedVideo", "RowJournal", "json_lines"]

_logger = logging.getLogger(__name__)

_JOB, _FINISHED = "job", "finished"
_JOB_LINE, _FINISHED_LINE = (f'{{"{name}"'.encode() for name in (_JOB, _FINISHED))
# To find out that a file is no journal, no more of it is read.
_MAX_JOB_BYTES = 1 << 16
# Journals of other jobs that are kept beside one: none is replaced.
_MOST_ASIDE = 99


@dataclass(frozen=True, slots=True)
class FinishedVideo:
    """One video whose rows are in a journal.

    Attributes:
        begin: Where they begin, in bytes.
        num_bytes: That they take.
        num_rows: Of the video.
        video: As the rows call it.
        content_sha256: Of its file; None where it failed.
        size: Of its file, in bytes; None where that is not known.
    """

    begin: int
    num_bytes: int
    num_rows: int
    video: str
    content_sha256: str | None
    size: int | None


class RowJournal(Closing):
    """A journal, which is opened, or begun where there is none of this job. One process writes it.

    Args:
        path: Its file. What lies there of another job is put aside.
        job: What rows must have in common, as JSON takes it.

    Attributes:
        path: As it was given.
        finished: Videos whose rows are there already.

    Raises:
        UsageError: Another process writes it, or too much of other jobs lies beside it.
        StorageError: The disk takes no more.
    """

    def __init__(self, path: Path, job: Mapping[str, object]) -> None:
        self.path = path
        self._stream = _opened(path)
        first = (json.dumps({_JOB: job}, sort_keys=True) + "\n").encode()
        try:
            self.finished = self._read(first)
        except BaseException:
            self._stream.close()
            raise

    def append(self, rows: Sequence[Row], *, video: str, content_sha256: str | None, size: int | None) -> FinishedVideo:
        """Add all rows of a video, or none of them where the disk takes no more; see `FinishedVideo`."""
        lines = json_lines(rows)
        begin = os.fstat(self._stream.fileno()).st_size
        checks = {"rows": len(rows), "bytes": len(lines), "crc32": zlib.crc32(lines)}
        told = {"video": video, "content_sha256": content_sha256, "size": size}
        append(self._stream, lines + (json.dumps({_FINISHED: checks | told}) + "\n").encode())
        return FinishedVideo(begin, len(lines), len(rows), video, content_sha256, size)

    def lines(self, video: FinishedVideo) -> bytes:
        """The rows of a video as they stand in the journal, a line each."""
        return os.pread(self._stream.fileno(), video.num_bytes, video.begin)

    def rows(self, video: FinishedVideo) -> list[Row]:
        """The rows of a video, the embedding as `float32 [D]`."""
        rows: list[Row] = [json.loads(line) for line in self.lines(video).splitlines()]
        return [
            row | {"embedding": np.array(row["embedding"], np.float32)} if "embedding" in row else row for row in rows
        ]

    def remove(self) -> None:
        """Remove the file: the job is done."""
        self.path.unlink()

    def close(self) -> None:
        """Let others write it."""
        self._stream.close()

    def _read(self, first: bytes) -> list[FinishedVideo]:
        """The finished videos of this job; what follows the last one is cut off, what is of another job put aside."""
        with self.path.open("rb") as stream:
            found = stream.readline(_MAX_JOB_BYTES)
            videos, end = _finished(stream) if found.startswith(_JOB_LINE) else ([], 0)
        if found == first:
            self._stream.truncate(end)
            return videos
        if videos or not (first.startswith(found) or found.startswith(_JOB_LINE)):
            self._put_aside()
        self._stream.truncate(0)
        append(self._stream, first)
        return []

    def _put_aside(self) -> None:
        endings = (".before", *(f".before{number}" for number in range(2, _MOST_ASIDE + 1)))
        free = (place for ending in endings if not os.path.lexists(place := beside(self.path, ending)))
        aside = next(free, None)
        if aside is None:
            raise UsageError(
                f"'{printable(self.path)}' is of another job, as are {_MOST_ASIDE} beside it; remove those"
            )
        self.path.replace(aside)
        _logger.warning(
            "'%s' held rows of another model, or by other options; they are in '%s' now, and all is done anew",
            printable(self.path),
            printable(aside),
        )
        self._stream.close()
        self._stream = _opened(self.path)


def json_lines(rows: Sequence[Row]) -> bytes:
    """Rows as JSON, a line each."""
    stream = io.StringIO()
    file_sink("jsonl", stream, None).write(rows)
    return stream.getvalue().encode()


def _opened(path: Path) -> io.FileIO:
    """A file to append to and to read, locked."""
    if path.is_symlink():
        path.unlink()  # nobody's file is written to by this name
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"'{printable(path)}' is being written by another command; wait for it, or name another file"
        ) from None
    return io.FileIO(descriptor, "r+")


def _finished(stream: io.BufferedReader) -> tuple[list[FinishedVideo], int]:
    """The videos that follow and are whole, and where the last of them ends."""
    videos: list[FinishedVideo] = []
    begin = end = last = stream.tell()
    num_rows, crc, num_damaged, num_skipped = 0, 0, 0, 0
    for line in stream:
        end += len(line)
        if not line.startswith(_FINISHED_LINE):
            num_rows, crc = num_rows + 1, zlib.crc32(line, crc)
            continue
        video = _told(line, begin, end - len(line) - begin, num_rows, crc)
        if video is None:
            num_damaged += 1
        else:
            videos.append(video)
            last, num_skipped = end, num_damaged
        begin, num_rows, crc = end, 0, 0
    if num_skipped:
        told = "videos in '%s' are damaged, and are done again: %d"
        _logger.warning(told, printable(os.fsdecode(stream.name)), num_skipped)
    return videos, last


def _told(line: bytes, begin: int, num_bytes: int, num_rows: int, crc: int) -> FinishedVideo | None:
    """What the line after a video's rows says of them; None where they are others, or it is not whole."""
    try:
        told = json.loads(line)[_FINISHED]
        is_whole = line.endswith(b"\n") and (told["rows"], told["bytes"], told["crc32"]) == (num_rows, num_bytes, crc)
        content = told["video"], told["content_sha256"], told["size"]
        return FinishedVideo(begin, num_bytes, num_rows, *content) if is_whole else None
    except (ValueError, TypeError, KeyError):
        return None
