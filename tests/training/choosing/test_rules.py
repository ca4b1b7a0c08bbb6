"""What is chosen: as large, as long and from what videos and machine suggest, and nothing that is set already."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from cocon.training.choosing.choice import Machine
from cocon.training.choosing.rules import choose, views_of
from cocon.training.choosing.starting_points import StartingPoint, best_start
from cocon.training.choosing.survey import DataSurvey, PeopleSeen
from cocon.training.config.files import AUTO, load_config, set_keys
from cocon.training.config.run import Config
from cocon.training.data.stretches.cutting import EntryLength
from cocon.video.estimation.flow import FlowSpec

PACKED = Path(__file__).parents[3] / "pretrained"
LAPTOP = Machine(has_gpu=False, cores=2)


def _survey(
    num_videos: int = 40,
    seconds: float = 4.0,
    *,
    rate: float = 30.0,
    shape: tuple[int, int] = (480, 640),
    people: PeopleSeen | None = None,
) -> DataSurvey:
    stored = {"flow": 0.0, "pose": 1.0 if people else 0.0, "mask": 1.0 if people else 0.0, "depth": 0.0}
    lengths = (EntryLength(seconds, rate, shape),) * num_videos
    return DataSurvey(num_videos, lengths, 4, can_judge=True, stored=stored, people=people)


def _chosen(
    survey: DataSurvey,
    *overrides: str,
    machine: Machine = LAPTOP,
    start: StartingPoint | None = None,
    stored_flow: FlowSpec | None = None,
) -> tuple[Config, list[str]]:
    base = load_config(AUTO, overrides)
    choice = choose(survey, machine, start, base, set_keys(overrides), stored_flow=stored_flow)
    return load_config(AUTO, [*choice.settings, *overrides]), choice.lines


def test_of_encoders_alike_those_are_started_from_that_have_seen_most_videos(tmp_path: Path) -> None:
    for name, num_videos in (("a", 480), ("b", 2400), ("c", 30)):
        run = tmp_path / name
        shutil.copytree(PACKED / "figures-tiny", run)
        (run / "complete.json").write_text(json.dumps({"videos": num_videos}))
    start = best_start(tmp_path, ("rgb", "flow"), 4)
    assert start is not None and (start.run.name, start.num_videos) == ("b", 2400)


@pytest.mark.parametrize(
    ("num_videos", "seconds", "steps"),
    [(40, 3.0, 300), (40, 60.0, 930), (431, 3.0, 390), (20000, 3.0, 3000)],
)
def test_few_videos_are_trained_on_as_long_as_it_takes_and_many_no_longer_than_that(
    num_videos: int, seconds: float, steps: int
) -> None:
    config, lines = _chosen(_survey(num_videos, seconds))
    assert config.training.num_steps(1) == steps == config.training.steps
    assert (config.training.clips_per_video, config.training.least_steps) == ("auto", 300)
    assert config.training.early_stop == 3
    assert lines[-1].startswith(f"{steps} steps of 16 clips: the footage once is ")


@pytest.mark.parametrize(("height", "side_px"), [(0.9, 48), (0.6, 48), (0.46, 64)])
def test_pictures_are_as_large_as_people_in_them_need(height: float, side_px: int) -> None:
    config, lines = _chosen(_survey(people=PeopleSeen("pose", 0.9, height)))
    assert {config.geometry(view).crop_px for view in config.views} == {side_px}
    assert any(f"pictures of {side_px} px: people take {height:.0%} of their height" in line for line in lines)
    assert config.following.by == "none"
    assert config.geometry("rgb").resize_px == pytest.approx(side_px * 8 / 7, abs=2)


def test_pictures_are_no_larger_than_those_of_the_videos_and_larger_on_a_gpu() -> None:
    gpu = Machine(has_gpu=True, cores=8)
    assert _chosen(_survey(shape=(50, 96)))[0].geometry("rgb").crop_px == 48
    config, _ = _chosen(_survey(200), machine=gpu)
    assert config.geometry("rgb").crop_px == 112
    assert (config.model.depth, config.model.width, config.training.batch_size) == ("resnet18", 64, 32)


@pytest.mark.parametrize("settings", [(), ("following.by=none",)])
def test_small_people_are_followed_unless_that_is_set(settings: tuple[str, ...]) -> None:
    config, lines = _chosen(_survey(people=PeopleSeen("mask", 0.8, 0.2)), *settings)
    assert config.following.by == ("none" if settings else "mask")
    assert config.geometry("rgb").crop_px == (96 if settings else 48)
    assert any("looks at the window around people (mask), 20% of" in line for line in lines) is not bool(settings)


@pytest.mark.parametrize(
    ("seconds", "rate", "num_blocks", "step_s"),
    [
        (4.0, 30.0, 6, 1 / 15),
        (20.0, 30.0, 6, 0.1),
        (1.4, 30.0, 5, 1 / 15),
        (0.8, 30.0, 4, 0.05),
        (4.0, 12.0, 6, 1 / 12),
    ],
)
def test_clips_fit_into_the_videos_and_their_steps_are_no_shorter_than_a_frames(
    seconds: float, rate: float, num_blocks: int, step_s: float
) -> None:
    clip = _chosen(_survey(seconds=seconds, rate=rate))[0].clip
    assert (clip.num_blocks, clip.step_seconds) == (num_blocks, pytest.approx(step_s))


@pytest.mark.parametrize(("num_videos", "batch_size"), [(40, 16), (20, 14), (6, 4), (2, 2)])
def test_a_batch_holds_fewer_clips_than_there_are_videos(num_videos: int, batch_size: int) -> None:
    assert _chosen(_survey(num_videos))[0].training.batch_size == batch_size


def test_what_is_set_is_neither_chosen_nor_told() -> None:
    settings = ("training.steps=20", "training.batch_size=4", "view.rgb.crop_px=40", "clip={num_blocks=4}")
    config, lines = _chosen(_survey(), *settings, "model.width=8", "model.depth=resnet18")
    assert (config.training.steps, config.training.batch_size, config.training.least_steps) == (20, 4, 0)
    assert (config.geometry("rgb").crop_px, config.geometry("flow").crop_px) == (40, 64)
    assert (config.clip.num_blocks, config.model.width, config.model.depth) == (4, 8, "resnet18")
    assert [line.partition(" ")[0] for line in lines] == ["pictures"]


def test_what_is_set_is_counted_with_and_told_beside_what_is_chosen() -> None:
    config, lines = _chosen(_survey(), "model.width=8", "clip.step_seconds=0.05", "training.clips_per_video=1")
    assert (config.model.width, config.clip.step_seconds, config.training.steps) == (8, 0.05, 300)
    assert "networks from nothing, resnet10 of width 8, for 2 cores" in lines
    assert lines[0].startswith("clips of 1.2 s, 6 blocks of 4 frames 0.050 s apart: ")
    assert "the footage once is 2 steps" in lines[-1]


def test_a_run_that_is_named_for_one_view_is_no_start_of_the_others() -> None:
    start = best_start(PACKED, ("rgb",), 4)
    assert start is not None
    config, lines = _chosen(_survey(), f"training.init_from_of.rgb={start.run}", start=start)
    assert config.training.init_from is None and not any("starts from" in line for line in lines)


def test_flow_is_what_is_stored_and_the_other_methods_keep_their_clips() -> None:
    stored = FlowSpec(0.1, "farneback", 80)
    assert _chosen(_survey(), stored_flow=stored)[0].flow_spec("flow") == stored
    vicc, _ = _chosen(_survey(), "method=vicc", "views=['rgb', 'flow']")
    assert vicc.clip == load_config("people", ["method=vicc", "views=['rgb', 'flow']"]).clip


def test_encoders_that_lie_here_are_started_from_with_their_clips_and_pictures() -> None:
    start = best_start(PACKED, ("rgb", "flow", "pose", "mask"), 4)
    assert start is not None and set(start.contracts) == {"rgb", "flow", "pose", "mask"}
    config, lines = _chosen(_survey(seconds=20.0), start=start)
    assert config.training.init_from == start.run
    assert config.clip.spec() == start.contracts["rgb"].clip
    assert config.flow_spec("flow") == start.contracts["flow"].flow
    widths = "rgb of width 16 (768 numbers a clip), flow of width 32 (512 numbers a clip), pose of width 16 (768"
    assert any(f"/people': {widths}" in line for line in lines)
    assert _chosen(_survey(), "training.probe_every_epochs=0")[0].training.early_stop == 0
    named, lines = _chosen(_survey(), "training.init_from=elsewhere", start=start)
    assert named.training.init_from == Path("elsewhere") and not any("starts from" in line for line in lines)


def test_runs_whose_encoders_see_other_blocks_are_not_started_from(tmp_path: Path) -> None:
    assert best_start(tmp_path / "none", ("rgb",), 4) is None
    assert best_start(PACKED, ("rgb",), 5) is None
    assert best_start(PACKED, ("depth",), 4) is None
    (tmp_path / "runs" / "broken" / "views" / "rgb").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "views" / "rgb" / "contract.json").write_text("{")
    assert best_start(tmp_path / "runs", ("rgb",), 4) is None


@pytest.mark.parametrize(
    ("people", "is_made_here", "taken", "why"),
    [
        (None, False, ["rgb", "flow"], ["pose, mask (not stored)"]),
        (None, True, ["rgb", "flow", "pose", "mask"], []),
        (PeopleSeen("pose", 0.9, 0.5), False, ["rgb", "flow", "pose", "mask"], []),
        (PeopleSeen("pose", 0.35, 0.5), False, ["rgb", "flow"], ["pose, mask (nobody is seen in 65% of the videos)"]),
    ],
)
def test_views_are_those_that_are_to_be_had_and_show_somebody(
    people: PeopleSeen | None, is_made_here: bool, taken: Sequence[str], why: Sequence[str]
) -> None:
    asked = ("rgb", "flow", "pose", "mask", "depth")
    assert views_of(_survey(people=people), asked, 0.95, is_made_here=is_made_here) == (taken, why)
