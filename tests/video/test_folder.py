"""Dataset folders: manifests as people write them, and folders without one."""

from pathlib import Path

import pytest

from cocon.video.errors import UsageError
from cocon.video.folder import DatasetFolder, VideoEntry, entry_of


def _open(root: Path, manifest: str, encoding: str = "utf-8") -> DatasetFolder:
    (root / "manifest.csv").write_text(manifest, encoding=encoding)
    return DatasetFolder.open(root)


def test_a_manifest_gives_every_field(tmp_path: Path) -> None:
    dataset = _open(tmp_path, "video_id,path,label,group,split\nv1,a/b.mp4,jump, ann ,train\nv2,/abs/c.avi,,,test\n")
    assert dataset.videos == (
        VideoEntry("v1", tmp_path / "a/b.mp4", "jump", "ann", "train"),
        VideoEntry("v2", Path("/abs/c.avi"), "", "", "test"),
    )


def test_a_path_is_all_that_a_manifest_needs(tmp_path: Path) -> None:
    dataset = _open(tmp_path, "path\nclips/one.mp4\nclips/two.mp4\n")
    assert [video.video_id for video in dataset.videos] == ["one", "two"]
    assert dataset.labels == ()


def test_a_manifest_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    dataset = _open(tmp_path, 'path,label\r\none.mp4,"jump, high"\r\nzwei.mp4,hüpfen\r\n', encoding="utf-8-sig")
    assert [video.label for video in dataset.videos] == ["jump, high", "hüpfen"]


def test_columns_that_nobody_asked_for_are_ignored(tmp_path: Path) -> None:
    dataset = _open(tmp_path, "camera,path,label\nleft,one.mp4,jump,more,and more\nright,two.mp4\n")
    assert [(video.video_id, video.label) for video in dataset.videos] == [("one", "jump"), ("two", "")]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("video_id,label\nv,jump\n", "has no column 'path'; its columns: video_id, label"),
        ("", "has no column 'path'"),
        ("path\n", "has no videos"),
        ("path,label\na.mp4,x\n,y\n", "line 3: path is empty"),
        ("video_id,path\nv,a.mp4\nv,b.mp4\n", "has video_id 'v' twice"),
        ("path\na/one.mp4\nb/one.mp4\n", "has video_id 'one' twice"),
        ("video_id,path\na/b,c.mp4\n", "line 2: video_id 'a/b' must not contain a path separator"),
        ("video_id,path\n../b,c.mp4\n", "line 2: video_id '../b' must not contain a path separator"),
    ],
)
def test_a_wrong_manifest_is_refused_and_the_place_named(manifest: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _open(tmp_path, manifest)
    assert message in str(caught.value)


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"manifest\.csv' cannot be read as UTF-8"):
        _open(tmp_path, "path,label\na.mp4,hüpfen\n", encoding="latin-1")


def test_without_a_manifest_sub_folders_are_labels(tmp_path: Path) -> None:
    for name in ("run/b.mp4", "jump/a.AVI", "jump/a.txt", "c.webm", "deep/er/d.mkv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    videos = DatasetFolder.open(tmp_path).videos
    assert [(video.video_id, video.label) for video in videos] == [
        ("c", ""),
        ("deep__er__d", "er"),
        ("jump__a", "jump"),
        ("run__b", "run"),
    ]


def test_two_files_that_would_share_their_views_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "a.avi").touch()
    with pytest.raises(UsageError, match="has video_id 'a' twice"):
        DatasetFolder.open(tmp_path)


def test_a_folder_that_is_missing_or_empty_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist; make one with 'cocon data make"):
        DatasetFolder.open(tmp_path / "none")
    with pytest.raises(UsageError, match="has no videos"):
        DatasetFolder.open(tmp_path)


def test_splits_and_the_labels_of_the_training_split(tmp_path: Path) -> None:
    dataset = _open(tmp_path, "path,label,split\na.mp4,run,train\nb.mp4,bow,test\nc.mp4,jump,train\nd.mp4,,train\n")
    assert [video.video_id for video in dataset.split("train")] == ["a", "c", "d"]
    assert [video.video_id for video in dataset.split("test")] == ["b"]
    assert dataset.split("validation") == ()
    assert dataset.labels == ("jump", "run")


def test_without_splits_every_video_is_for_training(tmp_path: Path) -> None:
    dataset = _open(tmp_path, "path\na.mp4\nb.mp4\n")
    assert len(dataset.split("train")) == 2
    assert dataset.split("test") == ()


def test_the_nearest_manifest_decides_a_videos_id_and_label(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    video = tmp_path / "deep" / "a.mp4"
    video.touch()
    (tmp_path / "manifest.csv").write_text("video_id,path,label\nv1,deep/a.mp4,wave\n")
    root, entry = entry_of(video)
    assert (root, entry.video_id, entry.label) == (tmp_path.resolve(), "v1", "wave")
    (tmp_path / "manifest.csv").write_text("video_id,path,label\nv2,deep/b.mp4,wave\n")
    assert entry_of(video)[1].video_id == "a"


def test_a_broken_manifest_costs_labels_and_not_the_video(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.touch()
    (tmp_path / "manifest.csv").write_text("name\nwave\n")
    assert entry_of(video)[1].label == ""
