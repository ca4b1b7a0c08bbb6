"""Dataset folders: manifests as people write them, and folders without one."""

import hashlib
import math
import re
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.video.store.dataset import DatasetFolder, VideoEntry, content_sha256


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
    dataset = _open(tmp_path, "camera,path,label\nleft,one.mp4,jump\nright,two.mp4\n")
    assert [(video.video_id, video.label) for video in dataset.videos] == [("one", "jump"), ("two", "")]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("video_id,label\nv,jump\n", "has no column 'path'; its columns: video_id, label"),
        ("", "has no column 'path'"),
        ("path\n", "has no videos"),
        ("path,label\na.mp4,x\n,y\n", "line 3: path is empty"),
        (
            "path,label\na.mp4,x\nb.mp4,y, z\n",
            "line 3 has 3 fields, the header 2 columns; put a field that has a comma",
        ),
        ("path,label\na.mp4,x,\n", "line 2 has 3 fields"),
        ("path,label, path\na.mp4,x,b.mp4\n", "has the column 'path' twice"),
        ('path,label\n"a\nb.mp4",x\n"c.mp4,y\nd.mp4,z\n', "line 4 cannot be read as text with commas: unexpected end"),
        ("video_id,path\nv,a.mp4\nv,b.mp4\n", "has video_id 'v' twice"),
        ("path\na/one.mp4\nb/one.mp4\n", "has video_id 'one' twice"),
        ("video_id,path\na/b,c.mp4\n", "line 2: video_id 'a/b' must not contain a path separator"),
        ("video_id,path\n../b,c.mp4\n", "line 2: video_id '../b' must not contain a path separator"),
        (f"video_id,path\n{'ü' * 101},c.mp4\n", "is longer than 200 bytes"),
    ],
)
def test_a_wrong_manifest_is_refused_and_the_place_named(manifest: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _open(tmp_path, manifest)
    assert message in str(caught.value)


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"manifest\.csv' line 2 is not UTF-8 \(byte 0xfc\); save it as UTF-8"):
        _open(tmp_path, "path,label\na.mp4,hüpfen\n", encoding="latin-1")


def test_without_a_manifest_sub_folders_are_labels(tmp_path: Path) -> None:
    for name in ("run/b.mp4", "jump/a.AVI", "jump/a.txt", "c.webm", "deep/er/d.mkv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    videos = DatasetFolder.open(tmp_path).videos
    assert [(video.video_id, video.label) for video in videos] == [
        ("c.webm", ""),
        ("deep__er__d.mkv", "er"),
        ("jump__a.AVI", "jump"),
        ("run__b.mp4", "run"),
    ]


def test_two_files_that_would_share_their_views_are_refused_and_both_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.mp4", "a.avi", "sub__a.mp4"):
        (tmp_path / name).touch()
    assert [video.video_id for video in DatasetFolder.open(tmp_path).videos] == ["a.avi", "a.mp4", "sub__a.mp4"]
    (tmp_path / "sub" / "a.mp4").touch()
    with pytest.raises(UsageError) as caught:
        DatasetFolder.open(tmp_path)
    for part in ("has video_id 'sub__a.mp4' twice", f"'{tmp_path}/sub/a.mp4'", f"'{tmp_path}/sub__a.mp4'"):
        assert part in str(caught.value)


def test_a_path_too_long_for_a_file_name_gets_a_short_id_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*("ü" * 40 for _ in range(4)))
    deep.mkdir(parents=True)
    names = ["a.mp4", "b.mp4", "ö" * 110 + ".mp4"]
    for name in names:
        (deep / name).touch()
    ids = [video.video_id for video in DatasetFolder.open(tmp_path).videos]
    assert len(set(ids)) == 3
    assert [video_id[-6:] for video_id in ids] == ["_a.mp4", "_b.mp4", "öö.mp4"]
    assert max(len(video_id.encode()) for video_id in ids) <= 200


def test_a_folder_that_is_missing_or_empty_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist or is no folder; name a folder of videos, or make one"):
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


def test_a_file_in_the_place_of_a_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UsageError, match=r"a\.mp4' is a file; name the folder"):
        DatasetFolder.open(tmp_path / "a.mp4")


