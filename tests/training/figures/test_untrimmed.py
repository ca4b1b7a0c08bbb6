"""Untrimmed videos: actions and pauses as annotated, smooth between them, repeatable; the trimmed set knows nothing."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cocon.core.errors import UsageError
from cocon.embedding.locating.proposals import Segment, uniform_proposals
from cocon.training.annotations.activitynet import read_activitynet
from cocon.training.data.cli import app
from cocon.training.evaluation.locating.figures import average_recall
from cocon.training.figures.actions import JOINTS, LABELS, REST, joint_angles, mirror_angles
from cocon.training.figures.figures import make_figures
from cocon.training.figures.filming import STORED_VIEWS
from cocon.training.figures.performance import TRANSITION_SECONDS, perform
from cocon.training.figures.planning import VideoPlan, plan_videos
from cocon.training.figures.settings import FigureSettings, UntrimmedSettings
from cocon.training.figures.untrimmed import plan_untrimmed_videos
from cocon.video.decoding.frames import read_frames
from cocon.video.store.files import read_view

pytestmark = pytest.mark.training

SMALL = UntrimmedSettings(num_videos=2, seconds=4.0, size_px=32, view_size_px=16)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing may write here."""
    root = tmp_path_factory.mktemp("untrimmed")
    make_figures(root, SMALL, workers=1)
    return root


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return plan_untrimmed_videos(UntrimmedSettings())


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_settings_give_the_same_bytes_with_any_number_of_workers(small_set: Path, tmp_path: Path) -> None:
    make_figures(tmp_path, SMALL, workers=2)
    digests = _digests(tmp_path)
    assert digests == _digests(small_set)
    assert len(digests) == 2 * (1 + len(STORED_VIEWS)) + 3
    assert {"manifest.csv", "annotations.json", "generator.json"} < set(digests)


def test_annotations_say_what_the_videos_show(small_set: Path) -> None:
    videos = read_activitynet(small_set)
    assert [video.subset for video in videos] == ["training", "validation"]
    for video, plan in zip(videos, plan_untrimmed_videos(SMALL), strict=True):
        assert plan.script is not None
        assert [(s.start_seconds, s.end_seconds, s.label) for s in video.segments] == [
            (act.start_seconds, act.end_seconds, act.label) for act in plan.script.acts
        ]
        assert video.duration_seconds == pytest.approx(plan.num_frames / 30, abs=0.001)
        assert sum(1 for _ in read_frames(video.path)) == plan.num_frames
        assert {len(read_view(small_set, view, video.video_id).timestamps) for view in STORED_VIEWS} == {
            plan.num_frames
        }
    with (small_set / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["split"], row["label"]) for row in rows] == [("train", ""), ("test", "")]
    assert rows[0]["group"] != rows[1]["group"]


def test_default_videos_have_two_to_five_actions_with_pauses(plans: list[VideoPlan]) -> None:
    assert len(plans) == 60
    assert {len(plan.script.acts) for plan in plans if plan.script} == {2, 3, 4, 5}
    for plan in plans:
        assert plan.script is not None
        duration = plan.num_frames / 30
        assert 8 - 1 / 30 <= duration <= 25
        edges = [0, *(edge for act in plan.script.acts for edge in (act.start_seconds, act.end_seconds)), duration]
        assert min(after - before for before, after in pairwise(edges)) > TRANSITION_SECONDS
        assert all(before.label != after.label for before, after in pairwise(plan.script.acts))
        assert all(0.5 <= act.num_cycles / (act.end_seconds - act.start_seconds) <= 1 for act in plan.script.acts)


def test_classes_are_balanced_and_nobody_is_in_both_subsets(plans: list[VideoPlan]) -> None:
    for split in ("train", "test"):
        counts = Counter(act.label for plan in plans if plan.split == split and plan.script for act in plan.script.acts)
        assert set(counts) == set(LABELS)
        assert max(counts.values()) - min(counts.values()) <= 1
    train, test = ({plan.body for plan in plans if plan.split == split} for split in ("train", "test"))
    assert not train & test
    train_places, test_places = (
        {plan.background for plan in plans if plan.split == split} for split in ("train", "test")
    )
    assert not train_places & test_places
    trimmed = {plan.body.proportions for plan in plan_videos(FigureSettings())}
    assert not trimmed & {plan.body.proportions for plan in plans}


