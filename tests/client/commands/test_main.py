import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest

import cocon.client
from cocon.client import VideoIndex
from cocon.client.index.files.writer import IndexWriter
from cocon.video.estimation.identity import identity_of
from tests.client.conftest import Client, contract, copy_with_unfit_view, make_repository, write_video


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    return path


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_help_lists_the_verbs_and_loads_nothing_heavy(process: Client) -> None:
    result = process("--help")
    for verb in ("embed", "classify", "index", "search", "info", "align", "track", "bench"):
        assert f" {verb} " in result.stdout
    heavy = {"av", "cv2", "decord", "faiss", "grpc", "numpy", "onnxruntime", "tritonclient"}
    loaded = python("import sys, cocon.client.commands.main; print(*sys.modules)").stdout.split()
    assert heavy & set(loaded) == set()


@pytest.mark.parametrize(
    "verb",
    [
        "embed",
        "classify",
        "search",
        "info",
        "align",
        "track",
        "bench",
        "index add",
        "index list",
        "index remove",
        "index prune",
    ],
)
def test_help_of_every_verb_has_an_example(client: Client, verb: str) -> None:
    assert f"Example: client {verb}" in client(*verb.split(), "--help").stdout


def test_import_is_light() -> None:
    heavy = ("torch", "onnxruntime", "cv2", "faiss", "grpc", "tritonclient", "pyarrow", "numpy")
    code = f"import cocon.client.commands.main, sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(code).stdout.strip() == "[]"
    heavy = ("torch", "onnxruntime", "grpc", "tritonclient", "faiss", "pyarrow")
    code = f"from cocon.client import *; import sys; print([name for name in {heavy} if name in sys.modules])"
    assert python(code).stdout.strip() == "[]"


def test_exported_names_are_exact() -> None:
    assert cocon.client.__all__ == sorted(cocon.client.__all__)
    for name in cocon.client.__all__:
        assert getattr(cocon.client, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = cocon.client.nothing_like_it


def test_embed_prints_a_table(client: Client, videos: list[Path]) -> None:
    result = client("embed", videos[0])
    assert (result.returncode, result.stderr) == (0, "")
    assert str(videos[0]) in result.stdout
    assert result.stdout.count("rgb") == 5


def test_bad_video_is_a_row_a_line_and_exit_code_3_and_the_others_are_done(
    client: Client, tmp_path: Path, videos: list[Path], broken: Path
) -> None:
    result = client("embed", videos[0], broken, videos[1], "--format", "jsonl")
    assert result.returncode == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["video"] for row in rows] == [str(videos[0])] * 5 + [str(broken)] + [str(videos[1])] * 5
    assert set(rows[5]) == {"video", "error"}
    assert rows[5]["error"]["class"] == "UnreadableVideoError"
    assert result.stderr.splitlines() == [
        f"failed: {broken}: cannot be decoded: Invalid data found when processing input",
        "1 video failed; listed in failures.jsonl",
    ]
    assert json.loads((tmp_path / "failures.jsonl").read_text()) == rows[5]


