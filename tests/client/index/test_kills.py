"""Writers that are killed, writers whose disk is full, and readers beside them."""

import random
from functools import partial
from pathlib import Path

import pytest

from cocon.client.index.files.reading import open_snapshot
from tests.client.index.churn import State, changes, check, do, held, run_and_kill
from tests.disks import full_disk

KINDS = ("put", "put", "put", "remove", "import", "compact", "rebuild")


@pytest.mark.parametrize("seed", range(3))
def test_a_writer_killed_at_any_moment_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    folder, rng = tmp_path / "index", random.Random(seed)
    folder.mkdir()
    state: State = {}
    num_done = 0
    num_kills = 0
    while num_kills < 8 or num_done < 8:
        done, begun = run_and_kill(folder, state, rng, KINDS, longest_s=0.5)
        state = check(folder, state, done, begun)
        num_done += len(done)
        num_kills += 1
        assert num_kills < 200
    change = next(changes(state, rng, ("put",)))
    do(folder, change)
    assert held(open_snapshot(folder)) == change.applied(state)
    assert not list(folder.glob(".*")), "what those before have left"
    assert len(list(folder.iterdir())) == 5


def test_a_writer_on_a_full_disk_loses_nothing_acknowledged(tmp_path: Path) -> None:
    folder, rng = tmp_path / "index", random.Random(5)
    folder.mkdir()
    change = next(changes({}, rng, ("put",)))
    do(folder, change)
    state, num_done = change.applied({}), 0
    for max_bytes in [0, *(rng.choice([1 << 10, 1 << 14, 1 << 16, 80_000, 1 << 17]) for _ in range(12))]:
        hindrance = partial(full_disk, max_bytes)
        done, begun = run_and_kill(folder, state, rng, KINDS, longest_s=0.5, hindrance=hindrance)
        state = check(folder, state, done, begun)
        num_done += len(done)
    assert num_done > 0
