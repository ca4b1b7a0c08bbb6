"""Text in pictures: it stays where it is put, and fits where it is said to fit."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cocon.video.pictures import lettering
from cocon.video.pictures.lettering import draw_text, shortened, text_width, wrap_text

WHITE = (255, 255, 255)
MISSING = "\U0010ffff"


def _drawn(text: str, *, left: int, top: int, cap_px: int = 10) -> np.ndarray:
    canvas = np.zeros((40, 120, 3), np.uint8)
    draw_text(canvas, text, left=left, top=top, cap_px=cap_px, colour=WHITE)
    return canvas


def test_capitals_fill_their_height_and_nothing_lies_outside() -> None:
    canvas = _drawn("HE", left=20, top=12)
    rows, columns = np.nonzero(canvas[..., 0])
    assert (rows.min(), rows.max()) == (12, 21)
    assert columns.min() >= 20
    assert columns.max() < 20 + text_width("HE", 10)


@pytest.mark.parametrize(("left", "top"), [(110, 12), (20, 35), (119, 39), (130, 12), (20, 50)])
def test_what_does_not_fit_is_cut_off(left: int, top: int) -> None:
    whole = np.zeros((80, 300, 3), np.uint8)
    draw_text(whole, "00:03.245", left=left, top=top, cap_px=10, colour=WHITE)
    assert np.array_equal(_drawn("00:03.245", left=left, top=top), whole[:40, :120])


def test_times_are_equally_wide_so_that_they_do_not_dance() -> None:
    assert len({text_width(f"{digit}{digit}:{digit}{digit}.{digit}{digit}{digit}", 9) for digit in range(10)}) == 1


@pytest.fixture
def dejavu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system with one font, matplotlib's."""
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    matplotlib = find_spec("matplotlib")
    assert matplotlib is not None and matplotlib.origin is not None
    shutil.copy(Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf", fonts)
    yield from _system_with(tmp_path, monkeypatch)


@pytest.fixture
def no_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _system_with(tmp_path, monkeypatch)


def _system_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where Pillow looks for the system's fonts, on Linux."""
    for name in ("XDG_DATA_HOME", "XDG_DATA_DIRS"):
        monkeypatch.setenv(name, str(folder))
    for cached in (lettering._of_the_system, lettering._parts, lettering._lettering):
        cached.cache_clear()
    yield
    for cached in (lettering._of_the_system, lettering._parts, lettering._lettering):
        cached.cache_clear()


@pytest.mark.parametrize("text", ["été", "Łódź", "Бег", "Ελλάδα"])
@pytest.mark.usefixtures("dejavu")
def test_every_letter_of_a_name_shows_as_itself(text: str) -> None:
    box = _drawn(MISSING, left=0, top=15)
    for letter in set(text):
        assert _drawn(letter, left=0, top=15).any()
        assert not np.array_equal(_drawn(letter, left=0, top=15), box)


@pytest.mark.usefixtures("dejavu")
def test_one_name_is_set_in_one_font_and_an_accent_written_apart_makes_no_difference() -> None:
    assert len(lettering._parts("été à la plage", 10)) == 1
    assert np.array_equal(_drawn("e\u0301te\u0301", left=5, top=15), _drawn("été", left=5, top=15))


@pytest.mark.usefixtures("dejavu")
def test_a_letter_that_no_font_has_becomes_a_box_and_leaves_the_others_alone() -> None:
    known, mixed = _drawn("é", left=5, top=15), _drawn("é跑", left=5, top=15)
    width = text_width("é", 10) - 2
    assert np.array_equal(mixed[:, : 5 + width], known[:, : 5 + width])
    assert mixed[:, 5 + width :].any()


@pytest.mark.usefixtures("no_fonts")
def test_without_a_font_for_them_letters_are_boxes_and_nothing_fails() -> None:
    assert np.array_equal(_drawn("跑步", left=5, top=5), _drawn(MISSING * 2, left=5, top=5))
    assert not np.array_equal(_drawn("mp4", left=5, top=5), _drawn(MISSING * 3, left=5, top=5))


@pytest.mark.parametrize(("text", "same"), [("a\nb", "a\\x0ab"), ("\udcff.mp4", "\\xff.mp4")])
def test_line_breaks_and_bytes_that_are_no_text_are_written_out(text: str, same: str) -> None:
    assert np.array_equal(_drawn(text, left=5, top=5), _drawn(same, left=5, top=5))


def test_accents_stand_above_the_capitals_height(dejavu: None) -> None:
    rows = np.nonzero(_drawn("É", left=5, top=15)[..., 0])[0]
    assert rows.min() < 14
    assert rows.max() == 24
    assert np.array_equal(_drawn("É", left=5, top=0)[:10], _drawn("É", left=5, top=15)[15:25])


def test_empty_text_draws_nothing() -> None:
    assert not _drawn("", left=5, top=5).any()


def test_wrapped_lines_fit_and_keep_every_word() -> None:
    text = "views 'pose' and 'mask' need 'mediapipe', which is not installed"
    lines = wrap_text(text, 10, 200, max_lines=9)
    assert " ".join(lines) == text
    assert len(lines) > 1
    assert all(text_width(line, 10) <= 200 for line in lines)


def test_what_is_left_after_the_last_line_and_long_words_are_shortened() -> None:
    assert wrap_text("one two three four", 10, text_width("three ...", 10), max_lines=2)[-1].endswith("...")
    (line,) = wrap_text("/a/path/that/has/no/end", 10, 100, max_lines=1)
    assert line.startswith("/a/p")
    assert line.endswith("...")
    assert text_width(line, 10) <= 100
    assert shortened("short", 10, 100) == "short"
    assert shortened("anything", 10, 0) == "..."
