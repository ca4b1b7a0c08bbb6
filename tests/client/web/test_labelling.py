"""Labels, groups, the map and alignments, as the page asks for them."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cocon.client import VideoIndex
from tests.client.web.server import WebServer


@pytest.fixture(scope="module")
def labelled(indexed: Path, url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebServer, Path]]:
    """A server whose index may be changed, and the index."""
    folder = tmp_path_factory.mktemp("labelled") / "index"
    shutil.copytree(indexed / "index", folder)
    with WebServer(folder, url, folder.parent) as server:
        server.wait_ready()
        yield server, folder


def label_of(server: WebServer, video_id: int) -> str | None:
    (video,) = server.get(f"/api/videos?id={video_id}").json["videos"]
    label: str | None = video["label"]
    return label


def test_labels_of_one_of_many_and_of_parts(labelled: tuple[WebServer, Path]) -> None:
    server, folder = labelled
    label = "jump <b>'\""
    assert server.post("/api/labels", {"videos": [{"video_id": 1}], "label": label}).json == {"labelled": 1}
    assert label_of(server, 1) == label
    part = {"video_id": 2, "start_seconds": 0.5, "end_seconds": 1.25}
    both = {"videos": [{"video_id": 3}, part], "label": "run"}
    assert server.post("/api/labels", both).json == {"labelled": 2}
    (video,) = server.get("/api/videos?id=2").json["videos"]
    assert (video["label"], video["moments"]) == ("left", [{"start_seconds": 0.5, "end_seconds": 1.25, "label": "run"}])
    facts = server.get("/api/index").json
    assert "moments" not in facts["metadata_keys"]
    assert {"label": "run", "count": 2} in facts["labels"]
    assert facts["num_labelled"] == facts["num_places"]
    hit = server.post("/api/search", {"query": {"video_id": 1}, "filters": {"labels": ["run"]}}).json["hits"][0]
    assert hit["video_id"] in (2, 3)
    assert [video.label for video in VideoIndex(folder).videos()][:3] == [label, "left", "run"]
    assert server.post("/api/labels", {"videos": [{"video_id": 1}], "label": ""}).json == {"labelled": 1}
    assert label_of(server, 1) is None


def test_what_cannot_be_labelled_changes_nothing(labelled: tuple[WebServer, Path]) -> None:
    server, _ = labelled
    before = server.get("/api/videos").json
    for wrong, status in (
        ({"videos": [{"video_id": 4}, {"video_id": 99}], "label": "x"}, 404),
        ({"videos": [{"video_id": 4}], "label": "a\nb"}, 400),
        ({"videos": [{"video_id": 4}], "label": "a" * 500}, 400),
        ({"videos": [{"video_id": 4}]}, 400),
        ({"videos": [], "label": "x"}, 400),
        ({"videos": [{"video_id": 4}, {"video_id": 5, "start_seconds": 99}], "label": "x"}, 400),
    ):
        answer = server.post("/api/labels", wrong)
        assert answer.status == status, wrong
        assert answer.error["message"]
    assert server.get("/api/videos").json == before


def test_groups_and_suggestions_are_videos(labelled: tuple[WebServer, Path]) -> None:
    server, _ = labelled
    groups = server.post("/api/clusters", {"count": 2}).json["clusters"]
    assert sorted(each for group in groups for each in group["video_ids"]) == [1, 2, 3, 4, 5, 6]
    assert groups[0]["num_videos"] == len(groups[0]["video_ids"])
    assert groups[0]["typical"][0]["video_id"] == groups[0]["video_ids"][0]
    server.post("/api/labels", {"videos": [{"video_id": 5}, {"video_id": 6}], "label": ""})
    found = server.get("/api/suggestions?budget=5").json["videos"]
    assert {5, 6} <= {video["video_id"] for video in found}
    assert all(video["reason"] for video in found)
    for wrong in ("0", "201", "x"):
        assert server.get(f"/api/suggestions?budget={wrong}").status == 400
    assert server.post("/api/clusters", {"count": 0}).status == 400


def test_two_videos_are_laid_beside_each_other(labelled: tuple[WebServer, Path], indexed: Path) -> None:
    server, _ = labelled
    picture = server.post("/api/alignment", {"query": {"video_id": 1}, "video_id": 2})
    assert (picture.status, picture.headers["content-type"], picture.body[:4]) == (200, "image/png", b"\x89PNG")
    upload = server.post("/api/uploads", (indexed / "videos/left/v0.mp4").read_bytes(), X_File_Name="mine.mp4").json
    asked = {"query": {"upload_id": upload["upload_id"], "start_seconds": 0.4, "end_seconds": 1.6}, "video_id": 3}
    assert server.post("/api/alignment", asked).body[:4] == b"\x89PNG"
    assert server.post("/api/alignment", {"query": {"video_id": 1}, "video_id": 99}).status == 404


def test_a_map_is_laid_out_once_and_shows_every_clip(labelled: tuple[WebServer, Path]) -> None:
    server, folder = labelled
    assert (server.get("/api/map").status, server.get("/api/map/points").status) == (404, 404)
    assert server.post("/api/map", {}).status == 202
    assert server.post("/api/map", {}).json == {"map": "computing"}
    assert server.post("/api/search", {"query": {"video_id": 1}}).status == 200, "others are answered meanwhile"
    for _ in range(1200):
        if (found := server.get("/api/index").json)["map"] != "computing":
            break
        time.sleep(0.1)
    assert (found["map"], found["map_message"]) == ("ready", "")
    facts = server.get("/api/map?clusters=2").json
    assert (facts["num_points"], len(facts["clusters"])) == (30, 2)
    points = server.get("/api/map/points?clusters=2").body
    assert len(points) == 30 * 20
    x, y, video_ids, clips = (
        np.frombuffer(points, kind, 30, 120 * n) for n, kind in enumerate(("<f4", "<f4", "<i4", "<i4"))
    )
    codes, groups = (np.frombuffer(points, "<i2", 30, begin) for begin in (480, 540))
    assert np.abs(np.stack([x, y])).max() <= 1
    assert sorted(zip(video_ids.tolist(), clips.tolist(), strict=True)) == [
        (v, c) for v in range(1, 7) for c in range(5)
    ]
    labels = {video.video_id: video.label for video in VideoIndex(folder).videos() if not video.moments}
    shown = [None if code < 0 else facts["labels"][code] for code in codes]
    for video_id, label in zip(video_ids.tolist(), shown, strict=True):
        assert label == labels.get(video_id, label)
    assert set(groups.tolist()) == {0, 1}
    part = {"videos": [{"video_id": 1, "start_seconds": 0.0, "end_seconds": 0.4}], "label": "turn"}
    assert server.post("/api/labels", part).json == {"labelled": 1}
    shown = server.get("/api/map?clusters=2").json["labels"]
    codes = np.frombuffer(server.get("/api/map/points?clusters=2").body, "<i2", 30, 480)
    turns = [
        (v, c)
        for v, c, code in zip(video_ids.tolist(), clips.tolist(), codes, strict=True)
        if code == shown.index("turn")
    ]
    assert turns == [(1, 0)], "a clip has the label of the part that it lies in"


@pytest.mark.slow
def test_an_index_in_milvus_is_shown_like_a_folder(indexed: Path, url: str, tmp_path: Path, shown: WebServer) -> None:
    name = f"milvus:{tmp_path / 'index.db'}/videos"
    command = [sys.executable, "-m", "cocon.client", "index", "copy", str(indexed / "index"), name]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    query = {"query": {"video_id": 1}, "top": 3}
    with WebServer(name, url, tmp_path) as server:
        server.wait_ready()
        assert server.get("/api/videos?text=right").json == shown.get("/api/videos?text=right").json
        found, expected = (each.post("/api/search", query).json for each in (server, shown))
        assert (found["hits"], found["classes"]) == (expected["hits"], expected["classes"])
        assert server.get("/media/videos/1").body == shown.get("/media/videos/1").body
        assert server.post("/api/alignment", {"query": {"video_id": 1}, "video_id": 2}).status == 200
        assert server.post("/api/labels", {"videos": [{"video_id": 1}], "label": "x"}).status == 200
