"""Previews are kept within a number of bytes, and made once."""

import threading
import time
from pathlib import Path

import pytest

from cocon.video.moments.cache import PreviewCache, preview_key


def _ask(cache: PreviewCache, name: str, size: int = 100) -> Path:
    return cache.file(preview_key(name), ".mp4", lambda path: path.write_bytes(b"x" * size) and None)


def _kept(cache: PreviewCache, *names: str) -> list[bool]:
    """Which are kept, by whether they must be made anew."""
    made: list[str] = []
    for name in names:
        cache.file(preview_key(name), ".mp4", lambda path, name=name: made.append(name) or _fill(path))
    return [name not in made for name in names]


def _fill(path: Path) -> None:
    path.write_bytes(b"x")


def test_what_was_not_asked_for_the_longest_goes_first(tmp_path: Path) -> None:
    cache = PreviewCache(tmp_path / "kept", 300)
    for name in "abc":
        _ask(cache, name)
    _ask(cache, "a")
    path = _ask(cache, "d")
    assert path.read_bytes() == b"x" * 100
    assert cache.num_bytes == 300
    assert len(list((tmp_path / "kept").iterdir())) == 3
    assert _kept(cache, "a", "d", "c") == [True] * 3
    assert _kept(cache, "b") == [False]


def test_a_file_larger_than_all_room_stays_until_the_next(tmp_path: Path) -> None:
    cache = PreviewCache(tmp_path / "kept", 10)
    large = _ask(cache, "large", 50)
    assert large.is_file()
    _ask(cache, "small", 5)
    assert not large.exists()
    assert cache.num_bytes == 5


def test_the_next_process_takes_over_and_touches_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    cache = PreviewCache(folder, 1000)
    first, second = _ask(cache, "a"), _ask(cache, "b")
    mine = folder / "holiday.mp4"
    mine.write_bytes(b"z" * 5000)
    half = folder / f".{first.name}.partial"
    half.write_bytes(b"half")
    assert _kept(PreviewCache(folder, 1000), "a", "b") == [True, True]
    assert not half.exists()
    PreviewCache(folder, 100)
    assert not first.exists()
    assert second.exists()
    assert mine.stat().st_size == 5000
    assert folder.stat().st_mode & 0o077 == 0


def test_who_asks_at_once_has_it_made_once(tmp_path: Path) -> None:
    cache = PreviewCache(tmp_path / "kept", 1000)
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        time.sleep(0.05)
        path.write_bytes(b"whole")

    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.file(preview_key("a"), ".mp4", make).read_bytes()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"whole"] * 8
    assert len(made) == 1


def test_what_fails_is_not_kept_and_is_tried_again(tmp_path: Path) -> None:
    cache = PreviewCache(tmp_path / "kept", 1000)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.file(preview_key("a"), ".mp4", fail)
    assert list((tmp_path / "kept").iterdir()) == []
    assert _ask(cache, "a").is_file()


def test_a_file_that_somebody_removed_is_made_again(tmp_path: Path) -> None:
    cache = PreviewCache(tmp_path / "kept", 1000)
    _ask(cache, "a").unlink()
    assert _ask(cache, "a").is_file()
    assert cache.num_bytes == 100


def test_keys_tell_contents_and_facts_apart() -> None:
    keys = [preview_key("a", 1.0, 2.0), preview_key("a", 1.0, 2.5), preview_key("b", 1.0, 2.0), preview_key("a\udc80")]
    assert len(set(keys)) == 4
    assert all(len(key) == 64 and key.isalnum() for key in keys)
