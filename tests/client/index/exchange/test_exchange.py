"""What goes out of an index comes back the same; what fits no index is refused before anything is written."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from cocon.client import VideoIndex
from cocon.client.index.catalogue.tables import put_place
from cocon.client.index.changes.contents import Contents
from cocon.client.index.exchange import clip_file
from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.query.filters import Filters
from cocon.client.index.ranking.keeping import keep_ranking
from cocon.client.index.vote.keeping import keep_rule
from cocon.client.output.archives import NpzSink, ParquetSink
from cocon.core.errors import CoconError, MismatchError, StorageError, UsageError
from tests.client.conftest import Client
from tests.client.index.conftest import DIM, FACTS, clips_of, embedding_of, put_videos
from tests.client.index.states import held_by
from tests.disks import full_disk


@pytest.fixture
def rich(stored: Path) -> Path:
    """An index with labels, metadata, copies, gaps, settings and makers."""
    with IndexWriter(stored) as writer:
        Contents(writer).forget(["/videos/a"])
        with writer.transaction() as connection:
            put_place(connection, "/videos/b", 2, label="run", metadata={"take": 3, "who": "ä"})
            put_place(connection, "/videos/copy of b", 2, label=None, metadata={"is": "copy"})
            writer.put_fact("made_by", {"rgb": ["us"]})
        assert keep_rule(writer)
        assert keep_ranking(writer)
    return stored


@pytest.fixture
def exported(rich: Path, tmp_path: Path) -> Path:
    path = tmp_path / "out.parquet"
    VideoIndex(rich).export(path)
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read a few clips at a time, and videos lie across them."""
    monkeypatch.setattr(clip_file, "_MAX_PART_ROWS", 4)
    monkeypatch.setattr(clip_file, "_BATCH_ROWS", 2)


def content_of(folder: Path) -> dict[str, Any]:
    """All that an index holds, without ids."""
    snapshot = open_snapshot(folder)
    rows = {path: held for (path, _), held in held_by(snapshot).items()}
    records = {
        video.video: {name: value for name, value in video.row().items() if name != "video_id"}
        for video in snapshot.videos()
    }
    spans = {
        video.places[0].path: (*video.spans[clip].tolist(), [place.path for place in video.places[1:]])
        for video, clip in clips_of(snapshot, np.flatnonzero(snapshot.rows.live))
    }
    facts = {name: snapshot.fact(name) for name in ("index", "ranking", "vote", "made_by")}
    return {"rows": rows, "records": records, "spans": spans, "facts": facts}


@pytest.mark.usefixtures("small_parts")
def test_what_went_out_comes_in_the_same(rich: Path, exported: Path, tmp_path: Path) -> None:
    copy = VideoIndex(tmp_path / "copy")
    report = copy.import_file(exported)
    assert (report.added, report.updated, report.unchanged, report.num_clips) == (4, 0, 0, 12)
    assert content_of(copy.folder) == content_of(rich)
    assert copy.verify().findings == ()
    files = {path.name: path.read_bytes() for path in copy.folder.iterdir()}
    again = copy.import_file(exported)
    assert (again.added, again.updated, again.unchanged, again.num_clips) == (0, 0, 4, 0)
    assert len(open_snapshot(copy.folder).vectors) == 12
    assert {name: size for name, size in files.items() if name.startswith("vec")} == {
        path.name: path.read_bytes() for path in copy.folder.glob("vec*")
    }
    copy.export(tmp_path / "again.parquet")
    assert parquet.read_table(tmp_path / "again.parquet").equals(parquet.read_table(exported))


def test_the_file_says_what_it_is(exported: Path) -> None:
    table = parquet.read_table(exported)
    assert table.schema.metadata[b"fingerprint"] == FACTS.fingerprint.encode()
    assert table.schema.metadata[b"normalised"] == b"l2"
    assert json.loads(table.schema.metadata[b"cocon_index"])["num_blocks"] == 2
    assert table.column("embedding").type == pa.list_(pa.float32(), DIM)
    assert table.column("blocks").type == pa.list_(pa.float16(), 2 * DIM)
    assert table.column("clip").to_pylist() == [0, 1, 2] * 4
    assert table.column("label").to_pylist()[:3] == ["run"] * 3
    assert table.column("also").to_pylist()[:2] == [
        [{"video": "/videos/copy of b", "label": None, "metadata": '{"is": "copy"}'}],
        None,
    ]


