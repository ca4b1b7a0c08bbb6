"""A whole index folder: opened, asked, a video added and removed; beside FAISS's file, read and written whole.

python benchmarks/index.py [--clips 200000]     # else a million clips of 256: 4 GB of disk, twenty minutes

Vectors are as in `search.py`, with a hundred labels, and lists as the product builds them. One thread, wall time.
Opening is measured in new processes, from the first look at the folder on; what is beside it in the same way.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray
from results_file import Row, write_results
from search_corpus import CLIPS_PER_VIDEO, Corpus, clustered

from cocon.client import Filters, VideoIndex
from cocon.client.index.answers.kept_lists import keep_lists
from cocon.client.index.catalogue.tables import VideoRecord, put_place, put_video
from cocon.client.index.changes.contents import Contents
from cocon.client.index.files.checksums import row_checksums
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.records import IndexFacts
from cocon.client.pipeline.video_embedding import VideoEmbedding

NUM_ROUNDS, NUM_LABELS, TOP = 7, 100, 10
NUM_ASKED = 200
FINGERPRINT = "f" * 64
FLAT = "IndexFlatIP in a file, which knows no videos"

_OURS = """
import json, pathlib, resource, sys, time
import numpy
import cocon.client.index.folder, cocon.client.index.answers.searching, faiss
begin = time.perf_counter()
index = cocon.client.index.folder.VideoIndex(sys.argv[1])
index.snapshot()
opened = time.perf_counter()
resident = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
from cocon.client.index.query.queries import Query
from cocon.client.index.query.vectors_files import read_queries
from cocon.client.index.query.queries import Example
(vectors,) = read_queries(pathlib.Path(sys.argv[2]), embedding_dim=int(sys.argv[3]), fingerprint="")
index.search(Query.of_examples(liked=[Example.of_vectors(vectors)]), top=10)
print(json.dumps([opened - begin, time.perf_counter() - begin, resident]))
"""
_FLAT = """
import json, pathlib, resource, sys, time
import faiss, numpy
begin = time.perf_counter()
index = faiss.read_index(sys.argv[1])
opened = time.perf_counter()
resident = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
index.search(numpy.load(sys.argv[2])[None], 10)
print(json.dumps([opened - begin, time.perf_counter() - begin, resident]))
"""


def main() -> None:
    """Measure, print and write `benchmarks/results/index.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1_000_000, help="of the index")
    num_clips = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as scratch:
        corpus = clustered(Path(scratch) / "clips.npy", num_clips, 256)
        folder, build_s = Path(scratch) / "index", {}
        fill(folder, corpus, build_s)
        flat = faiss.IndexFlatIP(corpus.dim)
        flat.add(corpus.vectors)
        faiss.write_index(flat, f"{scratch}/flat.faiss")
        named = f"{num_clips:,} × {corpus.dim}"
        rows = [*opened(folder, Path(scratch), corpus, named), *asked(folder, flat, corpus, named)]
        rows += changed(folder, flat, Path(scratch), corpus, named)
        num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    rows += [Row(f"{named}: {what}", round(value, 1), "s", "nothing", 1.0) for what, value in build_s.items()]
    rows.append(Row(f"{named}: bytes of the folder", round(num_bytes / 2**20), "MiB", "nothing", 1.0))
    for row in rows:
        print(f"{row.case}: {row.value:g} {row.unit}, {row.ratio:g}× {row.versus}")
    print(write_results("index", rows, packages=["faiss-cpu", "numpy"]))


def fill(folder: Path, corpus: Corpus, build_s: dict[str, float]) -> None:
    """Write an index of the corpus: videos of ten clips, a label each."""
    folder.mkdir()
    facts = IndexFacts(("rgb",), FINGERPRINT, corpus.dim, "cocon_rgb")
    begin = time.perf_counter()
    with IndexWriter(folder, new=(facts, 0)) as writer:
        for first in range(0, len(corpus.vectors), 50_000):
            vectors = corpus.vectors[first : first + 50_000]
            with writer.transaction() as connection:
                row = writer.append(vectors, None)
                for start in range(0, len(vectors), CLIPS_PER_VIDEO):
                    part = vectors[start : start + CLIPS_PER_VIDEO]
                    number = (first + start) // CLIPS_PER_VIDEO
                    video_id = put_video(connection, record(number, row + start, part))
                    put_place(connection, f"/videos/{number:07}.mp4", video_id, label=label(number), metadata={})
        build_s["vectors and catalogue written"] = time.perf_counter() - begin
        begin = time.perf_counter()
        keep_lists(writer)
        build_s["lists built, one thread"] = time.perf_counter() - begin


def record(number: int, first_row: int, vectors: NDArray[np.float32]) -> VideoRecord:
    """A video of the catalogue."""
    starts = np.arange(len(vectors), dtype=np.float64)
    return VideoRecord(
        hashlib.sha256(str(number).encode()).hexdigest(),
        "rgb",
        16 * len(vectors),
        False,
        0.0,
        "cocon_rgb",
        "1",
        FINGERPRINT,
        first_row,
        np.stack([starts, starts + 1], axis=1),
        row_checksums(np.ascontiguousarray(vectors)),
        np.array([], np.uint64),
    )


def label(number: int) -> str:
    """Half of the videos have one, one in ten thousand another; each of the others is that of one in a hundred."""
    if number % 1000 == 7:
        return "rare" if number % 10_000 == 7 else "common"
    return "half" if number % 2 else f"l{number % NUM_LABELS}"


def opened(folder: Path, scratch: Path, corpus: Corpus, named: str) -> list[Row]:
    """A new process opens the index, and finds."""
    np.save(scratch / "query.npy", corpus.queries[0])
    ours, flat = [], []
    for _ in range(NUM_ROUNDS):
        ours.append(process(_OURS, folder, scratch / "query.npy", corpus.dim))
        flat.append(process(_FLAT, scratch / "flat.faiss", scratch / "query.npy"))
    (opens, finds, resident), (flat_opens, flat_finds, flat_resident) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in (ours, flat)
    )
    return [
        Row(f"{named}: opened", round(1e3 * opens, 1), "ms", FLAT, round(flat_opens / opens, 2)),
        Row(f"{named}: opened and first search", round(1e3 * finds, 1), "ms", FLAT, round(flat_finds / finds, 2)),
        Row(f"{named}: resident when opened", round(resident), "MiB", FLAT, round(flat_resident / resident, 2)),
    ]


def process(code: str, *arguments: object) -> list[float]:
    """What a new process measures."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[float] = json.loads(ended.stdout)
    return found


def video_of(corpus: Corpus, begin: int, count: int, name: str = "query") -> VideoEmbedding:
    """Queries of the corpus as an embedded video."""
    vectors = corpus.queries[begin : begin + count]
    starts = np.arange(count, dtype=np.float64)
    return VideoEmbedding(
        video=f"/videos/{name}.mp4",
        content_sha256=hashlib.sha256(name.encode()).hexdigest(),
        view="rgb",
        start_seconds=starts,
        end_seconds=starts + 1,
        embedding=np.ascontiguousarray(vectors),
        blocks=np.empty((count, 0, corpus.dim), np.float32),
        probabilities=None,
        num_frames=16 * count,
        truncated=False,
        model="cocon_rgb",
        version="1",
        fingerprint=FINGERPRINT,
    )


def asked(folder: Path, flat: faiss.IndexFlatIP, corpus: Corpus, named: str) -> list[Row]:
    """Hits of `VideoIndex.search`, paths and labels and all, beside the scan that names rows alone."""
    index = VideoIndex(folder)
    cases: dict[str, Callable[[int], object]] = {
        "one clip": lambda number: index.search(video_of(corpus, number, 1), top=TOP),
        "ten clips": lambda number: index.search(video_of(corpus, number, 10), top=TOP),
    }
    filters = {"half": ("half",), "one label in a hundred": ("l8",), "one video in ten thousand": ("rare",)}
    for what, labels in filters.items():
        chosen = Filters(labels=labels)
        cases[f"filter, {what}"] = lambda number, chosen=chosen: index.search(
            video_of(corpus, number, 1), top=TOP, filters=chosen
        )
    rows = []
    for what, search in cases.items():
        for number in range(NUM_ASKED):  # what is read for the first time comes from the disk
            search(NUM_ASKED + number)
        ours, scans = [], []
        for number in range(NUM_ASKED):
            ours.append(milliseconds(lambda number=number, search=search: search(number)))
            if number < NUM_ROUNDS:
                queries = corpus.queries[number : number + (10 if what == "ten clips" else 1)]
                scans.append(milliseconds(lambda queries=queries: flat.search(queries, TOP)))
        median, scan = statistics.median(ours), statistics.median(scans)
        rows.append(Row(f"{named}: {what}", round(median, 3), "ms", "IndexFlatIP.search", round(scan / median, 2)))
    return rows


def changed(folder: Path, flat: faiss.IndexFlatIP, scratch: Path, corpus: Corpus, named: str) -> list[Row]:
    """One video more, and one less: opening, committing to the disk, closing."""
    adds, removes, writes = [], [], []
    for number in range(NUM_ROUNDS):
        video = video_of(corpus, 10 * number, 10, f"new {number}")

        def add(video: VideoEmbedding = video) -> None:
            with IndexWriter(folder) as writer:
                Contents(writer).put(video.video, replace(video), label="new", overlap=0.0)
                keep_lists(writer)

        adds.append(milliseconds(add))
        removes.append(milliseconds(lambda video=video: VideoIndex(folder).remove([video.video])))
        if number < 3:
            writes.append(milliseconds(lambda: faiss.write_index(flat, f"{scratch}/again.faiss")))
    write = statistics.median(writes)
    medians = {"one video added": statistics.median(adds), "one video removed": statistics.median(removes)}
    return [
        Row(f"{named}: {what}", round(median, 1), "ms", FLAT, round(write / median, 2))
        for what, median in medians.items()
    ]


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
