"""Where a user's view of a video is found."""

from pathlib import Path

import pytest

from cocon.video.own_views.lookup import user_view_path


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@pytest.mark.parametrize(
    ("name", "views"),
    [
        ("a.json", {"pose"}),
        ("jump__a.mp4.json", {"pose"}),
        ("a/", {"mask", "flow"}),
        ("jump__a.mp4/", {"mask", "flow"}),
        ("a.npy", {"flow"}),
        ("jump__a.mp4.npz", {"flow"}),
        ("a.avi", {"mask"}),
        ("jump__a.mp4", {"mask"}),
        ("jump__a.mp4.mkv", {"mask"}),
        ("a", set()),
        ("a.txt", set()),
        ("ab.json", set()),
        ("a.json/", set()),
        ("b/a.json", set()),
    ],
)
def test_a_view_is_called_like_the_video_with_an_ending_of_its_own(name: str, views: set[str], tmp_path: Path) -> None:
    _touch(tmp_path, name)
    for view in ("pose", "mask", "flow"):
        expected = tmp_path / name if view in views else None
        assert user_view_path(tmp_path, "jump__a.mp4", "a", view=view) == expected


def test_the_id_goes_before_the_files_name(tmp_path: Path) -> None:
    _touch(tmp_path, "a.npy", "jump__a.mp4.npz", "jump__b.mp4.npz")
    assert user_view_path(tmp_path, "jump__a.mp4", "a", view="flow") == tmp_path / "jump__a.mp4.npz"
    assert user_view_path(tmp_path, "run__a.mp4", "a", view="flow") == tmp_path / "a.npy"


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert user_view_path(tmp_path / "none", "a.mp4", "a", view="mask") is None
    assert user_view_path(tmp_path, "a.mp4", "a", view="mask") is None
