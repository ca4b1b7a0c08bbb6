"""Kill, starve, cut and damage an index, and look what is left of it; writes durability.md and durability.json.

make durability     (python docs/results/durability.py --kills 200 --migrations 50 --full-disks 50 --flips 500 --seed 0)
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))

from cocon.client import VideoIndex  # noqa: E402
from cocon.client.index.files.reading import open_snapshot  # noqa: E402
from cocon.client.index.files.writer import IndexWriter  # noqa: E402
from tests.client.index.churn import Change, State, changes, check, do, held, run_and_kill  # noqa: E402
from tests.client.index.conftest import put_videos  # noqa: E402
from tests.client.index.files.test_damage import answers, is_right  # noqa: E402
from tests.client.index.power_cut import Disk, cuts, recorded  # noqa: E402
from tests.disks import full_disk  # noqa: E402

KINDS = ("put", "put", "put", "remove", "import", "compact", "rebuild")
Row = dict[str, str | int]


def main() -> None:
    """Do everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--migrations", type=int, default=50)
    parser.add_argument("--full-disks", type=int, default=50)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rows = [
            killed_row(root / "kills", rng, options.kills),
            migrated_row(root / "migrations", rng, options.migrations),
            full_row(root / "full", rng, options.full_disks),
            two_writers_row(root / "writers", rng),
            readers_row(root / "readers", rng),
            power_row(root / "power", options.seed),
            *flip_rows(root / "flips", options.seed, options.flips),
        ]
    write(rows, options)


def killed_row(root: Path, rng: random.Random, num_kills: int) -> Row:
    """Kill -9 at random moments of changes; after each, all that was acknowledged is there, and `verify` is content."""
    root.mkdir()
    state: State = {}
    num_done = num_kept = 0
    for _ in range(num_kills):
        done, begun = run_and_kill(root, state, rng, KINDS, longest_s=0.4)
        before, state = state, check(root, state, done, begun)
        num_kept += begun is not None and state != _after(before, done)
        num_done += len(done)
        assert not state or VideoIndex(root).verify().is_sound
    return row(
        "kill -9 while adding, removing, importing, compacting, rebuilding", num_kills, num_done, "changes acknowledged"
    )


def migrated_row(root: Path, rng: random.Random, num_kills: int) -> Row:
    """Kill -9 while an index of the first schema is brought over."""
    with tarfile.open(HERE.parents[1] / "tests" / "released" / "released.tar.xz") as archive:
        archive.extractall(root, [member for member in archive if "/index/" in member.name], filter="data")
    expected = answers(open_snapshot(root / "index"))
    num_new = 0
    for number in range(num_kills):
        folder = root / str(number)
        shutil.copytree(root / "index", folder)
        kill_after(rng.uniform(0, 0.08), partial(_open_to_write, folder))
        assert answers(open_snapshot(folder)) == expected
        num_new += bool(list(folder.glob("vectors-*")))
        _open_to_write(folder)
        assert answers(open_snapshot(folder)) == expected
        assert VideoIndex(folder).verify().is_sound
    return row("kill -9 while an index of the first schema migrates", num_kills, num_new, "in the midst or after")


def full_row(root: Path, rng: random.Random, count: int) -> Row:
    """Changes on a disk that takes no more from some size on."""
    root.mkdir()
    first = Change("put", {"v0": 1})
    do(root, first)
    state, num_done = first.applied({}), 0
    for _ in range(count):
        hindrance = partial(full_disk, rng.choice([0, 1 << 10, 1 << 14, 1 << 16, 80_000, 1 << 17]))
        done, begun = run_and_kill(root, state, rng, KINDS, longest_s=0.4, hindrance=hindrance)
        state = check(root, state, done, begun)
        num_done += len(done)
        assert VideoIndex(root).verify().is_sound
    return row("a full disk while changing", count, num_done, "changes acknowledged")


def two_writers_row(root: Path, rng: random.Random) -> Row:
    """Two processes that write by turns."""
    root.mkdir()
    count = 30
    children = [forked(partial(_put_many, root, name, count)) for name in ("left", "right")]
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    found = held(open_snapshot(root))
    assert found == {f"{name}{number}": number for name in ("left", "right") for number in range(count)}
    assert VideoIndex(root).verify().is_sound
    return row("two writers that wait for each other", 2, len(found), "changes acknowledged, all there")


def readers_row(root: Path, rng: random.Random) -> Row:
    """Eight processes that read while one writes: every answer is a state that was."""
    root.mkdir()
    planned = list(islice(changes({}, random.Random(5), KINDS[:4]), 80))
    states: list[State] = [{}]
    for change in planned:
        states.append(change.applied(states[-1]))
    do(root, planned[0])
    reader, said = os.pipe()
    children = [forked(partial(_read_until, root, states, said)) for _ in range(8)]
    for change in planned[1:]:
        do(root, change)
    (root / "over").touch()
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    os.close(said)
    return row(
        "eight reading processes beside a writer", 8, len(os.read(reader, 1 << 20)), "snapshots, each a state that was"
    )