@pytest.mark.usefixtures("small_parts")
def test_it_comes_into_an_index_that_has_other_things(exported: Path, tmp_path: Path) -> None:
    index = VideoIndex(tmp_path / "other")
    put_videos(index.folder, ["z", "c"], label="mine")
    with IndexWriter(index.folder) as writer, writer.transaction() as connection:
        put_place(connection, "/videos/b", 1, label="mine", metadata={})  # another content in the file
    report = index.import_file(exported)
    assert (report.added, report.updated, report.unchanged) == (3, 0, 1)
    found = {video.video: (video.label, video.content_sha256) for video in index.videos()}
    assert found["/videos/z"] == ("mine", embedding_of("z").content_sha256)
    assert found["/videos/b"] == ("run", embedding_of("b").content_sha256)
    assert found["/videos/c"] == ("mine", embedding_of("c").content_sha256)
    assert index.verify().findings == ()


def test_a_part_goes_out(rich: Path, tmp_path: Path) -> None:
    report = VideoIndex(rich).export(tmp_path / "part.parquet", Filters(paths=("/videos/copy*", "/videos/d")))
    assert (report.num_videos, report.num_clips) == (2, 6)
    VideoIndex(tmp_path / "part").import_file(tmp_path / "part.parquet")
    assert [video.video for video in VideoIndex(tmp_path / "part").videos()] == [
        "/videos/b", "/videos/copy of b", "/videos/d",
    ]  # fmt: skip
    assert VideoIndex(rich).export(tmp_path / "none.parquet", Filters(labels=("none",))).num_clips == 0
    with pytest.raises(MismatchError, match="holds no clips"):
        VideoIndex(tmp_path / "none").import_file(tmp_path / "none.parquet")


def embedded(path: Path, names: list[str]) -> Path:
    """What `client embed --output` writes."""
    sink_of = ParquetSink if path.suffix == ".parquet" else NpzSink
    with path.open("wb") as stream:
        sink = sink_of(stream, DIM, FACTS.fingerprint)
        for name in names:
            sink.write(list(embedding_of(name).rows()))
        sink.finish()
    return path


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_files_of_embed_come_in_without_blocks(stored: Path, tmp_path: Path, ending: str) -> None:
    path = embedded(tmp_path / f"rows.{ending}", ["c", "f", "g"])
    index = VideoIndex(tmp_path / "new")
    assert index.import_file(path).added == 3
    snapshot = index.snapshot()
    assert (snapshot.blocks, snapshot.facts) == (None, FACTS)
    assert (snapshot.vectors[3:6] == embedding_of("f").embedding).all()
    report = VideoIndex(stored).import_file(path)
    assert (report.added, report.updated, report.unchanged) == (2, 0, 1)
    both = open_snapshot(stored)
    rows = np.flatnonzero(both.rows.live)
    assert both.have_sound_blocks(rows).tolist() == [True] * 15 + [False] * 6
    assert VideoIndex(stored).verify().findings == ()
    VideoIndex(stored).compact()
    VideoIndex(stored).backup(tmp_path / "copy")
    VideoIndex(stored).export(tmp_path / "out.parquet")
    VideoIndex(tmp_path / "third").import_file(tmp_path / "out.parquet")
    assert VideoIndex(tmp_path / "third").verify().findings == ()
    assert VideoIndex(stored).rebuild().dropped == ()
    assert VideoIndex(stored).verify().findings == ()


def test_copies_are_one_content_at_two_places(tmp_path: Path) -> None:
    rows = [{**row, "video": name} for name in ("/v/1", "/v/2") for row in embedding_of("a").rows()]
    with (tmp_path / "rows.parquet").open("wb") as stream:
        sink = ParquetSink(stream, DIM, FACTS.fingerprint)
        sink.write(rows)
        sink.finish()
    index = VideoIndex(tmp_path / "other")
    report = index.import_file(tmp_path / "rows.parquet")
    assert (report.added, report.updated, report.num_clips) == (1, 1, 3)
    assert [(video.video, video.video_id) for video in index.videos()] == [("/v/1", 1), ("/v/2", 1)]


Change = Callable[[pa.Table], pa.Table]


