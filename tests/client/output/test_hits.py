"""The picture of a search: what is drawn where, and what a missing file or a wrong name does."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cocon.client import Hit
from cocon.client.output.hits import HIT_STILL_PX, MAX_DRAWN, NUM_STILLS, QUERY_STILL_PX, HitSheet
from cocon.video.pictures.drawing import LEFT_COLOUR, RIGHT_COLOUR
from tests.client.conftest import Client, write_video


def hit(rank: int, score: float = 0.5, label: str | None = "bow") -> Hit:
    return Hit(rank, f"/videos/v{rank}.mp4", 1.4, 3.0, score, label)


def stills(side_px: int, shade: int) -> np.ndarray:
    return np.stack([np.full((side_px, side_px, 3), shade + number, np.uint8) for number in range(NUM_STILLS)])


def sheet() -> HitSheet:
    return HitSheet(Path("query.mp4"), 3.0, stills(QUERY_STILL_PX, 100), "facts")


def count(drawn: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((drawn == np.array(colour, np.uint8)).all(axis=2).sum())


def test_every_still_is_drawn_whole_and_the_query_is_framed() -> None:
    drawn = sheet().draw([hit(1), hit(2)], [stills(HIT_STILL_PX, 150), stills(HIT_STILL_PX, 200)])
    for number in range(NUM_STILLS):
        assert count(drawn, (100 + number,) * 3) >= QUERY_STILL_PX**2
        assert count(drawn, (150 + number,) * 3) >= HIT_STILL_PX**2
        assert count(drawn, (200 + number,) * 3) >= HIT_STILL_PX**2
    assert count(drawn, RIGHT_COLOUR) > 4 * 2 * QUERY_STILL_PX


def test_the_bar_is_as_long_as_the_score() -> None:
    full, half, none = (count(sheet().draw([hit(1, score)], [None]), LEFT_COLOUR) for score in (1.0, 0.5, -0.25))
    assert (full, none) == (2 * half, 0)
    assert half > 0


def test_rows_come_in_order_and_an_empty_search_shows_the_query() -> None:
    drawn = sheet().draw([hit(1), hit(2)], [stills(HIT_STILL_PX, 150), stills(HIT_STILL_PX, 200)])
    tops = [((drawn == shade).all(axis=2).sum(axis=1) >= HIT_STILL_PX).argmax() for shade in (150, 200)]
    assert 0 < tops[0] < tops[1]
    assert count(sheet().draw([], []), (100, 100, 100)) >= QUERY_STILL_PX**2


def test_search_draws_what_it_found(client: Client, videos: list[Path], tmp_path: Path) -> None:
    assert client("index", "add", *videos[1:]).returncode == 0
    result = client("search", videos[0], "--picture", "pictures/hits.png", "--top", "3")
    assert (result.returncode, result.stderr) == (0, "")
    drawn = cv2.imread(str(tmp_path / "pictures/hits.png"))
    assert drawn.shape[0] > 3 * HIT_STILL_PX
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["hits.png"]


def test_a_hit_whose_file_is_gone_is_told_in_its_row(client: Client, videos: list[Path], tmp_path: Path) -> None:
    gone = write_video(tmp_path / "gone.mp4", seed=9)
    assert client("index", "add", gone).returncode == 0
    pictures = []
    for name in ("there.png", "gone.png"):
        assert client("search", videos[0], "--picture", name).returncode == 0
        pictures.append(cv2.imread(str(tmp_path / name)))
        gone.unlink(missing_ok=True)
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()


def test_more_hits_than_one_can_look_at_are_listed_but_not_drawn(
    client: Client, videos: list[Path], tmp_path: Path
) -> None:
    assert client("index", "add", "--overlap", "0.9", *videos[1:]).returncode == 0
    options = ("--all-moments", "--keep-duplicates", "--top", MAX_DRAWN + 6, "--format", "jsonl")
    result = client("search", videos[0], *options, "--picture", "a.png")
    assert len(result.stdout.splitlines()) == MAX_DRAWN + 6
    assert cv2.imread(str(tmp_path / "a.png")).shape[0] < (MAX_DRAWN + 2) * (HIT_STILL_PX + 20)


@pytest.mark.parametrize(
    ("name", "rule"), [("hits.jpg", "must end in .png"), (".", "must end in .png"), ("folder.png", "is a folder")]
)
def test_a_picture_that_cannot_be_is_refused_before_any_work(
    client: Client, videos: list[Path], tmp_path: Path, name: str, rule: str
) -> None:
    assert client("index", "add", videos[1]).returncode == 0
    (tmp_path / "folder.png").mkdir()
    result = client("search", videos[0], "--url", "local:nowhere", "--picture", name)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"--picture '{name}' {rule}" in result.stderr
