"""What the system says of a file, by which an unchanged one is known without reading it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cocon.video.store.dataset import content_sha256

__all__ = ["FileStamp", "ReadContent", "read_content"]

# Two changes within one tick of a file system's clock leave the same times: so long must the last one be past. Times of
# whole seconds are those of a coarse clock; that of FAT ticks every two.
_TICK_NS, _COARSE_TICK_NS = 100_000_000, 2_000_000_000
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Of a file, links followed. Nobody can set `ctime_ns`, so every change of the content changes the stamp.

    Attributes:
        size: In bytes.
        mtime_ns: When its content was changed last.
        ctime_ns: When it was changed last, name, permissions and times included.
        inode: Its number.
        device: That it is on.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: str) -> Self:
        """The stamp that a file has now.

        Raises:
            OSError: Nothing is there, or it cannot be reached.
        """
        found = os.stat(path)  # noqa: PTH116  # called for every file of an index
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)

    def is_settled(self, now_ns: int) -> bool:
        """Whether any change from now on will change the stamp."""
        is_coarse = self.mtime_ns % _SECOND_NS == 0 == self.ctime_ns % _SECOND_NS
        return now_ns - max(self.mtime_ns, self.ctime_ns) > (_COARSE_TICK_NS if is_coarse else _TICK_NS)


@dataclass(frozen=True, slots=True)
class ReadContent:
    """A content as it was read.

    Attributes:
        sha256: Of it.
        stamp: Of the file.
        is_settled: Whether the file has this content as long as it has this stamp.
    """

    sha256: str
    stamp: FileStamp
    is_settled: bool

    @property
    def lasting(self) -> FileStamp | None:
        """The stamp, if it stands for the content."""
        return self.stamp if self.is_settled else None


def read_content(path: str) -> ReadContent:
    """Read a file whole.

    Raises:
        OSError: It cannot be read.
    """
    stamp, now_ns = FileStamp.of(path), time.time_ns()
    sha256 = content_sha256(Path(path))
    return ReadContent(sha256, stamp, stamp.is_settled(now_ns) and FileStamp.of(path) == stamp)
