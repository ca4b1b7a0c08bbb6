"""The street set: repeatable, balanced, blind to the label in appearance, as wide and as wrong as strangers' videos."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cocon.training.data.cli import app
from cocon.training.figures.figures import make_figures
from cocon.training.figures.filming import STORED_VIEWS, video_path
from cocon.training.figures.settings import StreetSettings
from cocon.training.figures.street.mistakes import see_person
from cocon.training.figures.street.movements import STREET_LABELS, move
from cocon.training.figures.street.painting import film_street
from cocon.training.figures.street.scenes import StreetPlan, plan_street, plan_street_video
from cocon.video.estimation.flow import FlowSpec
from cocon.video.making.job import Order, make_views_job
from cocon.video.making.recipe import Recipe, is_current
from cocon.video.store.dataset import content_sha256
from cocon.video.store.files import read_view

pytestmark = pytest.mark.training

SMALL = StreetSettings(num_videos=4, seconds=1.0, size_px=64, view_size_px=32)
LARGE = StreetSettings(num_videos=600)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("street")
    make_figures(root, SMALL, workers=1)
    return root


@pytest.fixture(scope="module")
def plans() -> list[StreetPlan]:
    return plan_street(LARGE)


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_settings_give_the_same_bytes_with_any_number_of_workers(small_set: Path, tmp_path: Path) -> None:
    make_figures(tmp_path / "again", SMALL, workers=2)
    digests = _digests(tmp_path / "again")
    assert digests == _digests(small_set)
    assert len(digests) == 4 * (1 + len(STORED_VIEWS)) + 2  # manifest.csv and generator.json


def test_flow_is_what_the_product_estimates_of_the_file(small_set: Path) -> None:
    spec = FlowSpec(size_px=SMALL.view_size_px)
    for number in range(2):
        path = video_path(small_set, f"street_{number:05d}")
        messages = list(make_views_job(lambda: None, Order(path, ("flow",), spec)))
        stored = read_view(small_set, "flow", path.stem)
        np.testing.assert_array_equal(stored.rows, np.concatenate([m.arrays["flow"] for m in messages[:-1]]))
        np.testing.assert_array_equal(stored.timestamps, np.concatenate([m.arrays["seconds"] for m in messages[:-1]]))
        wanted = Recipe(("flow",), spec).attributes("flow", content_sha256(path), None)
        assert is_current(small_set, "flow", path.stem, wanted)


def test_classes_are_balanced_in_each_split_and_people_in_one(plans: list[StreetPlan]) -> None:
    assert len(STREET_LABELS) == 30
    counts = Counter((plan.split, plan.label) for plan in plans)
    assert {count for (split, _), count in counts.items() if split == "train"} == {LARGE.num_train // 30}
    assert {count for (split, _), count in counts.items() if split == "test"} == {2}
    for facts in (lambda plan: plan.group, lambda plan: plan.place.identity):
        train, test = ({facts(plan) for plan in plans if plan.split == split} for split in ("train", "test"))
        assert not train & test


def test_label_reaches_nothing_but_the_movement() -> None:
    for index in (0, 3):
        videos = [plan_street_video(SMALL, index, label) for label in STREET_LABELS]
        assert len({replace(plan, label="") for plan in videos}) == 1


def test_ranges_are_those_of_strangers_videos(plans: list[StreetPlan]) -> None:
    heights = np.array([plan.people[0].height for plan in plans])
    assert heights.min() < 0.18 and heights.max() > 0.98
    assert 0.05 < (heights < 0.4).mean() < 0.3
    assert {round(plan.width_px / plan.height_px, 1) for plan in plans} == {1.8, 1.3, 1.0, 0.6}
    assert {12, 30, 60} <= {plan.frames_per_second for plan in plans}
    lasting = [plan.num_frames / plan.frames_per_second for plan in plans]
    assert min(lasting) > 1.9 and max(lasting) < 6.1 and 2.5 < np.mean(lasting) < 3.5
    assert 0.15 < np.mean([plan.recorder.light == "dark" for plan in plans]) < 0.25
    assert 0.2 < np.mean([len(plan.people) == 2 for plan in plans]) < 0.4
    yaws = [plan.people[0].yaw_degrees for plan in plans]
    assert np.histogram(yaws, bins=6, range=(-180, 180))[0].min() > 20


def test_nobody_is_found_in_a_quarter_of_the_videos_and_in_more_dark_ones(plans: list[StreetPlan]) -> None:
    absent = {light: [not plan.is_found for plan in plans if plan.recorder.light == light] for light in ("day", "dark")}
    assert 0.17 < np.mean([not plan.is_found for plan in plans]) < 0.33
    assert np.mean(absent["dark"]) > 3 * np.mean(absent["day"])


def test_key_points_are_the_farther_off_the_darker_it_is(plans: list[StreetPlan]) -> None:
    errors: dict[str, list[float]] = {"day": [], "dark": []}
    for plan in plans[:120]:
        if plan.recorder.light in errors and plan.is_found:
            exact, _ = film_street(plan)
            seen = see_person(plan, exact)
            off = np.linalg.norm(seen.keypoints[..., :2] - exact.keypoints, axis=-1)[seen.is_found]
            if len(off):
                errors[plan.recorder.light].append(float(np.median(off) / plan.height_px))
            assert not seen.keypoints[~seen.is_found].any()
    assert 0 < np.median(errors["day"]) < 0.5 * np.median(errors["dark"]) < 0.05


def test_mask_is_empty_where_nobody_is_found(small_set: Path) -> None:
    plans = plan_street(SMALL)
    assert any(plan.is_found for plan in plans)
    for plan in plans:
        pose, mask = (read_view(small_set, view, plan.video_id) for view in ("pose", "mask"))
        is_found = pose.rows.any(axis=(1, 2, 3))
        assert not mask.rows[~is_found].any()
        assert pose.attributes["num_frames_with_person"] == is_found.sum()


def test_movements_that_happen_once_end_where_they_should(plans: list[StreetPlan]) -> None:
    seconds, timing = np.arange(150) / 30, replace(plans[0].people[0].timing, is_mirrored=False)
    moves = {label: move(label, timing, 0.5, 0.2, seconds) for label in STREET_LABELS}
    assert moves["fall"].tilt[0] == 0 and moves["fall"].tilt[-1] > 80
    assert moves["turn"].heading[-1] - moves["turn"].heading[0] > 80
    assert np.diff(moves["run through"].forward).min() > np.diff(moves["walk through"].forward).max() > 0
    np.testing.assert_allclose(moves["sit down"].angles[-1], moves["sit"].angles[-1], atol=12)
    np.testing.assert_allclose(moves["stand up"].angles[-1], moves["stand"].angles[-1], atol=12)


def test_command_makes_it_and_refuses_untrimmed_ones(tmp_path: Path) -> None:
    given = ["make", "--for", "transfer", "--output", str(tmp_path / "street"), "--size", "64", "--view-size", "32"]
    result = CliRunner().invoke(app, [*given, "--videos", "2", "--seconds", "1", "--workers", "1", "--quiet"])
    assert result.exit_code == 0, result.output
    assert "made 2 videos" in result.output
    refused = CliRunner().invoke(app, [*given, "--untrimmed"])
    assert "--for transfer" in str(refused.exception)
