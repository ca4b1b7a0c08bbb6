"""The map of an index follows what is added and removed without moving what it has, and is believed only if sound."""

import logging
import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from cocon.client.index.folder import VideoIndex
from cocon.client.index.projection.mapping import made_map
from cocon.client.index.projection.stored_map import MAP_FILE, StoredMap
from cocon.core.errors import UsageError
from tests.client.index.conftest import put_videos
from tests.disks import unwritable


def points(found: StoredMap | None) -> dict[tuple[int, int], tuple[float, float]]:
    assert found is not None
    keys = zip(found.video_ids.tolist(), found.clips.tolist(), strict=True)
    return dict(zip(keys, map(tuple, found.xy.tolist()), strict=True))


@pytest.fixture
def mapped(stored: Path) -> VideoIndex:
    index = VideoIndex(stored)
    assert index.map() is None
    found, is_new = index.compute_map()
    assert is_new and len(found) == 15
    return index


def names(letters: Sequence[str]) -> list[str]:
    return list(letters)


def test_it_is_read_again_as_it_was_made(mapped: VideoIndex) -> None:
    made = points(mapped.map())
    assert sorted(made) == [(video, clip) for video in range(1, 6) for clip in range(3)]
    assert points(VideoIndex(mapped.folder).map()) == made
    again, is_new = mapped.compute_map()
    assert not is_new and points(again) == made
    anew, is_new = mapped.compute_map(is_anew=True)
    assert is_new and points(anew) == made  # always the same


def test_later_clips_are_placed_and_nothing_is_moved(mapped: VideoIndex) -> None:
    before = points(mapped.map())
    mapped.remove(["/videos/b"])
    put_videos(mapped.folder, ["f"])
    found = mapped.map()
    assert found is not None and not found.is_stale
    held = points(found)
    assert {key: place for key, place in held.items() if key[0] < 6} == {
        key: place for key, place in before.items() if key[0] != 2
    }
    assert sorted(key for key in held if key[0] == 6) == [(6, 0), (6, 1), (6, 2)]
    assert found.are_placed.tolist() == [False] * 12 + [True] * 3
    assert np.abs(found.xy).max() <= 1
    stored, is_new = mapped.compute_map()
    assert not is_new and points(stored) == held
    assert points(VideoIndex(mapped.folder).map()) == held  # kept, and not placed again


def test_it_is_made_anew_when_more_than_half_is_new(mapped: VideoIndex) -> None:
    put_videos(mapped.folder, names("fghij"))
    found = mapped.map()
    assert found is not None and not found.is_stale and len(found) == 30
    mapped.compute_map()
    put_videos(mapped.folder, ["k"])
    found = mapped.map()
    assert found is not None and found.is_stale
    made, is_new = mapped.compute_map()
    assert is_new and len(made) == 33 and not made.are_placed.any()


def test_it_is_stale_when_most_of_it_is_gone(stored: Path) -> None:
    index = VideoIndex(stored)
    index.compute_map(max_clips=6)
    held = points(index.map())
    index.remove([f"id:{video}" for video in sorted({video for video, _ in held})][:4])
    found = index.map()
    assert found is not None and found.is_stale == (len(found) < 2)


def test_of_many_clips_some_are_on_it_and_of_later_ones_as_many(stored: Path) -> None:
    index = VideoIndex(stored)
    few, _ = index.compute_map(max_clips=5)
    assert len(few) == 5
    put_videos(stored, ["f", "g"])
    found = index.map()
    assert found is not None and found.are_placed.sum() == 2  # a third of six
    same, is_new = index.compute_map()
    assert not is_new and len(same) == 7
    more, is_new = index.compute_map(max_clips=100)
    assert is_new and len(more) == 21


def test_compaction_and_rebuilding_leave_it(mapped: VideoIndex) -> None:
    mapped.remove(["/videos/a"])
    before = points(mapped.map())
    mapped.compact()
    assert points(mapped.map()) == before
    mapped.rebuild()
    assert points(mapped.map()) == before
    assert mapped.verify().findings == ()
    assert mapped.statistics().file_bytes[MAP_FILE] > 0


