"""The commands from no labels to a manifest, as a user has them."""

import csv
import json
from pathlib import Path

import pytest

from tests.client.conftest import Client
from tests.client.index.conftest import put_videos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put_videos(tmp_path / "index", list("abcdefgh"))
    return tmp_path


def test_from_no_labels_to_a_manifest(client: Client, folder: Path) -> None:
    suggested = json.loads(client("index", "suggest", "--budget", 3, "--json").stdout)
    assert [row["rank"] for row in suggested] == [1, 2, 3] and all("stands for" in row["reason"] for row in suggested)
    (folder / "list.txt").write_text("\n".join(row["video"] for row in suggested[:2]) + "\n\n")
    assert client("index", "label", "@list.txt", "jump, high").stdout == "index: 2 labelled\n"
    assert client("index", "label", f"id:{suggested[2]['video_id']}#1-2", "fall").stdout == "index: 1 labelled\n"
    again = json.loads(client("index", "suggest", "--budget", 99, "--json").stdout)
    assert not {row["video"] for row in again} & {row["video"] for row in suggested} and len(again) == 5
    assert client("index", "suggest", "--label", "nothing", "--json").stderr.startswith("nothing to suggest: ")

    grouped = json.loads(client("index", "cluster", "--count", 2, "--save", "group_number", "--json").stdout)
    sizes = [len(cluster["video_ids"]) for cluster in grouped["clusters"]]
    assert sum(sizes) == 8 and sizes == sorted(sizes, reverse=True)
    assert client("index", "label", "--where", "group_number=2", "wave").stdout == f"index: {sizes[1]} labelled\n"
    assert "wave" in client("index", "cluster", "--count", 2).stdout

    done = client("index", "export-labels", "labelled", "--label", "jump, high", "--label", "fall", "--label", "wave")
    assert done.returncode == 0 and "rows (" in done.stdout
    with (folder / "labelled" / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} >= {"wave", "fall"} and any(row["end_seconds"] == "2" for row in rows)
    assert client("index", "export-labels", "labelled").returncode == 2
    assert (
        json.loads(client("index", "export-labels", "labelled", "--overwrite", "--all", "--json").stdout)["num_rows"]
        >= 8
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["label", "jump"], "name videos to label, or choose them"),
        (["label", "/videos/a", "/videos/none", "jump"], "has no video '/videos/none'"),
        (["label", "id:999", "jump"], "has no video 'id:999'"),
        (["label", "/videos/a#2-1", "jump"], "ends before it has begun"),
        (["label", "/videos/a", "list.txt"], "the label comes last, and 'list.txt' is a file"),
        (["label", "@gone.txt", "jump"], "list 'gone.txt' does not exist"),
        (["cluster", "--save", "moments"], "cannot be kept"),
        (["cluster", "--save", "group"], "read as a manifest's group; take another key, such as --save cluster"),
        (["export-labels", "out", "--label", "none"], "no video that is chosen has a label"),
        (["export-labels", "out.txt/x.csv/y", "--test-share", "1"], "--test-share"),
        (["suggest", "--index", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line_and_changes_nothing(
    arguments: list[str], message: str, client: Client, folder: Path
) -> None:
    (folder / "list.txt").touch()
    ended = client("index", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "") and message in ended.stderr
    listed = json.loads(client("index", "list", "--json").stdout)
    assert not any(row["label"] or row["moments"] or row["metadata"] for row in listed)