def test_segments_that_know_nothing_of_the_video_reach_the_documented_figures(plans: list[VideoPlan]) -> None:
    truths = {
        plan.video_id: [Segment(act.start_seconds, act.end_seconds) for act in plan.script.acts]
        for plan in plans
        if plan.split == "test" and plan.script
    }
    acts = [act for plan in plans if plan.split == "train" and plan.script for act in plan.script.acts]
    lengths = [act.end_seconds - act.start_seconds for act in acts]
    limits = {"min_seconds": 0.9 * min(lengths), "max_seconds": 1.1 * max(lengths)}
    uniform = {plan.video_id: uniform_proposals(plan.num_frames / 30, 100, **limits) for plan in plans}
    curve = average_recall(uniform, truths)
    figures = [round(figure, 1) for figure in (curve.at(1), curve.at(10), curve.at(100), curve.auc)]
    assert figures == [1.1, 51.1, 77.8, 68.2]  # as docs/datasets.md says


def test_figure_does_the_action_where_it_is_annotated_and_stands_elsewhere(plans: list[VideoPlan]) -> None:
    for plan in plans[:12]:
        assert plan.script is not None
        seconds = np.arange(plan.num_frames) / 30
        angles = perform(plan, seconds)
        unrest = 3 * np.abs(plan.timing.unrest_degrees).max()
        is_pause = np.ones(len(seconds), bool)
        for act in plan.script.acts:
            margin = TRANSITION_SECONDS / 2
            is_pause &= (seconds < act.start_seconds - margin) | (seconds > act.end_seconds + margin)
            inside = (seconds > act.start_seconds + margin) & (seconds < act.end_seconds - margin)
            share = (seconds[inside] - act.start_seconds) / (act.end_seconds - act.start_seconds)
            done = joint_angles(act.label, act.num_cycles * share)
            done = REST + plan.timing.amplitude * (done - REST)
            done = mirror_angles(done) if act.is_mirrored else done
            assert np.abs((angles[inside] - done + 180) % 360 - 180).max() < unrest, act.label
        idle = np.abs(angles[is_pause] - REST)
        assert idle.max() < 25
        assert np.ptp(angles[is_pause], axis=0).max() > 1  # never a statue


def test_actions_begin_and_end_smoothly(plans: list[VideoPlan]) -> None:
    """No joint jumps, and none turns back the rounds that it went: an arm would pass 2 degrees in a millisecond."""
    hop = JOINTS.index("hop")
    for plan in plans[:20]:
        assert plan.script is not None
        angles = np.delete(perform(plan, np.arange(0, plan.num_frames / 30, 0.001)), hop, axis=1)
        steps = (np.diff(angles, axis=0) + 180) % 360 - 180
        assert np.abs(steps).max() < 1.7


def test_deleted_files_are_made_again_and_nothing_else(small_set: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_set, tmp_path / "copy"))
    (root / "annotations.json").unlink()
    assert make_figures(root, SMALL, workers=1).num_made == 0
    assert _digests(root) == _digests(small_set)
    (root / "generator.json").rename(root / "generator.unfinished.json")
    (root / "views/flow/figure_00001.npz").unlink()
    assert make_figures(root, SMALL, workers=1).num_made == 1
    assert _digests(root) == _digests(small_set)


def test_a_trimmed_set_is_replaced_on_request_only_and_the_other_way_round(small_set: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_set, tmp_path / "copy"))
    trimmed = FigureSettings(num_videos=2, seconds=0.2, size_px=32, view_size_px=16)
    with pytest.raises(UsageError, match="generator is untrimmed figures, not figures"):
        make_figures(root, trimmed)
    make_figures(root, trimmed, workers=1, overwrite=True)
    assert not (root / "annotations.json").exists()
    assert json.loads((root / "generator.json").read_text())["generator"] == "figures"
    with pytest.raises(UsageError, match="generator is figures, not untrimmed figures"):
        make_figures(root, SMALL)


@pytest.mark.parametrize(("name", "value"), [("num_videos", 1), ("seconds", 3.9), ("seconds", 33.0), ("size_px", 33)])
def test_settings_name_the_value_that_breaks_a_rule(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"{name} \({value}\) must be"):
        UntrimmedSettings(**{name: value})  # type: ignore[arg-type]  # the rules are what is tested


def test_command_knows_untrimmed_sets(small_set: Path) -> None:
    options = ["--untrimmed", "--num-videos", "2", "--seconds", "4", "--size", "32", "--view-size", "16"]
    result = CliRunner().invoke(app, ["make", "--output", str(small_set), *options])
    assert result.exit_code == 0
    assert result.stdout == f"{small_set} is complete: 2 videos\n"
