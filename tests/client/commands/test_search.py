"""`client search` and the filters of `client index`, as a user calls them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cocon.client.commands.many_values import ManyValuesCommand, _repeated
from tests.client.conftest import Client, Finished, contract, make_repository, write_video

NOWHERE = ("--url", "local:nowhere")


@pytest.fixture
def folder(client: Client, tmp_path: Path, videos: list[Path]) -> Path:
    """An index of six videos with a manifest."""
    made = tmp_path / "videos"
    made.mkdir()
    for number, video in enumerate(videos):
        shutil.copy(video, made / f"v{number}.mp4")
    labels = ("jump", "jump", "run", "", "it's", "jump")
    lines = [f"v{n}.mp4,{label},{'left' if n % 2 else 'right'},{n}" for n, label in enumerate(labels)]
    (made / "manifest.csv").write_text("\n".join(["path,label,camera,take", *lines, ""]))
    assert client("index", "add", made, "-q").returncode == 0
    return made


def found(result: Finished) -> list[dict[str, object]]:
    assert result.returncode == 0, result.stderr
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def names(result: Finished) -> list[str]:
    return [Path(str(row["video"])).stem for row in found(result)]


def test_what_is_stored_and_vectors_ask_without_a_server(client: Client, tmp_path: Path, folder: Path) -> None:
    assert client("embed", folder / "v2.mp4", "--output", "rows.npz").returncode == 0
    np.save(tmp_path / "one.npy", np.load(tmp_path / "rows.npz")["embedding"][3])
    whole = found(client("search", "videos/v2.mp4", "--json", *NOWHERE))
    assert list(whole[0])[:6] == ["rank", "video", "start_seconds", "end_seconds", "score", "label"]
    assert (whole[0]["video"], whole[0]["label"], whole[0]["query"]) == (str(folder / "v2.mp4"), "run", "videos/v2.mp4")
    by_id = found(client("search", "id:3", "--json", *NOWHERE))
    by_vectors = found(client("search", "rows.npz", "--json", *NOWHERE))
    for rows in (by_id, by_vectors):
        assert [(row["video"], row["score"]) for row in rows] == [(row["video"], row["score"]) for row in whole]
    for query in ("id:3/3", "videos/v2.mp4#1.2-1.6", "id:3#1.2-1.6", "one.npy"):
        (best,) = found(client("search", query, "--top", "1", "--json", *NOWHERE))
        assert (best["video"], best["clip"], best["query_clip"]) == (str(folder / "v2.mp4"), 3, 0)
        assert best["query_start_seconds"] == (None if query == "one.npy" else 1.2)
    assert client("search", "videos/v2.mp4", "--strict", *NOWHERE).returncode == 2
    write_video(folder / "v2.mp4", seed=70)
    assert client("search", "videos/v2.mp4", *NOWHERE).returncode == 2, "it has changed"
    (folder / "v2.mp4").unlink()
    gone = client("search", "@list", *NOWHERE) if (tmp_path / "list").write_text("videos/v2.mp4\n") else None
    assert gone is not None
    assert "ask with what the index holds of it: id:3" in gone.stderr


def test_many_queries_in_one_call(client: Client, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "list").write_text("id:2\n# a comment\nvideos/v4.mp4#0-1\ngone.mp4\nid:99\nvideos/v4.mp4#x\n")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    result = client("search", "id:1", "@list", "broken.mp4", "--top", "1", "--format", "jsonl")
    assert result.returncode == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["query"] for row in rows] == [
        "id:1",
        "id:2",
        "videos/v4.mp4#0-1",
        "gone.mp4",
        "id:99",
        "videos/v4.mp4#x",
        "broken.mp4",
    ]
    assert [Path(row["video"]).stem for row in rows[:3]] == ["v0", "v1", "v4"]
    assert [row["error"]["class"] for row in rows[3:]] == [*["UsageError"] * 3, "UnreadableVideoError"]
    assert len((tmp_path / "failures.jsonl").read_text().splitlines()) == 4
    table = client("search", "id:1", "id:2", "--top", "1", *NOWHERE)
    assert table.stdout.split("\n")[1].split() == [
        "query", "rank", "video", "start_seconds", "end_seconds", "score", "label",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["id:99"], 2, "has no video 'id:99'"),
        (["id:1/9"], 2, "has no clip 'id:1/9'; those of video 1 are 0 to 4"),
        (["gone.mp4"], 2, "'gone.mp4' does not exist"),
        (["videos/v1.mp4#5-9"], 2, "its last clip ends at"),
        (["videos/v1.mp4#x"], 2, "is no part of a video"),
        (["wrong.npy"], 5, "must be float32 [K, 8]"),
        (["broken.mp4"], 3, "broken.mp4"),
        ([], 2, "name a query"),
        (["--unlike", "id:1"], 2, "name a query"),
        (["id:1", "--like", "id:2"], 2, "not both"),
        (["--like", "id:1", "id:99"], 2, "has no video 'id:99'"),
        (["id:1", "id:2", "--picture", "a.png"], 2, "--picture draws one query"),
        (["wrong.npy", "--picture", "a.png"], 2, "--picture draws one query"),
        (["id:1", "--where", "take"], 2, "must be KEY=VALUE"),
        (["id:1", "--path", ""], 2, "is empty"),
        (["id:1", "--from-s", "3", "--to-s", "1"], 2, "must not be after"),
        (["id:1", "--match", "mean", "--all-moments"], 2, "has no moments"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    client: Client, tmp_path: Path, folder: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    np.save(tmp_path / "wrong.npy", np.ones(3, np.float32))
    result = client("search", *arguments)
    assert (result.returncode, result.stdout) == (exit_code, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_several_examples_are_one_query(client: Client, tmp_path: Path, folder: Path) -> None:
    together = found(client("search", "--like", "id:1", "videos/v1.mp4", "--json", *NOWHERE))
    assert {Path(str(row["video"])).stem for row in together[:2]} == {"v0", "v1"}
    assert {row["query"] for row in together} == {"id:1, videos/v1.mp4"}
    assert {str(row["query_example"]) for row in together[:2]} == {"id:1", "videos/v1.mp4"}
    without = found(client("search", "--like", "id:1", "id:2", "--unlike", "id:2", "--json", *NOWHERE))
    assert Path(str(without[0]["video"])).stem == "v0"
    (tmp_path / "list").write_text("id:1\nid:2\n")
    listed = found(client("search", "--like", "@list", "--json", *NOWHERE))
    assert [row["score"] for row in listed] == [row["score"] for row in together]
    drawn = client("search", "--like", "id:1", "id:2", "--picture", "a.png")
    assert (drawn.returncode, (tmp_path / "a.png").exists()) == (0, True)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--like a b --unlike c d --top 3 x", "--like a --like b --unlike c --unlike d --top 3 x"),
        ("q --like a", "q --like a"),
        ("--like=a b", "--like=a --like b"),
        ("--like - b --json", "--like - --like b --json"),
        ("--like -odd b", "--like -odd --like b"),
        ("--like a -- b", "--like a -- b"),
        ("--like", "--like"),
    ],
)
def test_options_with_several_values(given: str, read: str) -> None:
    assert list(_repeated(given.split())) == read.split()
    assert ManyValuesCommand.__mro__


def test_filters_choose_what_is_found_listed_and_removed(client: Client, folder: Path) -> None:
    every = ["v0", "v1", "v2", "v3", "v4", "v5"]
    for filters, expected in (
        (["--label", "jump"], ["v0", "v1", "v5"]),
        (["--label", "run", "--label", "it's"], ["v2", "v4"]),
        (["--label", ""], ["v3"]),
        (["--not-label", "jump"], ["v2", "v3", "v4"]),
        (["--path", "videos/v[0-2].mp4"], ["v0", "v1", "v2"]),
        (["--path", "**/v5*"], ["v5"]),
        (["--where", "camera=left", "--where", "take>=3"], ["v3", "v5"]),
        (["--label", "jump", "--where", "camera=right"], ["v0"]),
        (["--from-s", "1.9"], every),
        (["--from-s", "60"], []),
    ):
        assert names(client("index", "list", *filters, "--json")) == expected
        assert sorted(names(client("search", "id:1", *filters, "--json", *NOWHERE))) == expected
    assert names(client("index", "list", "--top", "2", "--offset", "3", "--json")) == ["v3", "v4"]
    for refused in (["remove"], ["remove", "--path", ""], ["list", "--failed", "--top", "1"]):
        assert client("index", *refused).returncode == 2
    assert client("index", "remove", "--label", "nobody").stdout == "index: 0 removed\n"
    assert client("index", "remove", "videos/v1.mp4", "--label", "run").stdout == "index: 0 removed\n"
    assert client("index", "remove", "--label", "jump", "--where", "take<1").stdout == "index: 1 removed\n"
    assert client("index", "remove", "videos", "--label", "jump").stdout == "index: 2 removed\n"
    assert client("index", "remove", "id:4").stdout == "index: 1 removed\n"
    assert names(client("index", "list", "--json")) == ["v2", "v4"]


def test_metadata_is_set_and_stays(client: Client, folder: Path) -> None:
    assert client("index", "set", "videos/v1.mp4", "note=a = b", "take=7", "label=fall").stdout == "index: 1 set\n"
    assert client("index", "set", "id:2", "camera=").stdout == "index: 1 set\n"
    (row,) = found(client("index", "list", "--where", "take=7.0", "--json"))
    assert (row["label"], row["metadata"]) == ("fall", {"note": "a = b", "take": 7})
    assert found(client("search", "id:2", "--where", "note=a = b", "--json", *NOWHERE))[0]["label"] == "fall"
    assert json.loads(client("index", "set", "videos", "who=x", "--json").stdout)["set"] == [
        str(folder / f"v{number}.mp4") for number in range(6)
    ]
    for wrong in (["gone.mp4", "a=1"], ["videos/v1.mp4", "a"], ["videos/v1.mp4"], ["", "a=1"]):
        assert client("index", "set", *wrong).returncode == 2
    assert client("index", "add", folder, "-q").returncode == 0  # the manifest has the last word, of its columns
    (row,) = found(client("index", "list", "--path", "videos/v1.mp4", "--json"))
    assert (row["label"], row["metadata"]) == ("jump", {"note": "a = b", "take": 1, "camera": "left", "who": "x"})


def test_hits_without_a_person_say_that_the_query_has_none_either(
    client: Client, tmp_path: Path, videos: list[Path]
) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("pose", weights="2"))
    added = client("index", "add", *videos[:3], "--view", "all", "--url", f"local:{root}", "-q")
    assert added.returncode == 0
    named = f"'{videos[0]}', '{videos[1]}', '{videos[2]}'"
    assert f"nobody was found in 3 videos, all of which look alike in pose: {named}\n" in added.stderr
    result = client("search", videos[0], "--json", *NOWHERE)
    told = {Path(str(row["video"])).stem: row["empty_views"] for row in found(result)}
    assert told == {"v0": [], "v1": ["pose"], "v2": ["pose"]}  # its own moments are its own
    assert result.stderr == (
        "note: nobody is to be seen in 2 of the hits, nor in what asks: for that they are alike in pose\n"
    )


def test_rows_name_the_views_in_which_nobody_is_seen(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("mask", weights="2"))
    rows = found(client("embed", videos[0], "--view", "all", "--json", "--url", f"local:{root}"))
    assert {tuple(row["empty_views"]) for row in rows} == {("mask",)}  # type: ignore[arg-type]
