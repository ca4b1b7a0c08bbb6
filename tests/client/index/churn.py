"""Random changes of an index by a process that can be killed, and what must be in it afterwards."""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cocon.client import VideoIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.proven import CATALOG_FILE
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.core.errors import StorageError
from tests.client.index.conftest import FACTS, NUM_BLOCKS, clips_of, embedding_of

__all__ = ["Change", "State", "changes", "check", "do", "held", "run_and_kill"]

# Name of a video → its version.
State = dict[str, int]
NUM_NAMES = 40
UPKEEP: dict[str, Callable[..., object]] = {"compact": VideoIndex.compact, "rebuild": VideoIndex.rebuild}


@dataclass(frozen=True)
class Change:
    """One change: what is done to which videos."""

    kind: str
    videos: dict[str, int] = field(default_factory=dict)

    def applied(self, state: State) -> State:
        """The state after it."""
        if self.kind == "remove":
            return {name: version for name, version in state.items() if name not in self.videos}
        return state | self.videos


def changes(state: State, rng: random.Random, kinds: tuple[str, ...]) -> Iterator[Change]:
    """Changes without an end, each possible after those before."""
    while True:
        kind = rng.choice(kinds)
        if kind in ("remove", *UPKEEP) and not state:
            continue
        if kind == "remove":
            named = {name: state[name] for name in rng.sample(sorted(state), 1)}
        elif kind in UPKEEP:
            named = {}
        else:
            names = [f"v{rng.randrange(NUM_NAMES)}" for _ in range(5 if kind == "import" else 1)]
            named = {name: rng.randrange(1_000_000) for name in names}
        change = Change(kind, named)
        yield change
        state = change.applied(state)


def do(folder: Path, change: Change) -> None:
    """Carry a change out; it is acknowledged when this returns."""
    if change.kind == "import":
        file = folder.with_name(f"{folder.name}.parquet")
        write_export(file, change)
        VideoIndex(folder).import_file(file, wait_s=60)
        return
    if change.kind in UPKEEP:
        UPKEEP[change.kind](VideoIndex(folder), wait_s=60)
        return
    with IndexWriter(folder, new=(FACTS, NUM_BLOCKS), wait_s=60) as writer:
        contents = Contents(writer)
        for name, version in change.videos.items():
            video = embedding_of(name, 1 + version % 5, version)
            if change.kind == "remove":
                contents.forget([video.video])
            else:
                contents.put(video.video, video, label=str(version), overlap=0.0)
                contents.drop_unplaced()


def write_export(file: Path, change: Change) -> None:
    """What an import reads."""
    other = file.with_name(f"{file.name}.index")
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    do(other, replace(change, kind="put"))
    VideoIndex(other).export(file)


def run_and_kill(
    folder: Path,
    state: State,
    rng: random.Random,
    kinds: tuple[str, ...],
    *,
    longest_s: float,
    hindrance: Callable[[], AbstractContextManager[None]] = nullcontext,
    do_it: Callable[[Path, Change], None] = do,
) -> tuple[list[Change], Change | None]:
    """Let another process change an index until it is killed, or stopped by an error of ours.

    Returns:
        What was acknowledged, and the change that was being made.
    """
    reader, writer = os.pipe()
    seed, deadline_s = rng.random(), rng.uniform(0, longest_s)
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            with hindrance():
                for change in changes(dict(state), random.Random(seed), kinds):
                    os.write(writer, b"b")
                    do_it(folder, change)
                    os.write(writer, b"d")
        except StorageError:
            pass
        except BaseException:
            os.write(writer, b"x")
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    time.sleep(deadline_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read()
    assert b"x" not in told, "an error that is not the disk's"
    planned = changes(dict(state), random.Random(seed), kinds)
    done = [next(planned) for _ in range(told.count(b"d"))]
    return done, next(planned) if told.count(b"b") > len(done) else None


def held(snapshot: Snapshot) -> State:
    """What an index holds; fails where a vector, a time or a block is not what was stored."""
    assert not snapshot.bad
    assert not len(snapshot.unsound)
    videos = snapshot.videos()
    assert len({video.content_sha256 for video in videos}) == len(videos) == len(snapshot.rows.video_ids)
    found: State = {}
    for video in videos:
        name, version = Path(video.video).name, int(video.label or 0)
        stored = embedding_of(name, video.num_clips, version)
        rows = snapshot.rows.rows_of(snapshot.rows.positions_of(np.array([video.video_id])))
        assert stored.content_sha256 == video.content_sha256
        assert (snapshot.vectors[rows] == stored.embedding).all()
        assert (snapshot.blocks is None) or (snapshot.blocks[rows] == stored.blocks.astype("<f2")).all()
        assert [video.spans[clip, 0] for video, clip in clips_of(snapshot, rows)] == stored.start_seconds.tolist()
        found[name] = version
    assert snapshot.have_sound_blocks(np.flatnonzero(snapshot.rows.live)).all() or snapshot.blocks is None
    return found


def check(folder: Path, before: State, done: Sequence[Change], begun: Change | None) -> State:
    """What an index holds after a kill; fails unless that is all that was acknowledged, and at most what was begun.

    A change of several videos may have been made in part: each is acknowledged by itself.
    """
    state = before
    for change in done:
        state = change.applied(state)
    if not (folder / CATALOG_FILE).exists():
        assert not state
        return {}
    found = held(open_snapshot(folder))
    begun_videos = begun.videos if begun else {}
    for name in {*state, *found}:
        allowed = {state.get(name)}
        if begun is not None and name in begun_videos:
            allowed.add(None if begun.kind == "remove" else begun_videos[name])
        assert found.get(name) in allowed, (name, found.get(name), allowed)
    return found


def main() -> None:
    """Make some changes and say of each when it begins and when it is done: `churn.py FOLDER SEED COUNT KIND...`."""
    folder, seed, count, *kinds = sys.argv[1:]
    planned = changes({}, random.Random(int(seed)), tuple(kinds))
    for _ in range(int(count)):
        change = next(planned)
        os.write(1, b"b")
        do(Path(folder), change)
        os.write(1, b"d")


if __name__ == "__main__":
    main()
