"""Names that somebody may have meant."""

from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.core.paths import check_folder
from cocon.core.texts.likely_names import did_you_mean, did_you_mean_path
from cocon.video.views import view_named


def test_the_name_that_is_most_like_it_is_offered() -> None:
    assert did_you_mean("figurs", ("paper", "figures", "figure_skating")) == "; did you mean 'figures'?"
    assert did_you_mean("none", ("paper", "figures")) == ""
    assert did_you_mean("a\nb", ("a\nc",)) == "; did you mean 'a\\x0ac'?"


def test_a_path_is_compared_with_what_lies_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    assert did_you_mean_path(tmp_path / "defualt") == f"; did you mean '{tmp_path / 'default'}'?"
    assert did_you_mean_path(tmp_path / "default") == ""
    assert did_you_mean_path(tmp_path / "absent" / "default") == ""
    assert did_you_mean_path(tmp_path / "x\0y") == ""


def test_folders_and_views_are_offered(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    with pytest.raises(UsageError, match=f"no folder; name one; did you mean '{tmp_path / 'videos'}'"):
        check_folder(tmp_path / "vidoes", "--data", remedy="name one")
    with pytest.raises(UsageError, match=r"view 'flwo' is unknown; known views: .*; did you mean 'flow'"):
        view_named("flwo")
