"""Whether a run follows people: its views, its geometry, its contract."""

import pytest

from cocon.core.errors import UsageError
from cocon.training.config.files import load_config
from cocon.training.data.preparation.configured import configured_views
from cocon.video.following.rule import Following


def test_runs_follow_nobody_by_default() -> None:
    config = load_config("figures", [])
    assert {config.geometry(view).following for view in config.views} == {None}


def test_views_of_a_run_follow_in_one_way() -> None:
    config = load_config("figures", ["following.by=mask", "following.margin=0.5"])
    assert {config.geometry(view).following for view in config.views} == {Following("mask", margin=0.5)}


def test_some_views_may_follow_alone() -> None:
    settings = ["views=['rgb', 'flow']", "following.by=pose", "following.views=['imgs']"]
    config = load_config("figures", settings)
    assert (config.geometry("rgb").following, config.geometry("flow").following) == (Following(), None)
    assert set(configured_views("figures", None, settings)) == {"rgb", "flow", "pose"}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("following.by=depth", "following.by"),
        ("following.margin=-1", "following.margin"),
        ("following.smoothing_seconds=9", "following.smoothing_seconds"),
        ("following.views=['depth']", "following.views names depth"),
        ("following.colour=1", "following.colour"),
    ],
)
def test_values_that_make_no_sense_are_refused(setting: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        load_config("figures", ["views=['rgb', 'flow']", "following.by=pose", setting])
