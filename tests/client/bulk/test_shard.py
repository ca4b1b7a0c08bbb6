"""Shards: to the last bit what they were made of, or refused."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from cocon.client import FailedVideo, VideoEmbedder, VideoEmbedding
from cocon.client.bulk.embed_shard import EmbedShard
from cocon.client.bulk.shard import RowSizes, Shard, ShardHead, ShardInput, read_head, read_shard, shard_bytes
from cocon.client.bulk.shard_folder import ShardFolder, ShardPlace
from cocon.client.index.catalogue.file_stamp import FileStamp
from cocon.client.pipeline.embedder_settings import EmbedderSettings
from cocon.core.errors import MismatchError, UnreadableVideoError, UsageError

KEY = "k" * 64

MakeShard = Callable[[list[Path]], Shard]


def inputs_of(paths: list[Path]) -> tuple[ShardInput, ...]:
    return tuple(ShardInput(str(path), FileStamp.of(str(path)) if path.exists() else None) for path in paths)


@pytest.fixture
def make_shard(embedder: VideoEmbedder) -> MakeShard:
    def made(paths: list[Path]) -> Shard:
        results = tuple(embedder.embed_many(paths))
        lasting = tuple(isinstance(result, VideoEmbedding) for result in results)
        return Shard(
            ShardHead(KEY, embedder.model.fingerprint, inputs_of(paths), lasting), results, ("told\nsomething",)
        )

    return made


def stored(shard: Shard, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / shard.head.name
    path.write_bytes(shard_bytes(shard, RowSizes(8, 8, 2)))
    return path


def folder_of(path: Path, embedder: VideoEmbedder, key: str = KEY) -> ShardFolder:
    return ShardFolder(path, key, fingerprint=embedder.model.fingerprint, sizes=RowSizes(8, 8, 2))


def assert_same(found: VideoEmbedding | FailedVideo, expected: VideoEmbedding | FailedVideo) -> None:
    if isinstance(expected, FailedVideo):
        assert isinstance(found, FailedVideo)
        assert found.row() == expected.row()
        return
    assert isinstance(found, VideoEmbedding)
    for name in (field.name for field in fields(VideoEmbedding)):
        one, other = getattr(found, name), getattr(expected, name)
        if name == "blocks":
            other = other.astype(np.float16).astype(np.float32)  # as an index keeps them
        if name != "probabilities":
            assert type(one) is type(other) or name in ("missing", "made_by")
            assert np.array_equal(one, other), name


def test_a_shard_says_in_which_views_nobody_is_seen(make_shard: MakeShard, videos: list[Path], tmp_path: Path) -> None:
    shard = make_shard([videos[0]])
    (result,) = shard.results
    assert isinstance(result, VideoEmbedding)
    empty = replace(result, empty_views=("mask", "pose"))
    (found,) = read_shard(stored(replace(shard, results=(empty,)), tmp_path / "shards")).results
    assert_same(found, empty)


def test_a_shard_gives_back_what_it_is_of(make_shard: MakeShard, videos: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "a\n\udcff\u202e.mp4"
    odd.write_bytes(b"no video")
    shard = make_shard([videos[0], odd, videos[1], tmp_path / "missing.mp4"])
    path = stored(shard, tmp_path / "shards")
    assert read_head(path) == shard.head
    found = read_shard(path)
    assert found.head == shard.head and found.warnings == shard.warnings
    for one, other in zip(found.results, shard.results, strict=True):
        assert_same(one, other)
    assert isinstance(found.results[1], FailedVideo)
    assert found.results[1].video == str(odd)


def test_a_damaged_shard_is_refused_wherever_it_is_damaged(
    make_shard: MakeShard, videos: list[Path], tmp_path: Path
) -> None:
    path = stored(make_shard(videos[:2]), tmp_path / "shards")
    whole, sound = path.read_bytes(), read_shard(path)
    unnoticed = []
    for place in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            found = read_shard(path)
        except (ValueError, OSError):
            continue
        for one, other in zip(found.results, sound.results, strict=True):  # what no sum covers changes no result
            assert_same(one, other)
        unnoticed.append(place)
    assert len(unnoticed) < len(whole) / 97 * 2 / 3  # of so small a file most is padding
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises((ValueError, OSError)):
            read_head(path)


def test_a_shard_under_another_name_is_none(make_shard: MakeShard, videos: list[Path], tmp_path: Path) -> None:
    path = stored(make_shard(videos[:1]), tmp_path / "shards")
    other = path.rename(path.with_name(f"shard-{'0' * 32}.parquet"))
    with pytest.raises(ValueError, match="not the shard that its name says"):
        read_head(other)


def test_a_folder_knows_what_is_as_it_was(
    make_shard: MakeShard, videos: list[Path], embedder: VideoEmbedder, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    path = stored(make_shard([videos[0], broken]), tmp_path / "shards")
    one, other = inputs_of([videos[0], broken])
    with folder_of(path.parent, embedder) as folder:
        assert folder.find(one) == ShardPlace(path, 0)
        assert folder.find(other) is None  # may have been the machine's fault, says the head
        assert folder.find(ShardInput(str(videos[0]), None)) is None
        with pytest.raises(UsageError, match="is being written by"):
            folder_of(path.parent, embedder)
    with folder_of(path.parent, embedder, key="other" * 8) as folder:
        assert folder.find(one) is None
    with pytest.raises(MismatchError, match="is of another model"):
        ShardFolder(path.parent, KEY, fingerprint="f" * 64, sizes=RowSizes(8, 8, 2))
    path.write_bytes(b"PAR1 damaged")
    with folder_of(path.parent, embedder) as folder:
        assert folder.find(one) is None
    assert not path.parent.exists()


def test_what_is_outdated_is_taken_out_and_the_rest_stays(
    make_shard: MakeShard, videos: list[Path], embedder: VideoEmbedder, tmp_path: Path
) -> None:
    before = stored(make_shard(videos[:3]), tmp_path / "shards")
    kept = {str(videos[0]): ShardPlace(before, 0)}
    with folder_of(before.parent, embedder) as folder:
        folder.keep_only(kept)
        assert before.exists()
        folder.keep_only({**kept, str(videos[1]): ShardPlace(before.with_name("newer"), 0)})
    (after,) = before.parent.glob("*.parquet")
    shard = read_shard(after)
    assert [given.video for given in shard.head.inputs] == [str(videos[0]), str(videos[2])]
    for one, other in zip(shard.results, make_shard([videos[0], videos[2]]).results, strict=True):
        assert_same(one, other)


def job(url: str, embedder: VideoEmbedder, **other: object) -> str:
    model = embedder.model
    told = {
        "settings": asdict(EmbedderSettings(url, num_cores=1)), "version": version("cocon"), "folder": str(Path.cwd()),
        "fingerprint": model.fingerprint, "model_version": model.version, "made_by": {},
    }  # fmt: skip
    return json.dumps(told | other)


def test_a_worker_makes_the_same_and_tells_what_concerns_all(
    url: str, videos: list[Path], embedder: VideoEmbedder, tmp_path: Path
) -> None:
    inputs = inputs_of([*videos[:2], tmp_path / "missing.mp4"])
    row = {"request": json.dumps({"number": 3, "key": KEY, "videos": [given.as_json for given in inputs]})}
    with EmbedShard(job(url, embedder)) as worker:
        made = worker(row)
    assert (made["number"], made["error"]) == (3, "")
    path = tmp_path / ShardHead(KEY, "", inputs, (True, True, False)).name
    path.write_bytes(made["content"])
    shard = read_shard(path)
    assert shard.head.is_lasting == (True, True, True)
    for one, other in zip(shard.results, embedder.embed_many([given.video for given in inputs]), strict=True):
        assert_same(one, other)
    assert isinstance(shard.results[2], FailedVideo)
    assert isinstance(shard.results[2].error, UnreadableVideoError)
    for wrong, told in (
        ({"version": "0.0"}, "install the same everywhere"),
        ({"folder": str(tmp_path / "gone")}, "folder that all machines share"),
        ({"fingerprint": "f"}, "other models than where the command runs"),
    ):
        error = json.loads(EmbedShard(job(url, embedder, **wrong))(row)["error"])
        assert error["class"] in ("MismatchError", "UsageError")
        assert told in error["message"]


def test_what_only_looks_like_a_shard_is_dropped_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shard-00.parquet"
    (tmp_path / "shard-01.parquet").mkdir()
    os.mkfifo(tmp_path / "shard-02.parquet")
    for told in ("{}", "[]", "3", "[" * 100_000, '{"key": "k", "videos": [{"video": 3, "stamp": 5}]}'):
        notes = {"cocon_shard": told, "cocon_shard_sha256": hashlib.sha256(told.encode()).hexdigest()}
        parquet.write_table(pa.table({"a": [1]}).replace_schema_metadata({**notes, "fingerprint": "f"}), path)
        with ShardFolder(tmp_path, "k", fingerprint="f", sizes=RowSizes(8, 8, 2)):
            assert not path.exists(), told
    assert (tmp_path / "shard-01.parquet").is_dir()
