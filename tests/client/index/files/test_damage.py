"""A byte that changed, or a file that was cut: found out or without effect, never a wrong answer."""

from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.snapshot import Snapshot
from cocon.core.errors import CoconError
from tests.client.index.conftest import clips_of, embedding_of

NAMES = ["a", "b", "c", "d", "e"]


def answers(snapshot: Snapshot) -> dict[str, list[tuple[float, ...]]]:
    """What each sound video is found by: vectors and spans of its rows."""
    found: dict[str, list[tuple[float, ...]]] = {}
    rows = np.flatnonzero(snapshot.rows.live)
    rows = rows[~np.isin(rows, snapshot.unsound)]
    for row, (video, clip) in zip(rows, clips_of(snapshot, rows), strict=True):
        numbers = (*video.spans[clip].tolist(), *snapshot.vectors[row].tolist())
        found.setdefault(video.places[0].path, []).append(numbers)
    return found


def is_right(folder: Path, expected: dict[str, list[tuple[float, ...]]]) -> bool:
    """Whether an index answers as it should; False where it says that it is damaged; fails where it is wrong."""
    try:
        snapshot = open_snapshot(folder)
        found = answers(snapshot)
    except CoconError as error:
        assert "\n" not in str(error)
        return False
    is_said = bool(snapshot.bad) or len(snapshot.unsound) > 0
    assert found == expected or is_said
    for video, moments in found.items():
        assert set(moments) <= set(expected[video])
    return not is_said


@pytest.mark.parametrize("pattern", ["catalog.sqlite", "index.json", "vectors-*.f32", "blocks-*.f16"])
def test_a_changed_byte_is_found_out_or_harmless(stored: Path, pattern: str) -> None:
    expected = answers(open_snapshot(stored))
    assert sorted(expected) == [embedding_of(name).video for name in NAMES]
    (path,) = stored.glob(pattern)
    content = path.read_bytes()
    rng = np.random.default_rng(len(content))
    positions = rng.integers(0, len(content), 125)
    unseen = []
    for position in positions.tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        if is_right(stored, expected) and path.suffix == ".f32":
            unseen.append(position)
    path.write_bytes(content)
    assert not unseen, "of a vector every byte counts"
    assert is_right(stored, expected)


@pytest.mark.parametrize("pattern", ["catalog.sqlite", "index.json", "vectors-*.f32", "blocks-*.f16"])
def test_a_file_that_was_cut_is_found_out(stored: Path, pattern: str) -> None:
    expected = answers(open_snapshot(stored))
    (path,) = stored.glob(pattern)
    content = path.read_bytes()
    for size in np.linspace(0, len(content) - 1, 40).astype(int).tolist():
        path.write_bytes(content[:size])
        assert not is_right(stored, expected) or path.name == "index.json", size
    if path.suffix != ".sqlite":
        path.unlink()
        assert not is_right(stored, expected) or path.name == "index.json"


def test_blocks_that_changed_are_not_aligned(stored: Path) -> None:
    (path,) = stored.glob("blocks-*.f16")
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    assert np.flatnonzero(~open_snapshot(stored).have_sound_blocks(np.arange(15))).tolist() == [1]
