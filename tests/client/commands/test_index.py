"""The commands that change an index, as a user has them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from cocon.core.folder_lock import LOCK_FILE, folder_lock
from tests.client.conftest import Client

NOBODY = ("--url", "127.0.0.1:1", "--timeout-s", "1")


@pytest.fixture
def folder(tmp_path: Path, videos: list[Path]) -> Path:
    made = tmp_path / "own"
    made.mkdir()
    for name, video in zip("abc", videos, strict=False):
        shutil.copy(video, made / f"{name}.mp4")
    return made


def test_without_anything_to_embed_no_server_is_needed(client: Client, folder: Path) -> None:
    nothing = client("index", "add", folder, *NOBODY)
    assert (nothing.returncode, nothing.stdout) == (4, "")
    assert not (folder.parent / "index").exists()
    (folder / "broken.mp4").write_bytes(b"no video")
    assert client("index", "add", folder).returncode == 3
    again = client("index", "add", folder, *NOBODY)
    assert (again.returncode, again.stdout) == (3, "index: 0 added, 3 unchanged, 1 failed\n")
    assert "1 failed before and did not change since; --retry-failed tries again" in again.stderr
    assert "failed: " not in again.stderr
    assert json.loads((folder.parent / "failures.jsonl").read_text())["video"].endswith("broken.mp4")
    assert client("index", "add", folder, *NOBODY, "--retry-failed").returncode == 4
    assert client("index", "add", folder / "a.mp4", *NOBODY, "--view", "flow").returncode == 5
    assert client("index", "add", folder / "a.mp4", "--url", "nonsense").returncode == 2
    (failure,) = json.loads(client("index", "list", "--failed", "--json", "--index", "index").stdout)
    assert failure["error"]["class"] == "UnreadableVideoError"
    assert "broken.mp4" in client("index", "list", "--failed").stdout

    told = client("info", *NOBODY)
    assert told.returncode == 4
    assert "index index: 3 videos, 15 clips, view rgb, 8 dimensions; by which models" in told.stdout
    assert told.stderr.startswith("error: no Triton server answers at 127.0.0.1:1; ")
    told = client("info", *NOBODY, "--json")
    facts = json.loads(told.stdout)
    assert (told.returncode, facts["software"], facts["models"]) == (4, None, None)
    assert (facts["index"]["num_videos"], facts["index"]["fits_models"]) == (3, None)
    # Which version wrote which row.
    assert facts["index"]["versions"] == [{"model": "cocon_rgb", "version": "1", "num_videos": 3}]
    rows = json.loads(client("index", "list", "--json").stdout)
    assert {(row["model"], row["version"]) for row in rows} == {("cocon_rgb", "1")}


def test_prune_lists_refuses_and_forgets(client: Client, folder: Path) -> None:
    client("index", "add", folder)
    (folder / "a.mp4").unlink()
    listed = client("index", "prune", "--dry-run")
    assert (listed.returncode, listed.stdout) == (0, f"{folder / 'a.mp4'}\nindex: 1 gone\n")
    assert json.loads(client("index", "prune", folder, "--dry-run", "--json").stdout) == {
        "index": "index", "gone": [str(folder / "a.mp4")],
    }  # fmt: skip
    assert client("index", "prune").stdout == "index: 1 pruned\n"
    assert client("index", "prune", "--json").stdout == '{"index": "index", "pruned": []}\n'
    shutil.move(folder, folder.with_name("away"))
    for arguments in ((), (folder,)):
        refused = client("index", "prune", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"error: '{folder}', where 2 videos of index 'index' were, is empty or gone" in refused.stderr
    assert client("index", "prune", "--dry-run").stdout.endswith("index: 2 gone\n")
    assert len(json.loads(client("index", "list", "--json").stdout)) == 2
    assert client("index", "prune", "--yes").stdout == "index: 2 pruned\n"
    assert client("index", "prune", folder, "--yes").returncode == 2, "it has none there"


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", ""), ("add", " "), ("add", "own", ""), ("remove", ""), ("remove", "own/a.mp4", "\t"), ("prune", ""),
        ("add", "own", "--index", ""), ("remove", "own", "--index", " "), ("list", "--index", ""),
    ],
)  # fmt: skip
def test_empty_arguments_name_nothing(client: Client, folder: Path, arguments: tuple[str, ...]) -> None:
    client("index", "add", folder / "a.mp4")
    before = sorted(folder.parent.iterdir())
    ended = client("index", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "empty" in ended.stderr
    assert len(json.loads(client("index", "list", "--json").stdout)) == 1
    assert sorted(folder.parent.iterdir()) == before


def test_names_in_the_other_normal_form_are_found(client: Client, folder: Path) -> None:
    there = folder / unicodedata.normalize("NFD", "été.mp4")
    (folder / "a.mp4").rename(there)
    given = folder / unicodedata.normalize("NFC", "été.mp4")
    assert client("index", "add", given).stdout == "index: 1 added, 0 unchanged, 0 failed\n"
    (folder.parent / "list.txt").write_text(f"{given}\n", "utf-8")
    assert client("index", "add", "@list.txt", *NOBODY).stdout == "index: 0 added, 1 unchanged, 0 failed\n"
    assert client("index", "remove", given).stdout == "index: 1 removed\n"


_HOLD = """
import sys, time
from pathlib import Path
from cocon.core.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1]), "index"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_waits_or_names_who_writes(client: Client, folder: Path) -> None:
    client("index", "add", folder)
    index = folder.parent / "index"
    video = folder / "a.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(index)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        holder.stdout.readline()
        for command in (("add", folder), ("remove", video), ("prune",)):
            refused = client("index", *command, "--wait-s", "0.1")
            assert refused.returncode == 2
            assert f"is being written by process {holder.pid}; try again" in refused.stderr
        waiting = subprocess.Popen(
            [sys.executable, "-m", "cocon.client", "index", "remove", video, "--wait-s", "60"],
            cwd=folder.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stderr is not None
        assert f"written by process {holder.pid}; waiting up to 60 s" in waiting.stderr.readline()
        holder.send_signal(signal.SIGKILL)
        assert waiting.communicate(timeout=60) == ("index: 1 removed\n", "")
    assert client("index", "remove", folder / "b.mp4").returncode == 0
    with folder_lock(index, "index"):
        (index / LOCK_FILE).write_bytes(b" " + str(holder.pid).encode())  # of one who was killed
        refused = client("index", "remove", folder / "c.mp4")
    assert "is being written by another process; try again" in refused.stderr


def test_a_named_copy_and_a_link_are_places_of_their_own(client: Client, folder: Path) -> None:
    (folder / "link.mp4").symlink_to(folder / "a.mp4")
    os.link(folder / "a.mp4", folder / "hard.mp4")
    assert client("index", "add", folder, "--json").stdout == json.dumps(
        {"index": "index", "added": 3, "updated": 0, "unchanged": 0, "duplicate": 2, "failed": 0}
    ) + "\n"  # fmt: skip
    assert client("index", "remove", folder / "link.mp4", "--json").stdout == json.dumps(
        {"index": "index", "removed": [str(folder / "link.mp4")]}
    ) + "\n"  # fmt: skip
    assert len(json.loads(client("index", "list", "--json").stdout)) == 4


def test_a_map_is_made_kept_and_told_of(client: Client, folder: Path) -> None:
    missing = client("index", "map")
    assert (missing.returncode, missing.stdout) == (2, "") and "index 'index' does not exist" in missing.stderr
    client("index", "add", folder)
    made = client("index", "map")
    assert (made.returncode, made.stdout, made.stderr) == (0, "index: map of 15 clips by t-SNE: laid out\n", "")
    kept = client("index", "map", "--json")
    assert json.loads(kept.stdout) == {
        "index": "index", "method": "t-SNE", "num_points": 15, "num_placed": 0, "is_new": False
    }  # fmt: skip
    assert client("index", "map", "--max-clips", "12").stdout == "index: map of 12 clips by t-SNE: laid out\n"
    assert client("index", "verify").stdout.startswith("index: sound: ")
    assert "bytes of map.npz" in client("index", "stats").stdout
