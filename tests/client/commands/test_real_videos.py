"""The whole command on real files, sound and broken; `make test-videos` runs it on the folder COCON_TEST_VIDEOS names.

The folder's `expected.csv` has a line per file: path, frames_decodable (by an independent decoder; 0 for a file without
any), exact (1 if that number is certain), width, height, pyav_error (what stopped that decoder, if anything did).
"""

import csv
import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cocon.video.decoding.frames import read_frames
from tests.client.conftest import contract, make_repository

pytestmark = [pytest.mark.real_videos, pytest.mark.timeout(900)]

VIEWS = ("rgb", "flow", "pose", "mask")
ERRORS = {"UnreadableVideoError", "NoVideoStreamError"}
# Flipped bits that the independent decoder reads over.
SILENTLY_DAMAGED = {"derived/bitflips.mkv"}


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of `expected.csv`."""

    num_frames: int
    is_exact: bool
    is_damaged: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What one `client embed` over all files gave: path → rows, path → error, and how it ended."""

    rows: dict[str, list[dict[str, Any]]]
    errors: dict[str, list[dict[str, str]]]
    code: int
    stderr: str


@pytest.fixture(scope="module")
def expected(real_videos: Path) -> dict[str, Expected]:
    with (real_videos / "expected.csv").open() as lines:
        return {
            row["path"]: Expected(
                int(row["frames_decodable"]),
                row["exact"] == "1",
                bool(row["pyav_error"]) or row["path"] in SILENTLY_DAMAGED,
            )
            for row in csv.DictReader(lines)
        }


@pytest.fixture(scope="module", params=["rgb", "all"])
def run(
    request: pytest.FixtureRequest,
    real_videos: Path,
    expected: dict[str, Expected],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    root = tmp_path_factory.mktemp("real")
    repository = make_repository(root / "models", *(contract(view, weights=view) for view in VIEWS))
    (root / "list.txt").write_text("".join(f"{real_videos / path}\n" for path in expected))
    options = ["--view", request.param, "--format", "jsonl", "--url", f"local:{repository}"]
    begin = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "cocon.client", "embed", "@list.txt", *options],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=800,
        check=False,
    )
    print(f"client embed --view {request.param}: {len(expected)} files in {time.monotonic() - begin:.1f} s")
    rows, errors = defaultdict(list), defaultdict(list)
    for row in map(json.loads, ended.stdout.splitlines()):
        path = Path(row["video"]).relative_to(real_videos).as_posix()
        if "error" in row:
            errors[path].append(row["error"])
        else:
            rows[path].append(row)
    return Run(dict(rows), dict(errors), ended.returncode, ended.stderr)


def test_every_file_with_pictures_gives_rows_and_every_other_one_error(run: Run, expected: dict[str, Expected]) -> None:
    assert set(run.rows) == {path for path, facts in expected.items() if facts.num_frames}
    assert set(run.errors) == {path for path, facts in expected.items() if not facts.num_frames}
    assert {path: len(errors) for path, errors in run.errors.items() if len(errors) > 1} == {}
    assert {error["class"] for errors in run.errors.values() for error in errors} <= ERRORS
    for path in ("derived/audio_only.mp3", "derived/audio_only.mp4"):
        assert run.errors[path][0]["class"] == "NoVideoStreamError"


def test_the_command_ends_with_3_and_says_one_line_per_failed_file(run: Run) -> None:
    assert run.code == 3
    assert "Traceback" not in run.stderr
    failed = [line for line in run.stderr.splitlines() if line.startswith("failed: ")]
    assert len(failed) == len(run.errors)


def test_the_frames_that_were_read_are_those_that_are_there(run: Run, expected: dict[str, Expected]) -> None:
    found = {path: rows[0]["num_frames"] for path, rows in run.rows.items()}
    exact = {path: facts.num_frames for path, facts in expected.items() if facts.is_exact}
    assert {path: found[path] for path in exact} == exact
    assert min(found.values()) > 0


def test_rows_are_finite_numbered_and_of_unit_length(run: Run) -> None:
    for path, rows in run.rows.items():
        assert [row["clip"] for row in rows] == list(range(len(rows))), path
        assert all(0 <= row["start_seconds"] < row["end_seconds"] for row in rows), path
        lengths = np.linalg.norm([row["embedding"] for row in rows], axis=1)
        np.testing.assert_allclose(lengths, 1.0, atol=1e-4, err_msg=path)


def test_damaged_files_are_marked_and_only_those(run: Run, expected: dict[str, Expected]) -> None:
    marked = {path for path, rows in run.rows.items() if any(row["truncated"] for row in rows)}
    damaged = {path for path, facts in expected.items() if facts.num_frames and facts.is_damaged}
    assert marked == damaged


def _raw_pictures(path: Path) -> tuple[list[NDArray[np.uint8]], int]:
    """Pictures as they are stored, and the display rotation beside them, in degrees counter-clockwise."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.video[0]))
    return [frame.to_ndarray(format="rgb24") for frame in frames], frames[0].rotation


@pytest.mark.parametrize(("degrees", "rotation"), [(0, 0), (90, -90), (180, -180), (270, 90)])
def test_rotated_videos_are_their_stored_pictures_turned(real_videos: Path, degrees: int, rotation: int) -> None:
    path = real_videos / f"decord/video_{degrees}.mov"
    stored, found_rotation = _raw_pictures(path)
    assert found_rotation == rotation
    upright = [pixels for _, pixels in read_frames(path)]
    assert len(upright) == len(stored) == 3
    for pixels, raw in zip(upright, stored, strict=True):
        turned = np.rot90(raw, rotation // 90)
        assert pixels.shape == turned.shape
        assert np.abs(pixels.astype(int) - turned).mean() < 3


@pytest.mark.parametrize(("first", "second"), [(0, 90), (90, 180)])
def test_a_camera_held_in_different_ways_shows_one_keyboard_upright(real_videos: Path, first: int, second: int) -> None:
    """These films show overlapping parts of one keyboard: what they share is not turned from one to the other.

    The fourth, held at 270 degrees, shows the palm rest, and two keys are too few to tell by.
    """
    import cv2

    sift = cv2.SIFT_create()
    pictures = [next(iter(read_frames(real_videos / f"decord/video_{degrees}.mov")))[1] for degrees in (first, second)]
    (points_a, marks_a), (points_b, marks_b) = (sift.detectAndCompute(pixels, None) for pixels in pictures)
    pairs = [
        near for near, far in cv2.BFMatcher().knnMatch(marks_a, marks_b, k=2) if near.distance < 0.75 * far.distance
    ]
    cv2.setRNGSeed(0)
    motion, inliers = cv2.estimateAffinePartial2D(
        np.array([points_a[pair.queryIdx].pt for pair in pairs]),
        np.array([points_b[pair.trainIdx].pt for pair in pairs]),
        ransacReprojThreshold=4,
    )
    assert inliers.sum() >= 8
    assert 0.5 < np.hypot(motion[0, 0], motion[1, 0]) < 1.5
    assert abs(np.degrees(np.arctan2(motion[1, 0], motion[0, 0]))) < 30
