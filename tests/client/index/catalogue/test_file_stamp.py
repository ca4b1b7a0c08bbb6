import os
import time
from pathlib import Path

import pytest

from cocon.client.index.catalogue.file_stamp import FileStamp, read_content

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("changed_ns", "age_ns", "is_settled"),
    [
        (5 * SECOND_NS + 1, 50_000_000, False),
        (5 * SECOND_NS + 1, 150_000_000, True),
        (5 * SECOND_NS, 150_000_000, False),  # a clock of seconds
        (5 * SECOND_NS, 2 * SECOND_NS + 1, True),
        (5 * SECOND_NS + 1, -SECOND_NS, False),  # a file of tomorrow
    ],
)
def test_a_change_within_the_tick_of_a_clock_could_hide(changed_ns: int, age_ns: int, is_settled: bool) -> None:
    for mtime_ns, ctime_ns in ((changed_ns, changed_ns), (0, changed_ns), (changed_ns, 0)):
        assert FileStamp(1, mtime_ns, ctime_ns, 1, 1).is_settled(changed_ns + age_ns) is is_settled


def test_every_change_of_a_file_changes_its_stamp(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1")
    other.write_bytes(b"2")
    seen = [FileStamp.of(str(path))]
    times = (seen[0].mtime_ns, seen[0].mtime_ns)
    for content in (b"3", b"4", b"5"):
        while time.time_ns() <= seen[-1].ctime_ns + 20_000_000:  # the tick of any kernel
            pass
        path.write_bytes(content)
        os.utime(path, ns=times)
        seen.append(FileStamp.of(str(path)))
    os.utime(other, ns=times)
    other.rename(path)
    seen.append(FileStamp.of(str(path)))
    assert len(set(seen)) == len(seen)


def test_a_young_file_is_read_and_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    young = read_content(str(path))
    assert (young.lasting, young.stamp) == (None, FileStamp.of(str(path)))
    while not young.stamp.is_settled(time.time_ns()):
        pass
    assert read_content(str(path)).lasting == young.stamp
