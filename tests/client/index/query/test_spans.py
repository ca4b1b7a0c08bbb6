"""Parts of videos: what is one, what is refused, and which clips they are."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoEmbedder
from cocon.client.index.query.spans import TimeSpan, clips_in_span, clips_of_part, named_part
from cocon.core.errors import UsageError

STARTS, ENDS = np.array([0.0, 2.0, 4.0, 6.0]), np.array([2.0, 4.0, 6.0, 8.0])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("q.mp4", "take#1-2", "odd#5-6.mp4", b"caf\xe9#1-2"):
        Path(os.fsdecode(name)).touch()
    Path("gone#3-4").symlink_to("nowhere")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("12.5-18", 12.5, 18.0),
        ("12.5-", 12.5, math.inf),
        ("-18", 0.0, 18.0),
        ("1:05-1:20", 65.0, 80.0),
        ("59-1:00.5", 59.0, 60.5),
        ("1:02:03.5-2:00:00", 3723.5, 7200.0),
        (".5-1.", 0.5, 1.0),
        (" 0-1 ", 0.0, 1.0),
        ("90-100", 90.0, 100.0),
    ],
)
def test_a_part_is_from_one_time_to_another(text: str, start: float, end: float) -> None:
    assert named_part(f"q.mp4#{text}") == ("q.mp4", TimeSpan(start, end))
    assert named_part(f"not/there.mp4#{text}") == ("not/there.mp4", TimeSpan(start, end))
    assert named_part(f"odd#5-6.mp4#{text}") == ("odd#5-6.mp4", TimeSpan(start, end))


@pytest.mark.parametrize(
    "name",
    ["q.mp4", "take#1-2", "odd#5-6.mp4", "gone#3-4", "caf\\xe9#1-2", "nothing#at all", "#1-2", "a.mp4#", "12-18"],
)
def test_what_exists_by_its_whole_name_or_names_no_part_is_itself(name: str) -> None:
    assert named_part(name) == (name, None)


@pytest.mark.parametrize(
    "text",
    [
        "18-12.5",
        "5-5",
        "-0",
        "-",
        "--5",
        "-5-3",
        "5",
        "a-b",
        "1:75-2:00",
        "1:60:00-",
        "1e3-",
        "5-nan",
        "5–6",
        "١-٢",
        "",
    ],
)
def test_what_is_no_part_of_a_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"q\.mp4#12\.5-18") as refused:
        named_part(f"q.mp4#{text}")
    assert "\n" not in str(refused.value)


def test_times_of_any_length_are_refused_and_not_computed() -> None:
    for text in (f"{'9' * 5000}-", f"{'9' * 5000}:00-", f"1:{'9' * 5000}:00-"):
        with pytest.raises(UsageError):
            named_part(f"q.mp4#{text}")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, 2.0, [0]),
        (2.0, 6.0, [1, 2]),
        (1.0, 3.0, [0, 1]),  # half of each
        (1.2, 2.9, [1]),  # mostly in none
        (2.4, 2.6, [1]),
        (3.0, 3.9, [1]),
        (7.9, math.inf, [3]),
        (0.0, 1000.0, [0, 1, 2, 3]),
    ],
)
def test_clips_mostly_inside_are_chosen_or_else_the_one_that_overlaps_most(
    start: float, end: float, expected: list[int]
) -> None:
    assert clips_in_span(STARTS, ENDS, TimeSpan(start, end), source="q.mp4").tolist() == expected


def test_a_part_after_the_end_is_refused_and_one_of_a_single_picture_is_it() -> None:
    with pytest.raises(UsageError, match=r"begins at 8 s, its last clip ends at 8 s"):
        clips_in_span(STARTS, ENDS, TimeSpan(8.0, math.inf), source="q.mp4")
    still = np.zeros(1)
    assert clips_in_span(still, still, TimeSpan(0.0, 1.0), source="still.mp4").tolist() == [0]


def test_a_part_of_an_embedded_video_has_its_clips_alone(embedder: VideoEmbedder, videos: list[Path]) -> None:
    whole = embedder.embed(videos[0])  # five clips of 0.4 s
    part = clips_of_part(whole, TimeSpan(0.4, 1.25))
    assert len(part) == 2 and part.content_sha256 == whole.content_sha256
    for name in ("start_seconds", "end_seconds", "embedding", "blocks", "probabilities"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[1:3])