def test_no_failures_no_failures_file(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    assert client("embed", videos[0], "--output", "rows.parquet").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet"]
    assert pyarrow.parquet.read_table(tmp_path / "rows.parquet").num_rows == 5


def test_missing_path_is_exit_code_2_before_any_work(client: Client, videos: list[Path]) -> None:
    for arguments in (("embed", videos[0], "gone.mp4"), ("search", "gone.mp4"), ("index", "add", "gone/")):
        result = client(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert "does not exist" in result.stderr
        assert result.stderr.count("\n") == 1


def test_missing_line_of_a_list_is_a_failed_input(client: Client, videos: list[Path]) -> None:
    result = client("embed", "-", "--format", "jsonl", "--failures", "bad.jsonl", stdin=f"gone.mp4\n{videos[0]}\n")
    assert result.returncode == 3
    assert [json.loads(line)["video"] for line in result.stdout.splitlines()] == ["gone.mp4"] + [str(videos[0])] * 5


def test_archive_has_one_dimension_so_a_video_without_a_view_fails(
    client: Client, process: Client, tmp_path: Path, videos: list[Path]
) -> None:
    root = make_repository(tmp_path / "models", contract("rgb"), contract("mask"))
    url = f"local:{root}"
    video = copy_with_unfit_view(videos[0], tmp_path, "mask")
    kept = process("embed", video, "--view", "rgb,mask", "--format", "jsonl", "--url", url)
    assert kept.returncode == 0
    assert json.loads(kept.stdout.splitlines()[0])["view"] == "rgb"
    assert "embedded as rgb alone" in kept.stderr
    refused = client("embed", video, "--view", "all", "--output", "rows.npz", "--url", url)
    assert refused.returncode == 3
    assert "lacks view mask" in refused.stderr


def test_classify(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    result = client("classify", *videos[:2], "--view", "all", "--top", "3", "--json")
    assert result.returncode == 0
    rows = json.loads(result.stdout)
    assert [row["rank"] for row in rows] == [1, 2, 3, 1, 2, 3]
    assert set(rows[0]) == {"video", "rank", "label", "probability"}
    root = make_repository(tmp_path / "models", contract("rgb", labels=()))
    unlabelled = client("classify", videos[0], "--url", f"local:{root}")
    assert unlabelled.returncode == 5
    assert "no classifier" in unlabelled.stderr


def test_index_add_search_list_remove_and_info(
    client: Client, tmp_path: Path, videos: list[Path], broken: Path
) -> None:
    nothing = client("search", videos[0])
    assert nothing.returncode == 2
    assert "client index add" in nothing.stderr
    added = client("index", "add", *videos, broken, "--view", "all")
    assert (added.returncode, added.stdout) == (3, "index: 6 added, 0 unchanged, 1 failed\n")
    again = client("index", "add", *videos, "--json")
    assert json.loads(again.stdout) == {
        "index": "index", "added": 0, "updated": 0, "unchanged": 6, "duplicate": 0, "failed": 0
    }  # fmt: skip
    hits = json.loads(client("search", videos[3], "--top", "2", "--json").stdout)
    assert [hit["rank"] for hit in hits] == [1, 2]
    assert hits[0]["video"] == str(videos[3])
    assert hits[0]["score"] >= 0.999
    moments = json.loads(client("search", videos[3], "--top", "20", "--all-moments", "--json").stdout)
    assert len(moments) == 20
    assert client("search", videos[3], "--view", "rgb").returncode == 5
    assert "1.000" in client("search", videos[3]).stdout

    facts = json.loads(client("info", "--json").stdout)
    assert [model["view"] for model in facts["models"]] == ["rgb", "flow"]
    assert facts["index"]["fits_models"] is True
    assert facts["index"]["num_clips"] == 30
    assert "6 videos, 30 clips, view flow+rgb, 16 dimensions" in client("info").stdout

    assert client("index", "remove", videos[0]).stdout == "index: 1 removed\n"
    assert client("index", "remove", videos[0]).returncode == 2
    assert len(json.loads(client("index", "list", "--json").stdout)) == 5
    assert client("index", "list").stdout.count(".mp4") == 5


def test_index_of_another_model_is_exit_code_5(client: Client, tmp_path: Path, videos: list[Path]) -> None:
    client("index", "add", videos[0])
    root = make_repository(tmp_path / "models", contract("rgb", weights="other"))
    for arguments in (("index", "add", videos[1]), ("search", videos[1])):
        result = client(*arguments, "--url", f"local:{root}")
        assert result.returncode == 5
        assert "client index add --index NEW" in result.stderr
    assert "NOT made by these models" in client("info", "--url", f"local:{root}").stdout


def test_estimators_other_than_the_models_are_said_once_and_refused_on_demand(
    client: Client, tmp_path: Path, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    other = dataclasses.replace(contract("flow"), made_by=("dis r0 (opencv 4.0)",))
    url = f"local:{make_repository(tmp_path / 'models', contract('rgb'), other)}"
    sentence = f"view 'flow' is made by {identity_of('flow')}, but the model learned from dis r0 (opencv 4.0)"
    for command in (("embed",), ("index", "add"), ("classify",)):
        refused = client(*command, *videos[:3], "--view", "all", "--url", url, "--strict")
        assert (refused.returncode, refused.stdout) == (5, "")
        assert refused.stderr.startswith(f"error: {sentence}")
        caplog.clear()
        assert client(*command, *videos[:3], "--view", "all", "--url", url).returncode == 0
        assert caplog.text.count(sentence) == len(caplog.records) == 1
    assert client("embed", videos[0], "--url", url, "--strict").returncode == 0  # rgb has no estimator
    (_, facts) = json.loads(client("info", "--url", url, "--json").stdout)["models"]
    assert (facts["made_here_by"], facts["learned_from"]) == (identity_of("flow"), list(other.made_by))
    assert client("info", "--url", url).stdout.count(sentence) == 1


def test_an_index_of_other_estimators_is_said_where_the_model_names_none(
    client: Client, tmp_path: Path, videos: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    index = tmp_path / "index"
    assert client("index", "add", videos[0], "--view", "flow", "--index", index).returncode == 0
    assert VideoIndex(index).made_by == {"flow": (identity_of("flow"),)}
    assert client("search", videos[1], "--index", index, "--strict").returncode == 0
    with IndexWriter(index) as writer, writer.transaction():
        writer.put_fact("made_by", {"flow": ["dis r0 (opencv 4.0)"]})
    sentence = f"view 'flow' is made by {identity_of('flow')}, but those of the index are by dis r0 (opencv 4.0)"
    for command in (("search", videos[1]), ("index", "add", videos[1])):
        refused = client(*command, "--index", index, "--strict")
        assert refused.returncode == 5
        assert refused.stderr.startswith(f"error: {sentence}")
        caplog.clear()
        assert client(*command, "--index", index).returncode == 0
        assert caplog.text.count(sentence) == len(caplog.records) == 1
    assert len(VideoIndex(index).made_by["flow"]) == 2
    with IndexWriter(index) as writer, writer.transaction() as connection:
        connection.execute("DELETE FROM facts WHERE key = 'made_by'")  # as in an index of before
    assert client("search", videos[1], "--index", index, "--strict").returncode == 0


def test_killed_addition_goes_on_where_it_was(client: Client, tmp_path: Path, url: str) -> None:
    folder = tmp_path / "many"
    for number in range(40):
        write_video(folder / f"{number:02d}.mp4", seed=number, num_frames=60)
    process = subprocess.Popen(
        [sys.executable, "-m", "cocon.client", "index", "add", folder],
        cwd=tmp_path,
        env=os.environ | {"COCON_URL": url},
        stdout=subprocess.DEVNULL,
    )
    num_kept = 0
    while process.poll() is None and num_kept == 0:
        num_kept = num_videos(tmp_path / "index" / "catalog.sqlite")
    process.send_signal(signal.SIGKILL)
    process.wait()
    num_kept = num_videos(tmp_path / "index" / "catalog.sqlite")
    assert 0 < num_kept < 40

    result = client("index", "add", folder)
    assert result.stdout == f"index: {40 - num_kept} added, {num_kept} unchanged, 0 failed\n"
    hits = json.loads(client("search", folder / "39.mp4", "--json", "--top", "1").stdout)
    assert hits[0]["video"] == str(folder / "39.mp4")


@pytest.mark.videos
def test_interrupt_is_exit_code_130_and_what_is_done_stays(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "many"
    for number in range(40):
        write_video(folder / f"{number:02d}.mp4", seed=number, num_frames=60)
    with subprocess.Popen(
        [sys.executable, "-m", "cocon.client", "embed", folder, "--output", "rows.jsonl", "--overlap", "0.9"],
        cwd=tmp_path,
        env=os.environ | {"COCON_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        partial = tmp_path / "rows.jsonl.partial"
        while process.poll() is None and not (partial.exists() and b'"clip"' in partial.read_bytes()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "rows.jsonl.partial" in errors
    assert "Traceback" not in errors
    assert json.loads(partial.read_text().splitlines()[1])["clip"] == 0


def num_videos(catalog: Path) -> int:
    if not catalog.exists():
        return 0
    connection = sqlite3.connect(catalog)
    try:
        (count,) = connection.execute("SELECT count(*) FROM videos").fetchone()
    except sqlite3.OperationalError:  # not made yet
        return 0
    finally:
        connection.close()
    return int(count)


def test_a_list_of_failures_that_cannot_be_written_is_said_and_the_rows_and_the_exit_code_stand(
    client: Client, tmp_path: Path, videos: list[Path]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    taken = tmp_path / "a folder"
    taken.mkdir()
    result = client("embed", videos[0], tmp_path / "broken.mp4", "--format", "jsonl", "--failures", taken)
    assert result.returncode == 3
    assert len(result.stdout.splitlines()) == 6
    assert "cannot be written: Is a directory; name another file with --failures" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "a.mp4", "--output", "a.mp4", "--format", "jsonl"], "--output 'a.mp4' is the video itself"),
        (["embed", "a.mp4", "--output", "twin.parquet"], "--output 'twin.parquet' is the video itself"),
        (["embed", "@list.jsonl", "--output", "list.jsonl"], "--output 'list.jsonl' is the input itself"),
        (["embed", "b.mp4", "--output", "a.mp4", "--format", "npz"], "--output 'a.mp4' is a video that was not drawn"),
        (["embed", "b.mp4", "--failures", "a.mp4"], "--failures 'a.mp4' is a video that was not drawn"),
        (["embed", "a.mp4", "--output", "x.jsonl", "--failures", "./x.jsonl"], "--output and --failures are the same"),
        (["embed", "a.mp4", "--profile-output", "."], "--profile-output '.' is a folder; name a file"),
        (["embed", "a.mp4", "--profile-output", ""], "--profile-output '.' is a folder; name a file"),
        (["classify", "a.mp4", "--output", "twin.parquet", "--format", "json"], "--output 'twin.parquet' is the video"),
        (["index", "add", "b.mp4", "a.mp4", "--failures", "a.mp4"], "--failures 'a.mp4' is the video itself"),
        (["search", "a.mp4", "--output", "twin.parquet", "--format", "json"], "--output 'twin.parquet' is the video"),
        (["search", "a.mp4", "--output", "index/x", "--format", "json"], "--output 'index/x' is the input itself"),
        (["search", "a.mp4", "--output", "x.png", "--picture", "x.png", "--format", "json"], "--output and --picture"),
        (["align", "a.mp4", "b.mp4", "--output", "b.png"], "--output 'b.png' is the video itself"),
        (["track", "a.mp4", "--box", "0,0,9,9", "--output", "b.mp4"], "--output 'b.mp4' is a video that was not drawn"),
    ],
)
def test_nothing_is_written_over_an_input_or_a_video(
    client: Client, tmp_path: Path, arguments: list[str], message: str
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"no video")
    (tmp_path / "twin.parquet").hardlink_to(tmp_path / "a.mp4")
    (tmp_path / "b.png").symlink_to("b.mp4")
    (tmp_path / "list.jsonl").write_text("a.mp4\n")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "x").touch()
    before = {path: path.is_symlink() or path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")}
    result = client(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert {path: path.is_symlink() or path.is_dir() or path.read_bytes() for path in tmp_path.rglob("*")} == before