def test_a_backup_and_what_a_killed_process_left(mapped: VideoIndex, tmp_path: Path) -> None:
    partial = mapped.folder / f".{MAP_FILE}.123.partial"
    partial.write_bytes(b"half")
    assert [finding.file for finding in mapped.verify().findings] == [partial.name]
    put_videos(mapped.folder, ["f"])
    assert not partial.exists()
    mapped.backup(tmp_path / "copy")
    copy = VideoIndex(tmp_path / "copy")
    assert copy.map() is None and copy.verify().findings == ()


def test_a_damaged_file_is_said_left_out_and_made_anew(mapped: VideoIndex, caplog: pytest.LogCaptureFixture) -> None:
    before, path = points(mapped.map()), mapped.folder / MAP_FILE
    content = path.read_bytes()
    damaged = [bytes(content[:at]) + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(0, len(content), 11)]
    array = BytesIO()
    np.save(array, np.zeros(3))
    for wrong in [b"", b"PK", content[:-30], array.getvalue(), *damaged]:
        path.write_bytes(wrong)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = VideoIndex(mapped.folder).map()
        if found is None:
            assert "'map.npz' is damaged and left out" in caplog.text and "'client index map'" in caplog.text
        else:  # a byte that says nothing of the points
            assert points(found) == before
    path.write_bytes(damaged[len(damaged) // 2])
    found_by_verify = mapped.verify()
    assert found_by_verify.is_sound and [finding.file for finding in found_by_verify.findings] == [MAP_FILE]
    made, is_new = mapped.compute_map()
    assert is_new and points(made) == before


def test_another_indexs_map_is_believed_for_no_clip(mapped: VideoIndex, tmp_path: Path) -> None:
    put_videos(tmp_path / "other", names("uvwxy"))
    (tmp_path / "other" / MAP_FILE).write_bytes((mapped.folder / MAP_FILE).read_bytes())
    found = VideoIndex(tmp_path / "other").map()
    assert found is not None and found.is_stale and len(found) == 0


def test_a_pickle_in_its_place_is_not_opened(mapped: VideoIndex, tmp_path: Path) -> None:
    class Dangerous:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "opened"),)

    columns = np.load(mapped.folder / MAP_FILE)
    np.savez(mapped.folder / MAP_FILE, **{**columns, "xy": np.array([Dangerous()], object)})
    assert VideoIndex(mapped.folder).map() is None
    assert not (tmp_path / "opened").exists()


def test_what_is_no_file_or_larger_than_any_map_is_not_read(
    mapped: VideoIndex, caplog: pytest.LogCaptureFixture
) -> None:
    path = mapped.folder / "map.npz"
    with np.load(path) as held:
        members = dict(held)

    def packed() -> None:
        np.savez_compressed(path, **members)

    def gigantic() -> None:
        path.touch()
        os.truncate(path, 8 << 30)

    for make in (lambda: os.mkfifo(path), path.mkdir, gigantic, packed, lambda: path.symlink_to("/dev/zero")):
        path.rmdir() if path.is_dir() else path.unlink()
        make()
        caplog.clear()
        assert VideoIndex(mapped.folder).map() is None
        assert "'map.npz' is damaged and left out" in caplog.text and len(caplog.text) < 1000


def test_who_stops_it_loses_nothing_and_nobody_may_write(mapped: VideoIndex) -> None:
    before = points(mapped.map())

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped.compute_map(is_anew=True, on_progress=stop)
    assert points(VideoIndex(mapped.folder).map()) == before
    with unwritable(mapped.folder), pytest.raises(UsageError, match=r"map '.*map\.npz' cannot be written"):
        mapped.compute_map(is_anew=True)
    assert sorted(path.name for path in mapped.folder.glob(".map*")) == []


def test_an_index_without_clips_has_an_empty_map(stored: Path) -> None:
    index = VideoIndex(stored)
    index.remove(["/videos"])
    assert len(made_map(index.snapshot(), 10)) == 0
    found, _ = index.compute_map()
    assert len(found) == 0
