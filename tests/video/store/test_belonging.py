"""To which dataset folder a video belongs, and what it is labelled there."""

from pathlib import Path

import pytest

from cocon.video.store.belonging import entry_of, label_of
from cocon.video.store.dataset import DatasetFolder, VideoEntry


def test_the_nearest_manifest_decides_a_videos_id_and_label(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    video = tmp_path / "deep" / "a.mp4"
    video.touch()
    (tmp_path / "manifest.csv").write_text("video_id,path,label\nv1,deep/a.mp4,wave\n")
    root, entry = entry_of(video)
    assert (root, entry.video_id, entry.label) == (tmp_path.resolve(), "v1", "wave")
    (tmp_path / "manifest.csv").write_text("video_id,path,label\nv2,deep/b.mp4,wave\n")
    assert entry_of(video)[1].video_id == "a.mp4"


def _make_nested(root: Path) -> Path:
    video = root / "jump" / "day 1" / "a.mp4"
    video.parent.mkdir(parents=True)
    video.touch()
    return video


def test_a_video_has_the_same_id_alone_and_in_its_dataset(tmp_path: Path) -> None:
    video = _make_nested(tmp_path)
    assert entry_of(video)[:2] == (video.parent, VideoEntry("a.mp4", video))
    (tmp_path / "views").mkdir()
    (listed,) = DatasetFolder.open(tmp_path).videos
    root, entry = entry_of(video)
    assert (root, entry.video_id, entry.path) == (tmp_path, listed.video_id, listed.path)
    assert entry.video_id == "jump__day 1__a.mp4"


def test_the_nearest_store_above_a_video_is_its_own(tmp_path: Path) -> None:
    video = _make_nested(tmp_path)
    for folder in (tmp_path, tmp_path / "jump"):
        (folder / "views").mkdir()
    root, entry = entry_of(video)
    assert (root, entry.video_id) == (tmp_path / "jump", "day 1__a.mp4")


def test_a_link_belongs_where_it_lies_or_else_where_it_leads(tmp_path: Path) -> None:
    video = _make_nested(tmp_path / "data")
    linked = tmp_path / "links" / "b.mp4"
    linked.parent.mkdir()
    linked.symlink_to(video)
    (tmp_path / "data" / "views").mkdir()
    root, entry = entry_of(linked)
    assert (root, entry.video_id) == (tmp_path / "data", "jump__day 1__a.mp4")
    (tmp_path / "links" / "views").mkdir()
    root, entry = entry_of(linked)
    assert (root, entry.video_id) == (tmp_path / "links", "b.mp4")
    (tmp_path / "data" / "manifest.csv").write_text("video_id,path\nv1,jump/day 1/a.mp4\n")
    root, entry = entry_of(linked)
    assert (root, entry.video_id) == (tmp_path / "data", "v1")


def test_a_relative_path_is_found_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = _make_nested(tmp_path)
    (tmp_path / "views").mkdir()
    monkeypatch.chdir(tmp_path / "jump")
    root, entry = entry_of(Path("../jump/day 1/a.mp4"))
    assert (root, entry.video_id, entry.path) == (tmp_path, "jump__day 1__a.mp4", video)


def test_a_broken_manifest_costs_labels_and_not_the_video(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    (tmp_path / "manifest.csv").write_text("name\nwave\n")
    assert entry_of(video)[1].label == ""


def test_sub_folders_of_a_named_folder_are_labels_with_a_store_and_without(tmp_path: Path) -> None:
    labels = {
        "a.mp4": None,
        "jump/a.mp4": "jump",
        "deep/run/a.mp4": "run",
        "train/bow/a.mp4": "bow",
        "test/a.mp4": None,
    }
    videos = {tmp_path / name: label for name, label in labels.items()}
    for video in videos:
        video.parent.mkdir(parents=True, exist_ok=True)
        video.touch()
    assert {video: label_of(video, [tmp_path]) for video in videos} == videos
    assert label_of(tmp_path / "jump" / "a.mp4", [tmp_path, tmp_path / "jump"]) == "jump"
    assert [label_of(video) for video in videos] == [None] * 5
    (tmp_path / "views").mkdir()
    for folders in ([], [tmp_path], [tmp_path / "jump"]):
        assert {video: label_of(video, folders) for video in videos} == videos
    (tmp_path / "jump" / "views").mkdir()  # of that class alone
    assert label_of(tmp_path / "jump" / "a.mp4", [tmp_path]) == "jump"


def test_a_manifest_may_say_that_a_video_has_no_label(tmp_path: Path) -> None:
    video = _make_nested(tmp_path)
    (tmp_path / "manifest.csv").write_text("path,label\njump/day 1/a.mp4,\n")
    assert label_of(video, [tmp_path]) == ""


def test_parts_of_a_video_say_nothing_of_the_whole_but_where_its_views_are(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "video_id,path,label,start_seconds,end_seconds\na1,a.mp4,jump,1,2\na1,a.mp4,run,3,\nb1,b.mp4,run,1,2\nb1,b.mp4,walk,,\n"
    )
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    assert label_of(tmp_path / "a.mp4") is None
    assert label_of(tmp_path / "b.mp4") == "walk"
    assert [entry_of(tmp_path / name)[1].video_id for name in ("a.mp4", "b.mp4")] == ["a1", "b1"]
