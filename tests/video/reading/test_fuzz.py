"""Files damaged at random: each ends as clips or as one error, and nothing is left behind."""

import os
from collections import Counter
from pathlib import Path

import pytest

import cocon.core.errors
from cocon.core.errors import VideoError
from cocon.video.decoding.limits import MediaLimits
from cocon.video.workers.pool import WorkerPool
from tests.video.endings import CLIPS, ending_of
from tests.video.mutations import MUTATIONS, mutated_files
from tests.video.processes import children_of
from tests.video.seed_videos import NUM_FRAMES, SEEDS, write_seeds

pytestmark = pytest.mark.videos


# docs/results/robustness.py reads many more.
@pytest.mark.parametrize(("seed", "rounds"), [(11, 2), pytest.param(12, 20, marks=pytest.mark.slow)])
def test_damaged_files_end_as_clips_or_as_one_error(
    seed: int, rounds: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    num_files = rounds * len(SEEDS)
    before = children_of(os.getpid())
    files = list(mutated_files(tmp_path, num_files, seed))
    capfd.readouterr()
    with WorkerPool(MediaLimits(frame_timeout_s=5)) as pool:
        endings = [ending_of(pool, path) for path in files]
        assert len(children_of(os.getpid()) - before) <= 1
    kinds = Counter(ending.kind for ending in endings)
    assert kinds.total() == num_files
    assert 0 < kinds[CLIPS] < num_files, "some files must still decode, and some must not"
    for kind in kinds.keys() - {CLIPS}:
        assert issubclass(getattr(cocon.core.errors, kind), VideoError)
    surprises = [ending.message for ending in endings if "reading failed with" in ending.message]
    assert surprises == [], "errors that nobody meant"
    assert children_of(os.getpid()) <= before
    assert capfd.readouterr() == ("", "")


def test_every_sound_file_gives_all_its_clips(tmp_path: Path) -> None:
    with WorkerPool(MediaLimits(frame_timeout_s=20)) as pool:
        endings = {name: ending_of(pool, path) for name, path in write_seeds(tmp_path).items()}
    # The spec of `ending_of` takes clips of 0.4 s from 24 frames at 25 per second.
    assert NUM_FRAMES == 24
    assert {name: (ending.kind, ending.num_clips, ending.message) for name, ending in endings.items()} == dict.fromkeys(
        SEEDS, (CLIPS, 3, "")
    )


def test_the_same_seed_makes_the_same_files_and_none_is_sound(tmp_path: Path) -> None:
    files = [list(mutated_files(tmp_path / folder, len(MUTATIONS) + 6, 5)) for folder in ("a", "b")]
    for first, second in zip(*files, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()
    sound = {path.read_bytes() for path in (tmp_path / "a" / "sound").iterdir()}
    num_unchanged = sum(path.read_bytes() in sound for path in files[0])
    assert num_unchanged <= 1  # a stretch may be empty, or zeros already
    assert all(any(mutation in path.name for path in files[0]) for mutation in MUTATIONS)