def test_equal_bytes_have_one_identity_whatever_they_are_called(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    names = ("a.mp4", "b.avi")
    for name in names:
        (tmp_path / name).write_bytes(content)
    assert {content_sha256(tmp_path / name) for name in names} == {hashlib.sha256(content).hexdigest()}
    (tmp_path / "b.avi").write_bytes(content + b"\0")
    assert content_sha256(tmp_path / "b.avi") != content_sha256(tmp_path / "a.mp4")


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        content_sha256(tmp_path / "a.mp4")


def test_folders_of_splits_are_splits_and_the_folders_below_classes(tmp_path: Path) -> None:
    names = ("train/jump/a.mp4", "train/run/day 1/b.mp4", "Validation/jump/c.mp4", "dev/d.mp4", "test/run/e.mp4")
    for name in (*names, "views/flow/f.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    dataset = DatasetFolder.open(tmp_path)
    assert {video.video_id: (video.label, video.split) for video in dataset.videos} == {
        "train__jump__a.mp4": ("jump", "train"),
        "train__run__day 1__b.mp4": ("run", "train"),
        "Validation__jump__c.mp4": ("jump", "val"),
        "dev__d.mp4": ("", "val"),
        "test__run__e.mp4": ("run", "test"),
    }
    assert dataset.labels == ("jump", "run")
    assert dataset.layout.splits == f"'{tmp_path}' is split by its folders: 2 train, 2 val, 1 test"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("train/jump/a.mp4", "run/b.mp4"), "has folders of splits (1 train) and 1 videos beside them, such as 'run/b"),
        (("train/a.mp4", "test/b.mp4", "c.mp4"), "(1 train, 1 test) and 1 videos beside them, such as 'c.mp4'"),
        (("jump/train/a.mp4", "jump/test/b.mp4"), "has a folder called 'test' further down ('jump/test/b.mp4')"),
    ],
)
def test_folders_that_leave_splits_open_are_refused_where_splits_matter(
    names: tuple[str, ...], problem: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    dataset = DatasetFolder.open(tmp_path)  # its views can be made
    assert len(dataset.videos) == len(names)
    with pytest.raises(UsageError) as caught:
        dataset.split("train")
    assert problem in str(caught.value)
    assert f"say it in {tmp_path}/manifest.csv (path,label,split)" in str(caught.value)
    rows = "".join(f"{name},jump,train\n" for name in names)
    assert len(_open(tmp_path, f"video_id,path,label,split\n{rows}".replace("video_id,", "")).split("train")) == len(
        names
    )


def test_rows_with_seconds_are_parts_that_share_group_and_store(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "video_id,path,label,start_seconds,end_seconds\nv,a.mp4,jump,,2.5\nv,a.mp4,run,2.5,\nw,b.mp4,run,,\n"
        "v,a.mp4,fall,0.1234567,1\n"
    )
    dataset = DatasetFolder.open(tmp_path)
    assert [video.video_id for video in dataset.videos] == ["v#-2.5", "v#2.5-", "w", "v#0.123457-1"]
    assert [(video.start_seconds, video.end_seconds) for video in dataset.videos[:3]] == [
        (0.0, 2.5),
        (2.5, math.inf),
        (0.0, math.inf),
    ]
    assert [video.store_id for video in dataset.videos] == ["v", "v", "w", "v"]
    assert [video.group for video in dataset.videos] == ["v", "v", "", "v"]
    assert "start_seconds" not in dataset.videos[0].columns
    whole = dataset.of_whole_videos()
    assert [(video.video_id, video.label, video.is_part) for video in whole.videos] == [
        ("v", "", False),
        ("w", "run", False),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.mp4,x,2,1", "end_seconds (1) must be greater than start_seconds (2)"),
        ("a.mp4,x,-1,2", "start_seconds ('-1') must be seconds from 0"),
        ("a.mp4,x,nan,2", "start_seconds ('nan')"),
        ("a.mp4,x,1,inf", "end_seconds ('inf')"),
        ("a.mp4,x,1:05,", "start_seconds ('1:05')"),
        ("a.mp4,x,1,2\na.mp4,y,1,2", "video_id 'a#1-2' twice"),
        ("x/a.mp4,x,1,2\ny/a.mp4,y,3,4", "video_id 'a' for parts of"),
    ],
)
def test_parts_that_mean_nothing_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(f"path,label,start_seconds,end_seconds\n{rows}\n")
    with pytest.raises(UsageError, match=re.escape(message)):
        DatasetFolder.open(tmp_path)
