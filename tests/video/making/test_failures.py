"""Videos whose views cannot be made: what is remembered, and when they are tried again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cocon.video.decoding.limits import MediaLimits
from cocon.video.estimation.flow import FlowSpec
from cocon.video.making.failures import Failure, FailureMemory
from cocon.video.making.recipe import Recipe
from cocon.video.making.run import MadeViews, make_views
from cocon.video.store.dataset import DatasetFolder, content_sha256

FLOW_ONLY = Recipe(views=("flow",))


@pytest.fixture
def folder(tmp_path: Path, write_video: Callable[..., Path], square_at: Callable[..., np.ndarray]) -> Path:
    """`sound.mp4` of ten frames; `a.mp4` and `jump/z.avi` are no videos."""
    folder = tmp_path / "set"
    (folder / "jump").mkdir(parents=True)
    write_video(folder / "sound.mp4", [square_at(10 + index, 20) for index in range(10)], np.arange(10) / 15)
    (folder / "a.mp4").write_bytes(b"")
    (folder / "jump" / "z.avi").write_bytes(b"no video")
    return folder


def _make(folder: Path, recipe: Recipe = FLOW_ONLY, **again: bool) -> tuple[MadeViews, list[str]]:
    """What became of the folder, and the videos of which a failure was told."""
    told: list[Failure] = []
    dataset = DatasetFolder.open(folder)
    made = make_views(dataset, recipe, **again, num_workers=2, on_failure=told.append)
    return made, sorted(failure.video for failure in told)


def _memory(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "views" / "failures.jsonl").read_text().splitlines()]


def test_failures_are_remembered_in_the_order_of_the_dataset_and_the_rest_is_made(folder: Path) -> None:
    made, told = _make(folder)
    assert made == MadeViews(1, 0, 2, 0, 0, ())
    assert told == ["a.mp4", "jump/z.avi"]
    rows = _memory(folder)
    assert [row["video"] for row in rows] == ["a.mp4", "jump/z.avi"]
    assert rows[1] == {
        "video": "jump/z.avi",
        "video_id": "jump__z.avi",
        "content_sha256": content_sha256(folder / "jump" / "z.avi"),
        "recipe": {
            "views": {"flow": {"flow_interval_seconds": 1 / 15, "flow_size_px": 128, "flow_algorithm": "dis"}},
            "limits": {},
        },
        "error": {
            "class": "UnreadableVideoError",
            "message": "video 'jump/z.avi' cannot be decoded: Invalid data found when processing input",
        },
    }


def test_the_same_failure_is_not_tried_again_also_where_the_folder_was_moved(folder: Path) -> None:
    _make(folder)
    memory = (folder / "views" / "failures.jsonl").read_bytes()
    moved = folder.rename(folder.with_name("moved"))
    assert _make(moved) == (MadeViews(0, 1, 0, 2, 0, ()), [])
    assert (moved / "views" / "failures.jsonl").read_bytes() == memory


def test_other_content_another_recipe_other_limits_and_overwrite_try_again(folder: Path) -> None:
    _make(folder)
    (folder / "a.mp4").write_bytes(b"still no video")
    assert _make(folder) == (MadeViews(0, 1, 1, 1, 0, ()), ["a.mp4"])
    both = ["a.mp4", "jump/z.avi"]
    for recipe in (replace(FLOW_ONLY, flow=FlowSpec(0.1)), replace(FLOW_ONLY, limits=MediaLimits(max_frames=99))):
        assert _make(folder, recipe)[1] == both
        assert _make(folder, recipe)[1] == []
    assert _make(folder, retry_failed=True) == (MadeViews(0, 1, 2, 0, 0, ()), both)
    assert _make(folder, overwrite=True) == (MadeViews(1, 0, 2, 0, 0, ()), both)


def test_a_limit_that_was_raised_lets_the_video_in(folder: Path) -> None:
    strict = replace(FLOW_ONLY, limits=MediaLimits(max_frames=5))
    assert _make(folder, strict) == (MadeViews(0, 0, 3, 0, 0, ()), ["a.mp4", "jump/z.avi", "sound.mp4"])
    assert _make(folder, strict) == (MadeViews(0, 0, 0, 3, 0, ()), [])
    assert _make(folder)[0].num_made == 1
    assert [row["video"] for row in _memory(folder)] == ["a.mp4", "jump/z.avi"]


def test_a_video_that_was_mended_or_removed_is_forgotten(folder: Path) -> None:
    _make(folder)
    (folder / "a.mp4").write_bytes((folder / "sound.mp4").read_bytes())
    assert _make(folder)[0] == MadeViews(1, 1, 0, 1, 0, ())
    (folder / "jump" / "z.avi").unlink()
    assert _make(folder)[0] == MadeViews(0, 2, 0, 0, 0, ())
    assert not (folder / "views" / "failures.jsonl").exists()


def test_a_file_that_the_manifest_names_in_vain_fails_until_it_is_there(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path\nsound.mp4\nlate.mp4\n")
    assert _make(folder) == (MadeViews(1, 0, 1, 0, 0, ()), ["late.mp4"])
    assert _make(folder) == (MadeViews(0, 1, 0, 1, 0, ()), [])
    assert _memory(folder)[0]["error"] == {
        "class": "UsageError",
        "message": "video 'late.mp4' does not exist or is no file",
    }
    (folder / "late.mp4").write_bytes((folder / "sound.mp4").read_bytes())
    assert _make(folder)[0] == MadeViews(1, 1, 0, 0, 0, ())


def test_a_memory_that_was_cut_keeps_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    memory = FailureMemory(path)
    failures = [Failure(f"{name}.mp4", name, None, {}, "TooLargeError", f"'{name}' \udcff") for name in "abc"]
    for failure in failures:
        memory.note(failure)
    path.write_bytes(path.read_bytes()[:-20])
    again = FailureMemory(path)
    assert [again.of(name) for name in "abc"] == [*failures[:2], None]
    again.note(failures[2])
    assert [FailureMemory(path).of(name) for name in "abc"] == failures


def test_a_deadline_that_was_missed_names_the_video_and_is_tried_again_by_the_next_run(folder: Path) -> None:
    for unreadable in ("a.mp4", "jump/z.avi"):  # told apart from a missed deadline only by who is quicker
        (folder / unreadable).unlink()
    hasty = replace(FLOW_ONLY, limits=MediaLimits(frame_timeout_s=1e-6))
    for _ in range(2):
        assert _make(folder, hasty) == (MadeViews(0, 0, 1, 0, 0, ()), ["sound.mp4"])
        assert _memory(folder)[0]["error"] == {
            "class": "TimedOutError",
            "message": "video 'sound.mp4': the decoder gave no new frame for 1e-06 s and was stopped",
        }
    assert _make(folder)[0] == MadeViews(1, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("kind", "may_pass"), [("TimedOutError", True), ("WorkerDiedError", True), ("UnreadableVideoError", False)]
)
def test_what_a_busy_machine_may_have_caused_does_not_count(kind: str, may_pass: bool) -> None:
    failure = Failure("a.mp4", "a", "9f", {"views": {}}, kind, "it failed")
    assert failure.is_of("9f", {"views": {}}) != may_pass
    assert not failure.is_of("9e", {"views": {}})
