"""The commands of an index on a folder and on Milvus, step by step: the same answers, the same ends."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cocon.client.collection.stored_rows import StoredRows
from cocon.client.collection.urls import CollectionUrl
from tests.client.conftest import Client, Finished

ODD = 'a"b\\c\nd\u202e'


@pytest.fixture
def labelled(tmp_path: Path, videos: list[Path]) -> Path:
    """Two folders of videos, which are labels, one with a name that breaks out of quotes; and a broken file."""
    root = tmp_path / "set"
    for number, video in enumerate(videos):
        folder = root / ("jump" if number % 2 else ODD)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(video, folder / f"v{number}.mp4")
    odd = os.fsencode(root / "jump") + b"/caf\xe9.mp4"
    shutil.copy(videos[0], odd)
    (root / "jump" / "broken.mp4").write_bytes(b"no video")
    return root


@pytest.fixture
def alike(client: Client, lite: str, request: pytest.FixtureRequest) -> Client:
    """Runs a command on a folder and on Milvus: what is printed is the same but for the name."""
    names = ("twin", f"{lite}{request.node.name}")

    def run(*arguments: object) -> Finished:
        folder, milvus = (client(*arguments, "--index", name) for name in names)
        ends = [
            Finished(ended.returncode, ended.stdout.replace(name, "NAME"), ended.stderr.replace(name, "NAME"))
            for ended, name in ((folder, names[0]), (milvus, names[1]))
        ]
        assert ends[1] == ends[0]
        return ends[0]

    return run


def test_videos_come_and_go_alike(alike: Client, labelled: Path, lite: str) -> None:
    jump = labelled / "jump"
    assert "does not exist" in alike("index", "list").stderr
    assert "no index here" in alike("info").stdout
    assert alike("index", "add", labelled).returncode == 3
    assert alike("index", "add", labelled).stdout == "NAME: 0 added, 7 unchanged, 1 failed\n"
    assert len(json.loads(alike("index", "list", "--json").stdout)) == 7
    assert len(json.loads(alike("index", "list", "--failed", "--json").stdout)) == 1
    assert alike("info").returncode == 0

    shutil.move(jump / "v1.mp4", jump / "moved.mp4")
    assert alike("index", "add", labelled).stdout == "NAME: 0 added, 1 updated, 6 unchanged, 1 failed\n"
    assert alike("index", "set", jump / "moved.mp4", 'qu"ote=\\"] or ["', "take=3", "label=other").returncode == 0
    for filters in (("--where", 'qu"ote=\\"] or ["'), ("--where", "take>2.5"), ("--path", "**/moved.mp4")):
        assert len(json.loads(alike("index", "list", "--json", *filters).stdout)) == 1
    assert len(json.loads(alike("index", "list", "--json", "--label", ODD).stdout)) == 3

    (jump / "v3.mp4").unlink()
    assert alike("index", "prune", "--dry-run").stdout.endswith("NAME: 1 gone\n")
    assert alike("index", "prune").stdout == "NAME: 1 pruned\n"
    assert alike("index", "remove", jump / "moved.mp4").stdout == "NAME: 1 removed\n"
    assert alike("index", "remove", "--from-s", "1.5", "--label", "jump").stdout == "NAME: 2 removed\n"
    assert alike("index", "remove", labelled).returncode == 0
    assert json.loads(alike("index", "list", "--json").stdout) == []
    stored = StoredRows(CollectionUrl.parse(f"{lite}test_videos_come_and_go_alike"))
    assert [*stored.where("clips", "key >= 0", ["key"])] == [], "clips are left"
    assert {row["kind"] for row in stored.where("catalogue", 'key != ""', ["key", "kind"])} == {"fact"}


def test_queries_are_answered_alike(
    alike: Client, client: Client, labelled: Path, lite: str, videos: list[Path]
) -> None:
    alike("index", "add", labelled)
    for arguments in (
        (videos[2],),
        ("id:3", "--top", "3", "--all-moments", "--keep-duplicates"),
        ("id:2", "id:3/1", "--json", "--exclude-self"),
        (f"{videos[1]}#0.5-1.5", "--json", "--label", "jump", "--from-s", "0.4"),
        ("--like", "id:1", "id:2", "--unlike", "id:3", "--json"),
        ("id:1", "--match", "mean", "--json"),
        ("id:99",),
    ):
        assert alike("search", *arguments).returncode == (2 if "id:99" in arguments else 0)
    assert alike("classify", videos[5], "--json").returncode == 0


def test_an_index_goes_out_and_in(client: Client, labelled: Path, lite: str) -> None:
    assert client("index", "add", labelled).returncode == 3
    assert client("index", "export", "a.parquet").returncode == 0
    assert client("index", "import", "a.parquet", "--index", f"{lite}imported").returncode == 0
    assert client("index", "copy", f"{lite}imported", "copied").stdout.startswith("copied: 6 added (")
    assert client("index", "copy", f"{lite}imported", "copied").stdout.endswith(", 0 updated, 6 unchanged\n")
    mine, other = (
        json.loads(client("index", "list", "--json", "--index", name).stdout) for name in ("copied", "index")
    )
    assert len(mine) == 7
    assert [{**row, "video_id": 0} for row in mine] == [{**row, "video_id": 0} for row in other]
    assert client("index", "stats", "--index", f"{lite}imported").returncode == 0


def test_metadata_that_milvus_does_not_keep_fails_one_video_alone(
    client: Client, videos: list[Path], lite: str, tmp_path: Path
) -> None:
    names = [shutil.copy(video, tmp_path / video.name).name for video in videos[:3]]
    notes = ("short", "x" * 70_000, "9" * 400)
    rows = [f"{name},{note}" for name, note in zip(names, notes, strict=True)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,note", *rows, ""]))
    added = client("index", "add", *names, "--index", f"{lite}known")
    assert (added.returncode, added.stdout) == (3, f"{lite}known: 2 added, 0 unchanged, 1 failed\n")
    assert f"what is known of video '{tmp_path / names[1]}' has 70," in added.stderr
    listed = json.loads(client("index", "list", "--json", "--index", f"{lite}known").stdout)
    assert [video["metadata"]["note"] for video in listed] == ["short", "9" * 400]


def test_errors_are_one_line(client: Client, videos: list[Path], lite: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"milvus://127.0.0.1:{taken.getsockname()[1]}/videos"
    cases = {
        ("index", "list", "--index", away): (4, "no Milvus answers at 127.0.0.1"),
        ("search", videos[0], "--index", "milvus://127.0.0.1/no-such name"): (2, "the name 'no-such name' must be"),
        ("index", "list", "--index", "milvus:videos"): (2, "must be milvus://HOST:19530/NAME"),
        ("index", "list", "--index", f"{lite}a_catalogue"): (2, "not end in _catalogue"),
        ("index", "list", "--index", f'{lite}x" or 1'): (2, "the name"),
        ("index", "verify", "--index", f"{lite}any"): (2, "Milvus, which looks after its own files"),
        ("index", "backup", "b", "--index", f"{lite}any"): (2, "'client index copy' makes a folder of it"),
        ("index", "copy", f"{lite}none", "copied"): (2, "does not exist"),
    }
    for arguments, (code, told) in cases.items():
        ended = client(*arguments)
        assert (ended.returncode, ended.stdout) == (code, ""), arguments
        assert told in ended.stderr
        assert ended.stderr.startswith("error: ")
        assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "copied").exists()
    assert not (tmp_path / "videos").exists()


def test_another_model_is_refused(client: Client, videos: list[Path], lite: str) -> None:
    name = f"{lite}others"
    assert client("index", "add", videos[0], "--index", name).returncode == 0
    refused = client("index", "add", videos[1], "--index", name, "--view", "flow")
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)
    assert client("search", videos[1], "--index", name, "--view", "flow").returncode == 5
    assert client("index", "add", videos[1], "--index", "folder", "--view", "flow").returncode == 0
    assert client("index", "copy", "folder", name).returncode == 5


def test_a_file_in_use_by_another_process_is_one_line(lite: str, both: object) -> None:
    command = [sys.executable, "-m", "cocon.client", "index", "list", "--index", f"{lite}both"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert "is in use by another process" in ended.stderr
    assert ended.stderr.count("\n") == 1
