"""The files of an index, opened only while they are what was indexed.

Whoever may write beside an indexed video may put something else in its place, a link to any file of the machine too.
So a file is opened first, and what was opened is compared with what the index says of it: by its stamp, or, where that
says nothing or the file was touched, by its content.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Self

from cocon.client.fetching.urls import is_remote
from cocon.client.index.answers.overview import StoredFile
from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.index.reader import IndexReader
from cocon.client.web.problems import RefusedError
from cocon.core.printable import printable
from cocon.video.store.dataset import content_sha256

__all__ = ["OpenedFile", "StoredFiles"]

_MAX_KNOWN = 1 << 16


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is what was indexed.

    Attributes:
        descriptor: Open for reading.
        path: By which it was opened.
        found: What the system says of it.
    """

    descriptor: int
    path: Path
    found: os.stat_result

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open a file; raises `OSError` if it cannot be."""
        # A FIFO in its place has nobody wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return cls(descriptor, path, os.fstat(descriptor))

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)


class StoredFiles:
    """The files of an index by the ids of its videos. Safe for several threads.

    Args:
        index: Theirs.
    """

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self._read: dict[tuple[FileStamp, str], bool] = {}
        self._lock = Lock()

    def known(self, video_id: int) -> list[StoredFile]:
        """Where the index says that a video is; raises `RefusedError` (404) if it has no such video."""
        if not (files := self._index.files_of(video_id)):
            raise RefusedError(404, f"the index has no video {video_id}; look at its list of videos")
        return files

    def open(self, video_id: int) -> OpenedFile:
        """Open the first file of a video that is what it was; the caller closes it.

        Raises:
            RefusedError: The index has no such video (404), its files are gone or cannot be read (410), or something
                else is in their place (409).
        """
        reasons = []
        for file in self.known(video_id):
            try:
                return self._opened(file)
            except RefusedError as error:
                reasons.append(error)
        raise reasons[0]

    @contextmanager
    def held(self, video_id: int) -> Iterator[Path]:
        """The path of such a file, for who can only work by paths: what is made of it counts only if it stays.

        Raises:
            RefusedError: As `open`, or something else came into its place meanwhile (409).
        """
        opened = self.open(video_id)
        try:
            yield opened.path
            if not _is_at(opened.path, opened.found):
                raise _changed(opened.path)
        finally:
            opened.close()

    def _opened(self, file: StoredFile) -> OpenedFile:
        if is_remote(file.path):
            raise RefusedError(410, f"'{printable(file.path)}' is on no disk of this machine; fetch it, and index that")
        try:
            opened = OpenedFile.at(Path(file.path))
        except OSError as error:
            raise RefusedError(
                410, f"'{printable(file.path)}' cannot be opened: {error.strerror}; put it back, or index it anew"
            ) from error
        try:
            if not stat.S_ISREG(opened.found.st_mode) or not self._is_same(opened, file):
                raise _changed(file.path)
        except BaseException:
            opened.close()
            raise
        return opened

    def _is_same(self, opened: OpenedFile, file: StoredFile) -> bool:
        found = opened.found
        stamp = FileStamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
        if stamp == file.stamp:
            return True
        if file.stamp is not None and file.stamp.size != stamp.size:
            return False
        with self._lock:  # one is read at a time: each is as large as it likes
            key = (stamp, file.content_sha256)
            if (known := self._read.get(key)) is None:
                known = content_sha256(Path(f"/dev/fd/{opened.descriptor}")) == file.content_sha256
                if len(self._read) >= _MAX_KNOWN:
                    self._read.clear()
                self._read[key] = known
            return known


def _is_at(path: Path, found: os.stat_result) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    return (there.st_ino, there.st_dev, there.st_ctime_ns) == (found.st_ino, found.st_dev, found.st_ctime_ns)


def _changed(path: str | Path) -> RefusedError:
    return RefusedError(409, f"'{printable(path)}' is not the file that was indexed; add it to the index again")
