"""The table of views."""

import numpy as np
import pytest

from cocon.core.errors import UsageError
from cocon.video.estimation.flow import flow_to_bytes
from cocon.video.views import DEFAULT_VIEWS, VIEWS, view_named


def test_the_table_has_the_views_with_their_channels() -> None:
    channels = {"rgb": 3, "flow": 2, "pose": 17, "mask": 1, "depth": 1}
    assert {view.name: view.channels for view in VIEWS.values()} == channels
    assert list(VIEWS) == [view.name for view in VIEWS.values()]


@pytest.mark.parametrize("name", VIEWS)
def test_mean_and_std_have_one_number_per_channel(name: str) -> None:
    view = VIEWS[name]
    assert len(view.mean) == len(view.std) == view.channels
    assert all(std > 0 for std in view.std)


def test_a_view_is_found_by_its_name_and_by_its_alias_in_the_papers_code() -> None:
    for view in VIEWS.values():
        assert view_named(view.name) is view
        assert view.alias is None or view_named(view.alias) is view
    assert view_named("kphm").name == "pose"


def test_an_unknown_view_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"view 'heat' is unknown.*rgb, flow, pose, mask"):
        view_named("heat")


def test_a_flow_of_zero_is_zero_after_normalisation() -> None:
    resting = flow_to_bytes(np.zeros((1, 2), np.float32)) / 255
    assert np.allclose(resting, VIEWS["flow"].mean, atol=1e-9)


def test_the_default_views_are_those_that_any_video_has() -> None:
    assert DEFAULT_VIEWS == ("rgb", "flow", "pose", "mask")
    assert [view.name for view in VIEWS.values() if not view.is_stored] == ["rgb"]
