"""`--preset auto`: looks at the videos, says what it chose, writes it into the run, and does not choose again."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cocon.training.choosing.configuration import chosen_settings
from cocon.training.choosing.survey import survey_of
from cocon.training.config.files import load_config, path_setting
from cocon.training.config.learning_sections import TrainingSection
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder

Outcome = tuple[int, str, str]
TINY = [
    "model.width=4",
    "model.depth=resnet10",
    "training.steps=2",
    "training.precision=32-true",
    "classifier.head=none",
]


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no packed encoders lie."""
    monkeypatch.chdir(tmp_path)


def test_a_survey_finds_lengths_labels_stored_views_and_how_large_people_are(figures: Path) -> None:
    survey = survey_of(DatasetFolder.open(figures), ("rgb", "flow", "pose", "mask"), TrainingSection())
    assert str(survey) == "6 videos of 1 s, 48 × 48 at 30 frames/s, 6 labels"
    assert survey.stored == {"flow": 1.0, "pose": 1.0, "mask": 1.0}
    assert survey.people is not None and survey.people.share == 1.0
    assert 0.3 < survey.people.height < 0.9
    assert not survey.can_judge


def test_a_training_says_what_it_chose_and_goes_on_without_choosing_again(
    cocon: Callable[..., Outcome], figures_copy: Path, tmp_path: Path
) -> None:
    run, settings = tmp_path / "run", [part for setting in TINY for part in ("--set", setting)]
    arguments = ("train", "--data", figures_copy, "--output", run, *settings)
    code, output, errors = cocon(*arguments)
    assert (code, output) == (0, f"{run} trained cocon encoders of rgb, flow, pose, mask\n")
    told = [line for line in errors.splitlines() if line.startswith("auto: ")]
    assert told[:2] == [
        "auto: 6 videos of 1 s, 48 × 48 at 30 frames/s, 6 labels", "auto: views rgb, flow, pose, mask"
    ]  # fmt: skip
    assert re.fullmatch(r"auto: clips of 1 s, 4 blocks of 4 frames \S+ s apart: .* shorter than 1 s", told[2])
    assert re.fullmatch(r"auto: pictures of 48 px: people take \d+% of their height, .*", told[3])
    assert len(told) == 4
    config = RunFolder.open(run).config
    assert (config.clip.num_blocks, config.training.batch_size, config.training.steps) == (4, 4, 2)
    assert config.flow.size_px == 32  # as it is stored
    shutil.rmtree(figures_copy / "views" / "pose")  # who chose now would choose otherwise
    assert cocon(*arguments) == (0, f"{run} is complete already: cocon encoders of rgb, flow, pose, mask\n", "")
    assert cocon("train", "--data", figures_copy, "--output", run)[0] == 0
    code, _, errors = cocon(*arguments, "--set", "training.seed=5")
    assert code == 2 and "training.seed is 0, asked for 5" in errors


def test_what_lies_here_is_started_from_unless_a_network_is_set(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    folder = path_setting("data.folder", figures)
    assert load_config("auto", chosen_settings([folder])[0]).training.init_from == Path("pretrained/people")
    own = [folder, "model.width=8"]
    assert load_config("auto", [*chosen_settings(own)[0], *own]).training.init_from is None


def test_without_views_of_people_it_says_how_they_are_made(figures_copy: Path) -> None:
    shutil.rmtree(figures_copy / "views")
    settings, lines = chosen_settings([path_setting("data.folder", figures_copy)])
    assert load_config("auto", settings).views == ("rgb", "flow")
    assert lines[1] == (
        "views rgb, flow, without pose, mask (not stored); where people are to be seen: "
        f"cocon views make {figures_copy} --preset auto"
    )
    assert load_config("auto", chosen_settings(["views=['rgb']", f"data.folder='{figures_copy}'"])[0]).model.width == 16
