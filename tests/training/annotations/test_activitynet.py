"""Annotations of untrimmed videos: read as ActivityNet writes them, damage named in one line."""

import json
import logging
from pathlib import Path

import pytest

from cocon.core.errors import UsageError
from cocon.embedding.locating.proposals import Segment
from cocon.training.annotations.activitynet import UntrimmedVideo, read_activitynet
from cocon.video.store.dataset import DatasetFolder

ARCHERY = {"segment": [3.5, 40.25], "label": "Archery"}
ENTRY = {"duration": 93.4, "subset": "training", "url": "https://…", "annotations": [ARCHERY]}


def _videos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _annotate(folder: Path, database: object, name: str = "annotations.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"version": "VERSION 1.3", "taxonomy": [], "database": database}))
    return folder / name


def test_videos_on_disk_get_their_actions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _videos(
        tmp_path / "videos", "train/v_abc.mp4", "Qx-1.mkv", "val/v_dEf.mp4.webm", "test/v__g.avi", "other.mp4"
    )
    bow = {"segment": [50, 60], "label": "Bow"}
    _annotate(
        tmp_path,
        {
            "abc": ENTRY | {"annotations": [bow, ARCHERY]},
            "v_Qx-1": ENTRY | {"subset": "validation"},
            "def": {"duration": 12, "subset": "validation", "annotations": []},
            "_g": {"duration": 8.5, "subset": "testing"},
            "gone": ENTRY,
        },
        "activity_net.v1-3.min.json",
    )
    with caplog.at_level(logging.WARNING):
        found = read_activitynet(folder)
    assert {(video.path.name, video.subset, video.duration_seconds, len(video.segments)) for video in found} == {
        ("v_abc.mp4", "training", 93.4, 2),
        ("Qx-1.mkv", "validation", 93.4, 1),
        ("v_dEf.mp4.webm", "validation", 12.0, 0),
        ("v__g.avi", "testing", 8.5, 0),
    }
    assert [video.video_id for video in found] == [
        video.video_id for video in DatasetFolder.open(folder).videos if video.path.name != "other.mp4"
    ]
    of_abc = next(video for video in found if video.path.name == "v_abc.mp4")
    assert of_abc.segments == (Segment(3.5, 40.25, label="Archery"), Segment(50, 60, label="Bow"))
    assert "1 of 5 videos of 'activitynet' are not on disk, such as 'training/gone'" in caplog.text
    assert "other.mp4" in caplog.text


def test_an_end_just_after_the_video_is_cut_and_a_segment_without_length_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _videos(tmp_path, "abc.mp4")
    segments = [[0, 0], [5, 10.9], [10.2, 10.5]]
    annotations = [{"segment": segment, "label": "Bow"} for segment in segments]
    elsewhere = _annotate(
        tmp_path / "lists", {"abc": {"duration": 10, "subset": "training", "annotations": annotations}}
    )
    with caplog.at_level(logging.WARNING):
        (video,) = read_activitynet(folder, elsewhere)
    assert video.segments == (Segment(5, 10, label="Bow"),)
    assert "2 of 3 segments" in caplog.text


def test_actions_behind_the_end_of_a_file_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    actions = (Segment(1, 4, label="Bow"), Segment(8, 20, label="Bow"), Segment(25, 29, label="Bow"))
    video = UntrimmedVideo("long.mp4", Path("long.mp4"), "training", 30.0, actions)
    with caplog.at_level(logging.WARNING):
        cut = video.cut(10.0)
    assert (cut.duration_seconds, cut.segments) == (10.0, (actions[0], Segment(8, 10, label="Bow")))
    (said,) = caplog.messages
    assert said.startswith("video 'long.mp4' ends at 10.0 s, its annotations at 29.0 s: 1 of 3 actions are left out")
    caplog.clear()
    assert cut.cut(10.0) is cut and video.cut(30.5) is video
    assert video.cut(28.5).segments[-1] == Segment(25, 28.5, label="Bow")  # as official segments do at times
    assert not caplog.messages


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"annotations": [ARCHERY, {"segment": [-1, 4], "label": "Bow"}]}, r"annotations 1 segment .*before 0"),
        ({"annotations": [{"segment": [4, 3.5], "label": "Bow"}]}, r"\[4, 3\.5\].*must not end before it begins"),
        ({"annotations": [{"segment": [4, 94.5], "label": "Bow"}]}, r"\[4\.0, 94\.5\] .* 1\.0 s after .*93\.4"),
        ({"annotations": [{"segment": [4], "label": "Bow"}]}, "annotations 0 segment"),
        ({"annotations": [{"segment": [4, float("nan")], "label": "Bow"}]}, "finite"),
        ({"annotations": [{"segment": ["4", "5"], "label": "Bow"}]}, r"segment 0 \(4\): .*number"),
        ({"annotations": [{"segment": [4, 5], "label": ""}]}, "annotations 0 label"),
        ({"annotations": [{"segment": [4, 5]}]}, "annotations 0 label: Field required"),
        ({"annotations": {}}, "annotations: .*array"),
        ({"subset": "train"}, r"subset \(train\): .*'training', 'validation' or 'testing'"),
        ({"duration": 0}, r"duration \(0\): .*greater than 0"),
        ({"duration": None}, "duration: .*number"),
    ],
)
def test_a_damaged_entry_is_named_with_the_rule(entry: dict[str, object], message: str, tmp_path: Path) -> None:
    folder = _videos(tmp_path, "abc.mp4")
    _annotate(folder, {"good": ENTRY, "v_abc": ENTRY | entry})
    with pytest.raises(UsageError, match=rf"annotations\.json': entry 'v_abc'.*{message}") as caught:
        read_activitynet(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_annotations_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    path = _annotate(_videos(tmp_path, "abc.mp4"), {"abc": ENTRY})
    path.write_text(path.read_text(), encoding=encoding)
    assert [video.video_id for video in read_activitynet(tmp_path)] == ["abc.mp4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"database": {},\n "x": "\xe9"}', "UTF-8"),
        (b"", "Invalid JSON"),
        (b'{"database": {', "Invalid JSON"),
        ("{".encode("utf-16"), "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "database: Field required"),
        (b'{"database": []}', "database"),
        (b'{"database": {"abc": 3}}', r"entry 'abc' \(3\)"),
    ],
)
def test_what_are_no_annotations_is_said_in_a_line(content: bytes, message: str, tmp_path: Path) -> None:
    folder = _videos(tmp_path, "abc.mp4")
    (folder / "annotations.json").write_bytes(content)
    with pytest.raises(UsageError, match=rf"annotations\.json'(:| line 2) .*{message}") as caught:
        read_activitynet(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_missing_annotations_and_videos_are_asked_for(tmp_path: Path) -> None:
    folder = _videos(tmp_path / "videos", "abc.mp4")
    with pytest.raises(UsageError, match="has no annotations"):
        read_activitynet(folder)
    with pytest.raises(UsageError, match=r"none\.json' cannot be read"):
        read_activitynet(folder, tmp_path / "none.json")
    with pytest.raises(UsageError, match="does not exist"):
        read_activitynet(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="none of the 1 videos"):
        read_activitynet(folder, _annotate(tmp_path, {"xyz": ENTRY}))
