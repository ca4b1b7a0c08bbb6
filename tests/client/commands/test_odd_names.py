"""Names of files that are no text, or that a terminal or a printer of tables would obey, through every command."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from cocon.core.printable import printable, unescaped
from tests.client.conftest import Client

# Some video for each.
NAMES = [
    b"caf\xe9.mp4",
    rb"caf\xe9.mp4",
    b"new\nline\t.mp4",
    b"\x1b[31m:smile:[b].mp4",
    "e\u0301 \u202e😀.mp4".encode(),
    b" -a.mp4",
]
BROKEN = b"bro\xff\nken:smile:[b].mp4"


@pytest.fixture
def odd(tmp_path: Path, videos: list[Path]) -> Path:
    """A class folder whose name is no text, with the videos and one that does not decode."""
    folder = tmp_path / "cl\udce9ss\n"
    folder.mkdir()
    for name, video in zip(NAMES, videos, strict=True):
        shutil.copy(video, folder / os.fsdecode(name))
    (folder / os.fsdecode(BROKEN)).write_bytes(b"no video")
    return folder


def back(written: list[str]) -> set[bytes]:
    return {os.fsencode(Path(unescaped(name)).name) for name in written}


@pytest.mark.parametrize("ending", ["jsonl", "npz", "parquet"])
def test_rows_of_every_form_give_the_names_back(client: Client, odd: Path, ending: str) -> None:
    ended = client("embed", odd, "--output", f"rows.{ending}", "-q")
    assert ended.returncode == 3
    failed_line = rf"failed: {odd.parent}/cl\xe9ss\x0a/bro\xff\x0aken:smile:[b].mp4: cannot be decoded"
    assert failed_line in ended.stderr
    file = odd.parent / f"rows.{ending}"
    match ending:
        case "jsonl":
            rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            written = [row["video"] for row in rows if "error" not in row]
        case "npz":
            written = np.load(file)["video"].tolist()
        case _:
            written = parquet.read_table(file).column("video").to_pylist()
    assert back(written) == set(NAMES)
    failed = [json.loads(line) for line in (odd.parent / "failures.jsonl").read_text("utf-8").splitlines()]
    assert back([row["video"] for row in failed]) == {BROKEN}


def test_an_index_lists_finds_and_forgets_them(
    client: Client, process: Client, odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client("index", "add", odd.parent, "-q").returncode == 3
    again = client("index", "add", odd.parent, "-q", "--json")
    assert json.loads(again.stdout) | {"failed": 1, "unchanged": len(NAMES)} == json.loads(again.stdout)
    rows = json.loads(client("index", "list", "--json").stdout)
    assert back([row["video"] for row in rows]) == set(NAMES)
    assert {row["label"] for row in rows} == {"cl\\xe9ss\n"}
    for encoding in ("ascii:strict", "latin-1:strict"):
        monkeypatch.setenv("PYTHONIOENCODING", encoding)
        lines = process("index", "list").stdout.splitlines()
        assert back([line.strip("| ").split("  ")[0].split(" |")[0] for line in lines if ".mp4" in line]) == set(NAMES)
    table = client("index", "list").stdout
    shown = [line.split("   ")[0].strip() for line in table.splitlines() if ".mp4" in line]
    assert printable(table.replace("\n", "")) == table.replace("\n", "")
    assert back(shown) == set(NAMES)
    video = odd / os.fsdecode(NAMES[0])
    hits = json.loads(client("search", video, "--json").stdout)
    assert back([hit["video"] for hit in hits]) == set(NAMES)
    assert "names two videos of index" in client("index", "remove", odd / r"caf\xe9.mp4").stderr
    forgotten = [video, *(name for name in shown if not name.endswith(r"caf\xe9.mp4"))]
    assert len(forgotten) == len(NAMES)
    for number, name in enumerate(forgotten):
        ended = client("index", "remove", "--json", "--", name)
        assert len(json.loads(ended.stdout)["removed"]) == 1, (number, ended)
