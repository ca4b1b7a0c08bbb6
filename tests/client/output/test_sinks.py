import json
import os
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from cocon.client import VideoEmbedder
from cocon.client.output.sinks import Format, chosen_format, open_sink
from cocon.core.errors import StorageError, UsageError
from tests.disks import full_disk


@pytest.mark.parametrize(
    ("wanted", "output", "as_json", "expected"),
    [
        (None, None, False, "table"),
        (None, None, True, "json"),
        ("jsonl", None, False, "jsonl"),
        (None, Path("rows.parquet"), False, "parquet"),
        ("npz", Path("rows.bin"), False, "npz"),
    ],
)
def test_format_follows_from_the_options(wanted: str, output: Path | None, as_json: bool, expected: str) -> None:
    allowed = ("json", "jsonl", "parquet", "npz")
    assert chosen_format(wanted, output, as_json=as_json, allowed=allowed) == expected  # type: ignore[arg-type]  # parametrised


@pytest.mark.parametrize(
    ("wanted", "output", "as_json", "message"),
    [
        ("jsonl", None, True, "exclude each other"),
        (None, Path("rows.txt"), False, "no known ending"),
        ("table", Path("rows.json"), False, "terminal"),
        ("parquet", None, False, "needs --output"),
        ("parquet", Path("rows.parquet"), False, "cannot write parquet"),
    ],
)
def test_contradictions_are_refused(wanted: str, output: Path | None, as_json: bool, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen_format(wanted, output, as_json=as_json)  # type: ignore[arg-type]  # parametrised


@pytest.mark.parametrize("name", ["rows.parquet", "rows.npz", "rows.jsonl", "rows.json"])
def test_every_format_reads_back(tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], name: str) -> None:
    expected = [embedder.embed(video) for video in videos[:2]]
    output = tmp_path / "deep" / name
    chosen = chosen_format(None, output, as_json=False, allowed=("json", "jsonl", "parquet", "npz"))
    with open_sink(chosen, output, columns=(), model=embedder.model) as sink:
        for video in expected:
            sink.write(list(video.rows()))
    match chosen:
        case "parquet":
            table = pyarrow.parquet.read_table(output)
            assert table.schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), 8)
            assert table.schema.metadata[b"normalised"] == b"l2"
            assert table.schema.metadata[b"fingerprint"].decode() == embedder.model.fingerprint
            rows = table.to_pylist()
        case "npz":
            with np.load(output, allow_pickle=False) as arrays:
                names = [name for name in arrays.files if arrays[name].ndim]
                rows = [dict(zip(names, values, strict=True)) for values in zip(*map(arrays.get, names), strict=True)]
        case "jsonl":
            rows = [json.loads(line) for line in output.read_text().splitlines()]
        case _:
            rows = json.loads(output.read_text())
    wanted = [row for video in expected for row in video.rows()]
    if chosen in ("parquet", "npz"):  # whose columns are numbers and texts
        wanted = [{name: value for name, value in row.items() if name != "empty_views"} for row in wanted]
    assert len(rows) == len(wanted) == 10
    for row, want in zip(rows, wanted, strict=True):
        assert list(row) == list(want)
        np.testing.assert_array_equal(np.array(row.pop("embedding"), np.float32), want.pop("embedding"))
        assert row == want
    assert [path.name for path in output.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_stopped_output_keeps_what_is_finished_under_another_name(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], name: str
) -> None:
    output = tmp_path / name
    video = embedder.embed(videos[0])
    with (
        pytest.raises(KeyboardInterrupt),
        open_sink("parquet" if "parquet" in name else "jsonl", output, columns=(), model=embedder.model) as sink,
    ):
        sink.write(list(video.rows()))
        raise KeyboardInterrupt
    assert not output.exists()
    partial = tmp_path / f"{name}.partial"
    num_rows = pyarrow.parquet.read_table(partial).num_rows if "parquet" in name else partial.read_text().count("\n")
    assert num_rows == 5


_FORMATS: tuple[Format, ...] = ("jsonl", "json", "parquet", "npz")


@pytest.mark.parametrize("chosen", _FORMATS)
def test_a_full_disk_is_told_by_the_name_of_the_output_and_keeps_whole_lines(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], chosen: Format, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"rows.{chosen}"
    output.write_text("old")
    rows = list(embedder.embed(videos[0]).rows())
    message = f"^'{output}' cannot be written: File too large; "
    with (
        full_disk(3000),
        pytest.raises(StorageError, match=message),
        open_sink(chosen, output, columns=(), model=embedder.model) as sink,
    ):
        for _ in range(4):
            sink.write(rows)
    assert output.read_text() == "old"
    partial = tmp_path / f"rows.{chosen}.partial"
    assert partial.exists() == (chosen == "jsonl")
    if partial.exists():
        assert [json.loads(line)["clip"] for line in partial.read_text().splitlines()] == [0, 1, 2, 3, 4]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("chosen", _FORMATS)
def test_a_fifo_gets_the_rows_and_stays(
    tmp_path: Path, embedder: VideoEmbedder, videos: list[Path], chosen: Format
) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        with open_sink(chosen, fifo, columns=(), model=embedder.model) as sink:
            sink.write(list(embedder.embed(videos[0]).rows()))
        content = reader.communicate()[0]
    match chosen:
        case "jsonl":
            assert len(content.splitlines()) == 5
        case "json":
            assert len(json.loads(content)) == 5
        case "parquet":
            assert pyarrow.parquet.read_table(BytesIO(content)).num_rows == 5
        case _:
            assert np.load(BytesIO(content))["embedding"].shape == (5, 8)
    assert fifo.is_fifo()
    assert list(tmp_path.iterdir()) == [fifo]


def test_a_link_stays_and_what_lies_in_the_place_of_the_unfinished_rows_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "rows.jsonl").symlink_to("far/rows.jsonl")
    (tmp_path / "far" / "rows.jsonl.partial").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("kept")
    with open_sink("jsonl", tmp_path / "rows.jsonl", columns=()) as sink:
        sink.write([{"row": 1}])
    assert (tmp_path / "rows.jsonl").is_symlink()
    assert (tmp_path / "far" / "rows.jsonl").read_text() == '{"row": 1}\n'
    assert (tmp_path / "precious").read_text() == "kept"
