"""What the page asks about an index, and what it is told."""

from pathlib import Path

from cocon.client import Query, VideoIndex
from tests.client.web.server import WebServer


def test_an_index_says_what_it_holds(shown: WebServer) -> None:
    found = shown.wait_ready()
    assert (found["name"], found["views"], found["embedding_dim"]) == ("index", ["rgb"], 8)
    assert (found["num_videos"], found["num_clips"], found["has_labels"]) == (6, 30, True)
    assert found["labels"] == [{"label": "left", "count": 3}, {"label": "right", "count": 3}]
    assert found["limits"]["max_upload_bytes"] > 0


def test_videos_come_in_pages_and_by_filters(shown: WebServer) -> None:
    every = shown.get("/api/videos").json
    assert every["total"] == 6
    assert [video["name"] for video in every["videos"]] == [f"v{number}.mp4" for number in range(6)]
    page = shown.get("/api/videos?top=2&offset=3").json
    assert (page["total"], [video["video_id"] for video in page["videos"]]) == (6, [4, 5])
    assert shown.get("/api/videos?offset=1e300").json == {"total": 6, "videos": []}
    assert [v["name"] for v in shown.get("/api/videos?label=right&text=V4").json["videos"]] == ["v4.mp4"]
    assert shown.get("/api/videos?text=LEFT/v").json["total"] == 3
    assert shown.get("/api/videos?not_label=left&not_label=right").json == {"total": 0, "videos": []}
    for wrong in ("top=x", "offset=-1", "from_s=nan", "where=take", "from_s=2&to_s=1", "path="):
        answer = shown.get(f"/api/videos?{wrong}")
        assert (answer.status, answer.error["class"]) == (400, "UsageError"), wrong


def test_videos_and_moments_are_had_by_their_numbers(shown: WebServer, indexed: Path) -> None:
    named = shown.get("/api/videos?id=5&id=2&id=99&id=5").json
    assert (named["total"], [video["video_id"] for video in named["videos"]]) == (2, [5, 2])
    moment = shown.get("/api/moments?video_id=3&clip=2").json["moment"]
    spans = VideoIndex(indexed / "index").example(3).spans
    assert spans is not None
    assert [moment["start_seconds"], moment["end_seconds"]] == spans[2].tolist()
    assert (moment["video_id"], moment["clip"], moment["name"]) == (3, 2, "v2.mp4")
    for asked, status in (
        ("video_id=3&clip=5", 404),
        ("video_id=99&clip=0", 400),
        ("video_id=x&clip=0", 400),
        ("clip=0", 400),
    ):
        assert shown.get(f"/api/moments?{asked}").status == status, asked


def test_a_stored_video_asks_as_in_a_program(shown: WebServer, indexed: Path) -> None:
    answer = shown.post("/api/search", {"query": {"video_id": 1}, "top": 3}).json
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert 1 not in [hit["video_id"] for hit in answer["hits"]], "it does not find itself"
    index = VideoIndex(indexed / "index")
    expected = index.search(Query.of(index.example(1)), top=3, exclude_self=True)
    told = ("path", "start_seconds", "end_seconds", "score", "label")
    assert [[hit[name] for name in told] for hit in answer["hits"]] == [
        [hit.video, hit.start_seconds, hit.end_seconds, hit.score, hit.label] for hit in expected
    ]
    assert answer["query"]["name"] == "v0.mp4"
    itself = shown.post("/api/search", {"query": {"video_id": 1}, "top": 1, "exclude_self": False}).json["hits"]
    assert (itself[0]["video_id"], itself[0]["name"]) == (1, "v0.mp4")


def test_a_part_of_a_video_asks_with_its_clips_alone(shown: WebServer) -> None:
    part = {"video_id": 1, "start_seconds": 0.8, "end_seconds": 1.2}
    for hit in shown.post("/api/search", {"query": part, "all_moments": True}).json["hits"]:
        assert (hit["query_start_seconds"], hit["query_end_seconds"]) == (0.8, 1.2)


def test_filters_and_examples_hold(shown: WebServer) -> None:
    asked = {"query": {"video_id": 1}, "liked": [{"video_id": 2}], "unliked": [{"video_id": 6}]}
    found = shown.post("/api/search", asked | {"filters": {"labels": ["right"]}}).json["hits"]
    assert found
    assert {hit["label"] for hit in found} == {"right"}


def test_what_no_page_asks_is_refused_in_a_sentence(shown: WebServer) -> None:
    query = {"video_id": 1}
    for wrong in (
        b"no json",
        b"[" * 100_000,
        [1],
        {},
        {"query": 3},
        {"query": {"video_id": "1"}},
        {"query": {"video_id": True}},
        {"query": {"video_id": 10**30}},
        {"query": query | {"start_seconds": 1, "end_seconds": 1}},
        {"query": query | {"start_seconds": -1}},
        {"query": query | {"start_seconds": 99}},
        {"query": query | {"end_seconds": 10**400}},
        b'{"query": {"video_id": 1, "start_seconds": NaN}}',
        {"query": query, "top": 0},
        {"query": query, "top": 10**9},
        {"query": query, "liked": [query] * 51},
        {"query": query, "filters": {"labels": "left"}},
        {"query": query, "filters": {"where": ["take"]}},
        {"query": query, "filters": {"where": ["take=1"] * 2_000}},
        {"query": query, "filters": {"paths": ["a"] * 2_000}},
        {"query": query, "filters": {"from_seconds": 10**400}},
        b'{"query": {"video_id": 1}, "filters": {"labels": ["\\ud800"]}}',
    ):
        answer = shown.post("/api/search", wrong)
        assert answer.status == 400, wrong
        assert answer.error["message"], wrong
    assert shown.post("/api/search", {"query": {"video_id": 99}}).status == 404
    assert shown.post("/api/search", {"query": query, "liked": ["x" * 9_000_000]}).status == 413
