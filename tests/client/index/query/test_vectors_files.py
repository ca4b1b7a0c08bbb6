"""Vectors in files: what `client embed` wrote comes back as a query per video, and nothing else gets in."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from cocon.client import VideoEmbedder
from cocon.client.index.query.vectors_files import is_vectors_file, read_queries
from cocon.client.output.sinks import Format, open_sink
from cocon.core.errors import MismatchError, UsageError

DIM, FINGERPRINT = 8, "f" * 64
VECTORS = np.eye(DIM, dtype=np.float32)[:3]
Write = Callable[[Path, NDArray[Any]], object]


def write_npy(path: Path, vectors: NDArray[Any]) -> None:
    np.save(path, vectors)


def write_npz(path: Path, vectors: NDArray[Any], **columns: Any) -> None:
    np.savez(path, embedding=vectors, **columns)


def write_parquet(path: Path, vectors: NDArray[Any], **columns: Any) -> None:
    parquet.write_table(pyarrow.table({"embedding": list(vectors), **columns}), path)


WRITERS: dict[str, Write] = {".npy": write_npy, ".npz": write_npz, ".parquet": write_parquet}


def refusal(path: Path, expected: type[Exception]) -> str:
    with pytest.raises(expected) as refused:
        read_queries(path, embedding_dim=DIM, fingerprint=FINGERPRINT)
    assert "\n" not in str(refused.value) and path.name in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("chosen", ["npz", "parquet"])
def test_what_embed_wrote_is_a_query_per_video(
    chosen: Format, embedder: VideoEmbedder, videos: list[Path], tmp_path: Path
) -> None:
    embedded = [embedder.embed(video) for video in videos[:2]]
    output = tmp_path / f"rows.{chosen}"
    with open_sink(chosen, output, columns=(), model=embedder.model) as sink:
        for video in [embedded[1], embedded[0], embedded[1]]:  # rows of a video need not follow one another
            sink.write(list(video.rows()))
    found = read_queries(output, embedding_dim=DIM, fingerprint=embedder.model.fingerprint)
    assert [(query.video, query.content_sha256) for query in found] == [
        (video.video, video.content_sha256) for video in (embedded[1], embedded[0])
    ]
    np.testing.assert_array_equal(found[0].embedding, np.concatenate([embedded[1].embedding] * 2))
    np.testing.assert_array_equal(found[1].embedding, embedded[0].embedding)
    assert found[1].start_seconds is not None and found[1].end_seconds is not None
    np.testing.assert_allclose(found[1].start_seconds, embedded[0].start_seconds, atol=1e-6)
    np.testing.assert_allclose(found[1].end_seconds, embedded[0].end_seconds, atol=1e-6)
    assert "another model" in refusal(output, MismatchError)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_plain_vectors_are_one_query_named_by_the_file(suffix: str, dtype: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix.upper()}"
    if suffix == ".parquet":
        dtype = dtype.replace(">", "<")
    with path.open("wb") as stream:  # NumPy would append an ending in lower case
        WRITERS[suffix](stream, VECTORS.astype(dtype))  # type: ignore[arg-type]  # all take streams
    assert is_vectors_file(path) and not is_vectors_file(tmp_path / "a.mp4")
    (query,) = read_queries(path, embedding_dim=DIM, fingerprint=FINGERPRINT)
    assert (query.video, query.content_sha256, query.start_seconds) == (str(path), None, None)
    np.testing.assert_array_equal(query.embedding, VECTORS)
    assert query.embedding.dtype == np.float32 and query.embedding.dtype.isnative


def test_a_single_vector_is_a_query_of_one(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.asfortranarray(VECTORS)[1])
    (query,) = read_queries(tmp_path / "one.npy", embedding_dim=DIM, fingerprint=FINGERPRINT)
    np.testing.assert_array_equal(query.embedding, VECTORS[1:2])


@pytest.mark.parametrize("suffix", WRITERS)
def test_vectors_that_do_not_belong_to_the_index_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{suffix}"
    cases = {
        "must be float32": np.eye(4, dtype=np.float32),
        "not finite": np.where(VECTORS == 1, np.nan, VECTORS),
        "are not finite": VECTORS.astype(np.float64) * 1e300,
        "off unit length": VECTORS * np.float32(1.01),
        "unit length": np.zeros_like(VECTORS),
    }
    for reason, vectors in cases.items():
        WRITERS[suffix](path, vectors)
        assert reason in refusal(path, MismatchError)


@pytest.mark.parametrize("write", [write_npz, write_parquet])
def test_rows_of_several_models_are_refused(write: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / ("mine.npz" if write is write_npz else "mine.parquet")
    write(path, VECTORS, fingerprint=np.array([FINGERPRINT, FINGERPRINT, "0" * 64]))
    assert "another model" in refusal(path, MismatchError)


def crafted_npy(header: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content


def npz_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def saved(write: Write, vectors: NDArray[Any], **columns: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer, vectors, **columns)  # type: ignore[arg-type]  # writers of columns take streams and columns
    return buffer.getvalue()


def table_of(embedding: object, kind: pyarrow.DataType, **columns: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"embedding": pyarrow.array(embedding, kind), **columns}), buffer)
    return buffer.getvalue()


SHORT = "{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }"
HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }"
LISTS = pyarrow.list_(pyarrow.float32())
FILES = {
    "empty.npy": b"",
    "empty.npz": b"",
    "empty.parquet": b"",
    "text.npy": b"0.1 0.2 0.3",
    "magic.npy": b"\x93NUMPY",
    "huge.npy": crafted_npy(HUGE),
    "negative.npy": crafted_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -8), }", bytes(32)),
    "nested.npy": crafted_npy("(" * 9000),
    "odd.npy": crafted_npy("{'descr': 'nothing', 'fortran_order': False, 'shape': (8,), }", bytes(32)),
    "cut.npy": saved(write_npy, VECTORS)[:-1],
    "longer.npy": saved(write_npy, VECTORS) + b"\x00",
    "whole_numbers.npy": saved(write_npy, np.eye(DIM, dtype=np.int64)),
    "scalar.npy": saved(write_npy, np.array(1.0, np.float32)),
    "cube.npy": saved(write_npy, VECTORS[None]),
    "no_rows.npy": saved(write_npy, VECTORS[:0]),
    "huge.npz": npz_of(embedding=crafted_npy(HUGE)),
    "bomb.npz": npz_of(embedding=crafted_npy(SHORT, bytes(10**6))),
    "other.npz": npz_of(vectors=saved(write_npy, VECTORS)),
    "unequal.npz": saved(write_npz, VECTORS, video=np.array(["a", "b"])),
    "numbers.npz": saved(write_npz, VECTORS, video=np.arange(3)),
    "times.npz": saved(write_npz, VECTORS, start_seconds=np.full(3, np.nan)),
    "cut.npz": saved(write_npz, VECTORS)[:-30],
    "flipped.npz": saved(write_npz, VECTORS).replace(VECTORS.tobytes(), VECTORS[::-1].tobytes()),
    "no_rows.parquet": table_of([], LISTS),
    "gaps.parquet": table_of([[1.0, None]], LISTS),
    "missing.parquet": table_of([[1.0] * DIM, None], LISTS),
    "ragged.parquet": table_of([[1.0] * DIM, [1.0]], LISTS),
    "numbers.parquet": table_of([1.0, 2.0], pyarrow.float32()),
    "texts.parquet": table_of([["a"]], pyarrow.list_(pyarrow.string())),
    "other.parquet": saved(write_parquet, VECTORS, video=np.arange(3)),
    "nameless.parquet": saved(write_parquet, VECTORS, video=["a", None, "b"]),
    "cut.parquet": saved(write_parquet, VECTORS)[:-20],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_damaged_or_something_else_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert "client embed --output" in refusal(path, UsageError)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    objects = np.array([Trap()], object)
    np.save(tmp_path / "trap.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "trap.npz", embedding=objects)
    np.savez(tmp_path / "second.npz", embedding=VECTORS, video=np.array([Trap()] * 3, object))
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.npy", "trap.npz", "second.npz", "bare.npy"):
        refusal(tmp_path / name, UsageError)
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "a.mp4").touch()
    for name, reason in {"none.npy": "does not exist", "folder.npy": "is a folder", "a.mp4": ".parquet"}.items():
        assert reason in refusal(tmp_path / name, UsageError)


def test_a_column_that_unpacks_to_more_than_is_read_is_refused_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four million equal bytes take some hundred."""
    monkeypatch.setattr("cocon.client.index.query.columns._MAX_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "bomb.npz", embedding=np.zeros((1 << 10, 1 << 10), np.float32))
    numbers = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.zeros(1 << 20, np.float32)), 1 << 10)
    parquet.write_table(pyarrow.table({"embedding": numbers}), tmp_path / "bomb.parquet")
    for name in ("bomb.npz", "bomb.parquet"):
        assert (tmp_path / name).stat().st_size < 1 << 16
        assert "a column of" in refusal(tmp_path / name, UsageError)


def test_every_truncation_and_flipped_byte_is_read_or_refused(tmp_path: Path) -> None:
    """Never a crash, and no error of another kind."""
    rng = np.random.default_rng(0)
    for suffix, write in WRITERS.items():
        content = saved(write, VECTORS)
        path = tmp_path / f"damaged{suffix}"
        for _ in range(60):
            broken = bytearray(content)
            place = int(rng.integers(len(content)))
            if rng.random() < 0.5:
                del broken[place:]
            else:
                broken[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(broken)
            try:
                read_queries(path, embedding_dim=DIM, fingerprint=FINGERPRINT)
            except (UsageError, MismatchError) as refused:
                assert "\n" not in str(refused)
