import pytest

from cocon.client.index.search.hits import Hit, check_grouping
from cocon.core.errors import UsageError


def test_a_row_has_every_field_and_paths_as_they_are_printed() -> None:
    row = Hit(1, "/v/a\udcff.mp4", 0.0, 1.0, 0.5, "jump", 7, 2, 1, ("/v/b\udcff.mp4",)).row()
    assert row["video"] == r"/v/a\xff.mp4" and row["also"] == [r"/v/b\xff.mp4"]
    assert (row["video_id"], row["clip"], row["query_clip"]) == (7, 2, 1)


@pytest.mark.parametrize("typo", ["videos", "Video", "", "a\nb"])
def test_a_grouping_that_is_none_is_refused_with_the_choices(typo: str) -> None:
    check_grouping("moment")
    with pytest.raises(UsageError, match=r"must be one of video, moment$") as refused:
        check_grouping(typo)
    assert "\n" not in str(refused.value)
