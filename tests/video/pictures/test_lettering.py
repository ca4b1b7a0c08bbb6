"""Text in pictures: it stays where it is put, and fits where it is said to fit."""

import numpy as np
import pytest

from cocon.video.pictures.lettering import draw_text, shortened, text_width, wrap_text

WHITE = (255, 255, 255)


def _drawn(text: str, *, left: int, top: int, cap_px: int = 10) -> np.ndarray:
    canvas = np.zeros((40, 120, 3), np.uint8)
    draw_text(canvas, text, left=left, top=top, cap_px=cap_px, colour=WHITE)
    return canvas


def test_capitals_fill_their_height_and_nothing_lies_outside() -> None:
    canvas = _drawn("HE", left=20, top=12)
    rows, columns = np.nonzero(canvas[..., 0])
    assert rows.min() in (11, 12)  # strokes are 1.25 px wide
    assert rows.max() in (22, 23)
    assert columns.min() >= 20
    assert columns.max() < 20 + text_width("HE", 10)


@pytest.mark.parametrize(("left", "top"), [(110, 12), (20, 35), (119, 39), (130, 12), (20, 50)])
def test_what_does_not_fit_is_cut_off(left: int, top: int) -> None:
    whole = np.zeros((80, 300, 3), np.uint8)
    draw_text(whole, "00:03.245", left=left, top=top, cap_px=10, colour=WHITE)
    assert np.array_equal(_drawn("00:03.245", left=left, top=top), whole[:40, :120])


def test_times_are_equally_wide_so_that_they_do_not_dance() -> None:
    assert len({text_width(f"{digit}{digit}:{digit}{digit}.{digit}{digit}{digit}", 9) for digit in range(10)}) == 1


def test_letters_that_are_not_there_become_question_marks() -> None:
    assert np.array_equal(_drawn("Küche", left=5, top=5), _drawn("K?che", left=5, top=5))


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