def power_row(root: Path, seed: int) -> Row:
    """The system calls of a writer, carried out up to each of them."""
    root.mkdir()
    kinds, count = KINDS[:6], 20
    code = ["-m", "tests.client.index.churn", str(root / "index"), str(seed), str(count), *kinds]
    (root / "index").mkdir()
    calls = recorded(code, root / "calls.txt")
    planned = list(islice(changes({}, random.Random(seed), kinds), count))
    num_cuts = 0
    for said in cuts(Disk(root / "index"), calls, root / "cut"):
        num_done = said.count(b"d")
        is_begun = said.count(b"b") > num_done
        check(root / "cut", {}, planned[:num_done], planned[num_done] if is_begun else None)
        num_cuts += 1
    return row(
        "a power cut after each system call that writes, with and without what was not synced",
        num_cuts,
        count,
        "changes in the record",
    )


def flip_rows(root: Path, seed: int, num_flips: int) -> list[Row]:
    """One changed byte at random places of the folder's files, and every length that a file can be cut to."""
    root.mkdir()
    folder = root / "index"
    put_videos(folder, [f"v{number}" for number in range(20)])
    expected = answers(open_snapshot(folder))
    files = [path for path in sorted(folder.iterdir()) if path.stat().st_size]
    rng = np.random.default_rng(seed)
    found = 0
    for number in range(num_flips):
        path = files[number % len(files)]
        content = path.read_bytes()
        position = int(rng.integers(len(content)))
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 1 << int(rng.integers(8))]) + content[position + 1 :]
        )
        found += not is_right(folder, expected)
        path.write_bytes(content)
    cut = num_cut = 0
    for path in files:
        content = path.read_bytes()
        for size in sorted({*rng.integers(0, len(content), 200).tolist(), 0}):
            path.write_bytes(content[:size])
            cut += not is_right(folder, expected)
            num_cut += 1
        path.write_bytes(content)
    assert is_right(folder, expected)
    return [
        row(
            "a changed bit in any file of the folder", num_flips, found, "said to be damaged, the others without effect"
        ),
        row(
            "a file of the folder cut to another length", num_cut, cut, "said to be damaged, the others without effect"
        ),
    ]


def forked(work: Callable[[], None]) -> int:
    """Do something in a process of its own, which ends with 0 if nothing is raised; its id."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def kill_after(delay_s: float, work: Callable[[], None]) -> None:
    """Do something in a process of its own, and kill that."""
    child = forked(work)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def row(what: str, count: int, seen: int, of_what: str) -> Row:
    """One line of the table; nothing was lost and no answer wrong, or it would not have come so far."""
    sys.stderr.write(f"{what}: {count}; {seen} {of_what}\n")
    return {"what": what, "count": count, "seen": seen, "of_what": of_what, "lost": 0, "wrong": 0}


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """Write `durability.json` and `durability.md`."""
    command = (
        f"python docs/results/durability.py {' '.join(f'--{name} {value}' for name, value in vars(options).items())}"
    )
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"
    facts = {"command": command.replace("_", "-"), "machine": machine, "date": date.today().isoformat()}
    (HERE / "durability.json").write_text(json.dumps(facts | {"rows": rows}, indent=2) + "\n")
    lines = [f"| {line['what']} | {line['count']} | {line['seen']} {line['of_what']} |" for line in rows]
    text = "\n".join(lines)
    (HERE / "durability.md").write_text(
        f"""# What an index survives

`{facts["command"]}`
({facts["date"]}, {machine}). After each of these the index was opened and compared, vector by vector, with what had
been acknowledged: nothing was missing, nothing there twice, and no vector or time was another. After kills, migrations,
full disks and two writers `client index verify` was content. The script ends at the first exception.

| what was done | times | |
|---|---|---|
{text}
"""
    )


def _after(state: State, done: list[Change]) -> State:
    for change in done:
        state = change.applied(state)
    return state


def _open_to_write(folder: Path) -> None:
    with IndexWriter(folder):
        pass


def _put_many(folder: Path, name: str, count: int) -> None:
    for number in range(count):
        do(folder, Change("put", {f"{name}{number}": number}))


def _read_until(folder: Path, states: list[State], said: int) -> None:
    index, newest = VideoIndex(folder), 0
    while True:
        is_over = (folder / "over").exists()
        found = held(index.snapshot())
        newest = next(number for number in range(newest, len(states)) if states[number] == found)
        os.write(said, b".")
        if is_over:
            return


if __name__ == "__main__":
    main()
