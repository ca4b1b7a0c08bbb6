"""What a power cut leaves of an index: system calls of a writer, seen by strace, carried out up to any of them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Call", "Disk", "recorded"]

_CALLS = (
    "openat,write,pwrite64,writev,pwritev,ftruncate,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,close,dup"
)
_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Call:
    """One successful call."""

    name: str
    arguments: str
    result: int

    @property
    def texts(self) -> list[bytes]:
        """Its strings."""
        return [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(self.arguments)]

    @property
    def numbers(self) -> list[int]:
        """Its numbers, without those in strings."""
        return [int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w.])", _TEXT.sub('""', self.arguments))]


def recorded(arguments: list[str], log: Path) -> list[Call]:
    """The calls of a Python process that change files, in their order."""
    tracing = ["strace", "-f", "-qq", "-xx", "-s", "10000000", "-e", f"trace={_CALLS}", "-o", str(log)]
    subprocess.run([*tracing, sys.executable, *arguments], check=True, timeout=300, stdout=subprocess.DEVNULL)
    found = (_LINE.match(line) for line in log.read_text().splitlines())
    return [Call(line[1], line[2], int(line[3])) for line in found if line and int(line[3]) >= 0]


@dataclass
class Disk:
    """The files of a folder, as they are in memory and as they are known to be on the disk.

    Attributes:
        folder: Whose files are followed; it has no folders.
        said: What was written to standard output.
    """

    folder: Path
    said: bytes = b""
    _files: dict[str, int] = field(default_factory=dict)  # name → number of the file
    _cached: dict[int, bytearray] = field(default_factory=dict)
    _synced: dict[int, bytes] = field(default_factory=dict)
    _open: dict[int, int] = field(default_factory=dict)

    def load(self) -> None:
        """Begin with what is in the folder."""
        for path in self.folder.iterdir():
            number = len(self._cached)
            self._files[path.name] = number
            self._cached[number] = bytearray(path.read_bytes())
            self._synced[number] = path.read_bytes()

    def carry_out(self, call: Call) -> bool:
        """Carry a call out; whether it has changed anything."""
        match call.name:
            case "openat":
                return self._opened(call)
            case "dup":
                if call.numbers[0] in self._open:
                    self._open[call.result] = self._open[call.numbers[0]]
            case "close":
                self._open.pop(call.numbers[0], None)
            case "write" if call.numbers[0] == 1:
                self.said += call.texts[0]
            case "pwrite64" | "write":
                return self._written(call)
            case "writev" | "pwritev":
                assert call.numbers[0] not in self._open, call
            case "ftruncate":
                return self._truncated(*call.numbers)
            case "fsync" | "fdatasync":
                if (number := self._open.get(call.numbers[0])) is not None:
                    self._synced[number] = bytes(self._cached[number])
                    return True
            case _:
                return self._renamed(call)
        return False

    def write_to(self, folder: Path, *, is_synced_alone: bool) -> None:
        """What is found after the cut: all that was written, or of the files' bytes only what was synced."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, number in self._files.items():
            content = self._synced.get(number, b"") if is_synced_alone else self._cached[number]
            (folder / name).write_bytes(content)

    def _name(self, text: bytes) -> str | None:
        path = Path(text.decode())
        return path.name if path.parent == self.folder else None

    def _opened(self, call: Call) -> bool:
        name = self._name(call.texts[0])
        if name is None or "O_DIRECTORY" in call.arguments:
            return False
        is_new = name not in self._files
        if is_new:
            self._files[name] = len(self._cached)
            self._cached[self._files[name]] = bytearray()
        self._open[call.result] = number = self._files[name]
        if "O_TRUNC" in call.arguments:
            self._cached[number].clear()
        return is_new or "O_TRUNC" in call.arguments

    def _written(self, call: Call) -> bool:
        number = self._open.get(call.numbers[0])
        if number is None:
            return False
        content, cached = call.texts[0][: call.result], self._cached[number]
        place = call.numbers[-1] if call.name == "pwrite64" else len(cached)
        cached.extend(b"\0" * (place + len(content) - len(cached)))
        cached[place : place + len(content)] = content
        return True

    def _truncated(self, descriptor: int, size: int) -> bool:
        if (number := self._open.get(descriptor)) is None:
            return False
        cached = self._cached[number]
        del cached[size:]
        cached.extend(b"\0" * (size - len(cached)))
        return True

    def _renamed(self, call: Call) -> bool:
        names = [self._name(text) for text in call.texts]
        if names[0] is None:
            return False
        number = self._files.pop(names[0], None)
        if len(names) > 1 and names[1] is not None and number is not None:
            self._files[names[1]] = number
        return True


def cuts(disk: Disk, calls: list[Call], folder: Path) -> Iterator[bytes]:
    """Make what every moment's cut leaves, in `folder`, twice: yields what had been said to the outside by then."""
    for call in calls:
        if disk.carry_out(call):
            for is_synced_alone in (False, True):
                disk.write_to(folder, is_synced_alone=is_synced_alone)
                yield disk.said