def column(name: str, values: Callable[[list[Any]], list[Any]]) -> Change:
    """Another column in the place of one."""

    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        new = pa.array(values(table.column(name).to_pylist()), field.type)
        return table.set_column(table.schema.names.index(name), field, new)

    return change


def scaled(factor: float) -> Change:
    return column("embedding", lambda rows: [*rows[:-1], [factor * number for number in rows[-1]]])


def other_dimension(table: pa.Table) -> pa.Table:
    vectors = pa.array([[1.0, 0.0]] * table.num_rows, pa.list_(pa.float32(), 2))
    return table.set_column(table.schema.names.index("embedding"), "embedding", vectors)


UNFIT: dict[str, Change] = {
    "not finite": scaled(float("nan")),
    "off unit length": scaled(1.1),
    "another model": column("fingerprint", lambda rows: ["e" * 64] * len(rows)),
    "model, clip by clip": column("fingerprint", lambda rows: ["e" * 64, *rows[1:]]),
    "dimensions": other_dimension,
    "no sha256": column("content_sha256", lambda rows: [*rows[:-3], "x", "x", "x"]),
    "clips": column("clip", lambda rows: [*rows[:-1], 7]),
    "order": lambda table: table.take(list(range(table.num_rows))[::-1]),
    "ends before": column("end_seconds", lambda rows: [*rows[:-1], -1.0]),
    "endless": column("end_seconds", lambda rows: [*rows[:-1], float("inf")]),
    "metadata": column("metadata", lambda rows: ["[1]"] * len(rows)),
    "metadata no JSON": column("metadata", lambda rows: ["{"] * len(rows)),
    "label": column("label", lambda rows: [*rows[:-1], "other"]),
    "twice": lambda table: pa.concat_tables([table, table]),
    "content twice": lambda table: pa.concat_tables(
        [table, column("video", lambda rows: ["/new"] * 2)(table.slice(0, 2))]
    ),
    "column": lambda table: table.drop_columns(["version"]),
    "blocks": column("blocks", lambda rows: [[float("inf")] * 16, *rows[1:]]),
    "text": lambda table: table.set_column(0, "video", pa.array(range(table.num_rows))),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_what_fits_no_index_is_refused_and_nothing_is_written(stored: Path, exported: Path, unfit: str) -> None:
    table = UNFIT[unfit](parquet.read_table(exported))
    bad = exported.with_name("bad.parquet")
    parquet.write_table(table, bad)
    before = {path.name: path.read_bytes() for path in stored.iterdir()}
    for folder in (stored, exported.with_name("new")):
        with pytest.raises((MismatchError, UsageError)) as told:
            VideoIndex(folder).import_file(bad)
        assert "\n" not in str(told.value)
        assert str(bad) in str(told.value)
    assert not exported.with_name("new").exists()
    assert {path.name: path.read_bytes() for path in stored.iterdir()} == before


def test_a_changed_byte_or_a_cut_is_refused_or_harmless(rich: Path, exported: Path, tmp_path: Path) -> None:
    content, expected = exported.read_bytes(), content_of(rich)
    bad = tmp_path / "bad.parquet"
    rng = np.random.default_rng(0)
    cases = [content[:size] for size in (0, 3, 4, 100, len(content) // 2, len(content) - 1)]
    for position in rng.integers(0, len(content), 60).tolist():
        changed = bytearray(content)
        changed[position] ^= 1 << int(rng.integers(8))
        cases.append(bytes(changed))
    for number, case in enumerate(cases):
        bad.write_bytes(case)
        folder = tmp_path / f"of {number}"
        try:
            VideoIndex(folder).import_file(bad)
        except CoconError as error:
            assert "\n" not in str(error)
            assert not folder.exists()
        else:
            assert content_of(folder)["rows"].keys() == expected["rows"].keys()
            assert all(rows == expected["rows"][path] for path, rows in content_of(folder)["rows"].items())


@pytest.mark.parametrize("name", ["none.parquet", "folder.parquet", "rows.csv", "text.npz"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "rows.csv").write_text("video\n")
    (tmp_path / "text.npz").write_text("video\n")
    with pytest.raises(UsageError, match=name):
        VideoIndex(tmp_path / "new").import_file(tmp_path / name)
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("small_parts")
def test_a_full_disk_keeps_what_was_committed_and_the_same_goes_on(rich: Path, exported: Path, tmp_path: Path) -> None:
    index = VideoIndex(tmp_path / "other")
    for max_bytes in (0, 100, 300, 30_000):
        with full_disk(max_bytes), pytest.raises(StorageError):
            index.import_file(exported)
        assert not index.exists or index.verify().is_sound
    index.import_file(exported)
    assert content_of(index.folder)["rows"] == content_of(rich)["rows"]
    with full_disk(100), pytest.raises(StorageError):
        index.export(tmp_path / "full.parquet")
    assert not (tmp_path / "full.parquet").exists()
    assert not list(tmp_path.glob(".full*"))


def test_an_interrupted_import_goes_on(exported: Path, tmp_path: Path, small_parts: None) -> None:
    index = VideoIndex(tmp_path / "other")
    done: list[int] = []

    def break_off(count: int, total: int | None) -> None:
        done.append(count)
        if count >= 18:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.import_file(exported, on_progress=break_off)
    assert all(before < after for before, after in pairwise(done))
    kept = len(index.videos())
    assert 0 < kept < 5
    report = index.import_file(exported)
    assert report.added + report.unchanged == 4
    assert report.unchanged >= kept - 1
    assert index.verify().findings == ()


def test_damage_does_not_go_out(stored: Path, tmp_path: Path) -> None:
    for pattern in ("vectors-*", "blocks-*"):
        (path,) = stored.glob(pattern)
        content = path.read_bytes()
        path.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
        with pytest.raises(MismatchError, match="client index rebuild"):
            VideoIndex(stored).export(tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
        path.write_bytes(content)


def test_commands(client: Client, stored: Path, tmp_path: Path) -> None:
    ended = client("index", "export", "out.parquet", "--index", stored)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out.parquet: 5 videos, 15 clips\n", "")
    ended = client("index", "import", "out.parquet", "--index", "new")
    assert (ended.returncode, ended.stdout) == (0, "new: 5 added (15 clips), 0 updated, 0 unchanged\n")
    told = json.loads(client("index", "import", "out.parquet", "--index", "new", "--json").stdout)
    assert told == {"index": "new", "added": 0, "updated": 0, "unchanged": 5, "num_clips": 0}
    for refused in (
        ("export", "out.csv", "--index", stored),
        ("export", stored / "catalog.sqlite", "--index", stored),
        ("export", "out.parquet", "--index", "none"),
        ("import", "none.parquet"),
    ):
        ended = client("index", *refused)
        assert ended.returncode == 2, refused
        assert "\n" not in ended.stderr.strip()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    assert client("index", "import", "out.parquet", "--index", "other").returncode == 2
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


def test_a_folder_of_files_comes_in_at_once(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for name, videos in (("one", ["a", "b"]), ("two", ["b", "c"])):
        put_videos(tmp_path / name, videos)
        VideoIndex(tmp_path / name).export(shards / f"{name}.parquet")
    index = VideoIndex(tmp_path / "all")
    report = index.import_file(shards)
    assert (report.added, report.unchanged, report.num_clips) == (3, 1, 9)
    assert [Path(video.video).name for video in index.videos()] == ["a", "b", "c"]


def test_one_bad_file_of_a_folder_keeps_all_out(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    put_videos(tmp_path / "one", ["a"])
    VideoIndex(tmp_path / "one").export(shards / "a.parquet")
    (shards / "b.parquet").write_bytes(b"no Parquet")
    index = VideoIndex(tmp_path / "all")
    with pytest.raises(UsageError, match=r"b\.parquet"):
        index.import_file(shards)
    assert not index.exists
    with pytest.raises(UsageError, match=r"holds no \.parquet"):
        index.import_file(tmp_path / "one")


def test_a_file_that_changes_between_look_and_store_is_not_stored(tmp_path: Path) -> None:
    put_videos(tmp_path / "one", ["a"])
    VideoIndex(tmp_path / "one").export(file := tmp_path / "rows.parquet")
    put_videos(tmp_path / "two", ["b"])
    VideoIndex(tmp_path / "two").export(other := tmp_path / "other.parquet")

    def swap(done: int, total: int | None) -> None:
        if other.exists():
            other.replace(file)

    with pytest.raises(UsageError, match="has changed since it was looked at"):
        VideoIndex(tmp_path / "all").import_file(file, on_progress=swap)
    assert VideoIndex(tmp_path / "all").videos() == []
