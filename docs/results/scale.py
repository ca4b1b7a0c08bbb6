"""Make indexes of made-up clips, larger and larger, and measure what becomes dear; writes scale.md and scale.json.

make scale          (python docs/results/scale.py 100000 1000000 3000000 10000000: half an hour, 10 GB of disk)

A clip is 64 numbers without blocks, ten clips are a video, a hundred videos are like each other, a video in a hundred
has a given label. Each step is a process of its own with one thread and a bound on its memory; seconds are those of
the processor, so that other work on the machine counts little. Sizes that were measured before are kept.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import hashlib
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "benchmarks"))

from search_corpus import CLIPS_PER_VIDEO, VIDEOS_PER_ACTION, some_videos  # noqa: E402

from cocon.client import Filters, VideoIndex  # noqa: E402
from cocon.client.index.exchange.columns import clip_schema, index_metadata  # noqa: E402
from cocon.client.index.query.queries import Example, Query  # noqa: E402
from cocon.client.index.query.vectors_files import VectorsQuery  # noqa: E402
from cocon.client.index.records import IndexFacts  # noqa: E402

DIM, NUM_LABELS, NUM_QUERIES, TOP = 64, 100, 100, 10
FACTS = IndexFacts(("rgb",), "f" * 64, DIM, "cocon_rgb")
GROUP_VIDEOS = 10_000
MAX_BYTES = 10 << 30
Facts = dict[str, Any]


def main() -> None:
    """Measure the sizes that are asked for, one after the other, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=int, nargs="*", default=[100_000, 1_000_000, 3_000_000, 10_000_000])
    parser.add_argument("--scratch", type=Path, help="where there is room; default: the system's folder")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_BYTES, MAX_BYTES))
        sys.stdout.write(json.dumps(STEPS[options.step](options.scratch)))
        return
    path = HERE / "scale.json"
    for num_clips in options.clips:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            found = measured(Path(folder), num_clips)
        known = json.loads(path.read_text()) if path.exists() else {"sizes": {}}
        known["sizes"][str(num_clips)] = found
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        known |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine}
        path.write_text(json.dumps(known, indent=1) + "\n")
        (HERE / "scale.md").write_text(page(known))


def measured(folder: Path, num_clips: int) -> Facts:
    """All steps on one size."""
    write_clips(folder, num_clips)
    found: Facts = {}
    for name in STEPS:
        began = time.monotonic()
        command = [sys.executable, __file__, "--step", name, "--scratch", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        said = done.stderr.strip().splitlines()[-1:]
        found[name] = json.loads(done.stdout) if not done.returncode else {"broke": said or [str(done.returncode)]}
        found[name]["wall_s"] = round(time.monotonic() - began, 1)
        sys.stderr.write(f"{num_clips} {name} {json.dumps(found[name])}\n")
    return found


def write_clips(folder: Path, num_clips: int) -> None:
    """A file as `client index export` writes it, and vectors that ask."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    num_videos = num_clips // CLIPS_PER_VIDEO
    actions = rng.standard_normal((max(1, num_videos // VIDEOS_PER_ACTION), DIM), np.float32)
    schema = clip_schema(FACTS, 0, index_metadata(FACTS, 0, {}, {}))
    with parquet.ParquetWriter(folder / "clips.parquet", schema, compression="NONE") as writer:
        for first in range(0, num_videos, GROUP_VIDEOS):
            numbers = np.arange(first, min(num_videos, first + GROUP_VIDEOS))
            vectors = some_videos(rng, actions, len(numbers))
            writer.write_table(pa.Table.from_pydict(columns_of(numbers, vectors), schema=schema))
    np.save(folder / "queries.npy", some_videos(rng, actions, -(-NUM_QUERIES // CLIPS_PER_VIDEO))[:NUM_QUERIES])


def columns_of(numbers: np.ndarray, vectors: np.ndarray) -> dict[str, Any]:
    """What such a file says of videos."""
    import pyarrow as pa

    owner = pa.array(np.repeat(np.arange(len(numbers)), CLIPS_PER_VIDEO))

    def spread(texts: list[str]) -> Any:  # noqa: ANN401  # pyarrow is untyped
        return pa.array(texts).take(owner)

    count = len(vectors)
    clip = np.tile(np.arange(CLIPS_PER_VIDEO), len(numbers))
    texts = {
        "video": [video_path(number) for number in numbers],
        "content_sha256": [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers],
        "label": [f"l{number % NUM_LABELS}" for number in numbers],
    }
    same = {"view": "rgb", "model": "cocon_rgb", "version": "1", "fingerprint": FACTS.fingerprint, "metadata": "{}"}
    return {
        **{name: spread(values) for name, values in texts.items()},
        **{name: pa.array([text]).take(pa.array(np.zeros(count, np.int64))) for name, text in same.items()},
        "clip": clip,
        "start_seconds": clip.astype(np.float64),
        "end_seconds": clip + 1.0,
        "num_frames": np.full(count, 160),
        "truncated": np.zeros(count, bool),
        "overlap": np.zeros(count),
        "also": pa.nulls(count, pa.list_(pa.struct([(name, pa.string()) for name in ("video", "label", "metadata")]))),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
    }


def video_path(number: int) -> str:
    """As long as paths are."""
    return f"/archive/camera-{number % 40:02}/2026-{number % 12 + 1:02}/{number:08}.mp4"


@contextmanager
def watched(found: Facts, name: str) -> Iterator[None]:
    """Processor seconds of a block, and the most memory that the process had; mapped files are not counted."""
    most, ended = [own_bytes()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            most.append(max(most.pop(), own_bytes()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.process_time()
    try:
        yield
    finally:
        found[f"{name}_s"] = round(time.process_time() - began, 4)
        ended.set()
        watcher.join()
        found[f"{name}_peak_mib"] = round(max(most) / 2**20)


def own_bytes() -> int:
    """Memory of this process that is no file's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    return 0


def import_step(folder: Path) -> Facts:
    """The clips come into a new index; the lists are built at the end."""
    found: Facts = {}
    marks: dict[str, float] = {}

    def on_progress(done: int, total: int | None) -> None:
        if marks.get("total") not in (None, total):
            marks.setdefault("lists", time.process_time())
        marks.setdefault("total", float(total or 0))
        if total and 2 * done >= total:
            marks.setdefault("stored", time.process_time())
        if done == total:
            marks.setdefault("end", time.process_time())

    began = time.process_time()
    with watched(found, "all"):
        report = VideoIndex(folder / "index").import_file(folder / "clips.parquet", on_progress=on_progress)
    ended = time.process_time()
    found |= {
        "clips": report.num_clips,
        "looked_s": round(marks["stored"] - began, 2),
        "stored_s": round(marks["end"] - marks["stored"], 2),
        "then_s": round(marks.get("lists", ended) - marks["end"], 2),
        "lists_s": round(ended - marks["lists"], 2) if "lists" in marks else 0.0,
    }
    statistics_of_it = VideoIndex(folder / "index").statistics()
    kinds = {name.partition("-")[0].partition(".")[0]: size for name, size in statistics_of_it.file_bytes.items()}
    return found | {"bytes": kinds, "way": statistics_of_it.way}


def ask_step(folder: Path) -> Facts:
    """A new process opens the index and asks it."""
    found: Facts = {}
    index = VideoIndex(folder / "index")
    with watched(found, "open"):
        index.snapshot()
    queries = [
        Query.of_examples(liked=[Example.of_vectors(VectorsQuery("query", None, vector[None]))])
        for vector in np.load(folder / "queries.npy")
    ]
    with watched(found, "first"):
        index.search(queries[0], top=TOP)
    num_exact = 100 if len(index.snapshot().vectors) <= 1_000_000 else 20
    rare = Filters(labels=("l7",))
    with watched(found, "all"):
        exact = timed(found, "exact", lambda query: index.search(query, top=TOP, is_exact=True), queries[:num_exact])
        lists = timed(found, "lists", lambda query: index.search(query, top=TOP), queries)
        timed(found, "filtered", lambda query: index.search(query, top=TOP, filters=rare), queries[:num_exact])
    kept = [
        len({hit.video for hit in ours} & {hit.video for hit in best}) / TOP
        for ours, best in zip(lists, exact, strict=False)
    ]
    return found | {"recall": round(statistics.mean(kept), 4)}


def timed(found: Facts, name: str, ask: Callable[[Query], list[Any]], queries: list[Query]) -> list[list[Any]]:
    """Answers, and the median of their milliseconds; the first is not counted."""
    ask(queries[0])
    answers, took = [], []
    for query in queries:
        began = time.process_time()
        answers.append(ask(query))
        took.append(time.process_time() - began)
    found[f"{name}_ms"] = round(1000 * statistics.median(took), 2)
    return answers


def change_step(folder: Path) -> Facts:
    """A single commit: metadata of one video."""
    found: Facts = {}
    with watched(found, "change"):
        VideoIndex(folder / "index").describe([video_path(7)], {"camera": 3.0})
    return found


STEPS: dict[str, Callable[[Path], Facts]] = {"import": import_step, "ask": ask_step, "change": change_step}

_ROWS: tuple[tuple[str, Callable[[int, Facts], object]], ...] = (
    (
        "import, clips a second, without lists",
        lambda n, f: f"{n / (f['import']['all_s'] - f['import']['lists_s']):,.0f}",
    ),
    ("of that: looked at, s", lambda n, f: f["import"]["looked_s"]),
    ("stored, s", lambda n, f: f["import"]["stored_s"]),
    ("rules of ranking and vote, s", lambda n, f: f["import"]["then_s"]),
    ("lists built, s", lambda n, f: f["import"]["lists_s"]),
    ("import, most memory, MiB", lambda n, f: f["import"]["all_peak_mib"]),
    ("bytes a clip: vectors", lambda n, f: round(f["import"]["bytes"]["vectors"] / n, 1)),
    ("catalogue", lambda n, f: round(f["import"]["bytes"]["catalog"] / n, 1)),
    ("lists", lambda n, f: round(f["import"]["bytes"].get("lists", 0) / n, 1)),
    ("open, s", lambda n, f: f["ask"]["open_s"]),
    ("open, most memory, MiB", lambda n, f: f["ask"]["open_peak_mib"]),
    ("first search (proves all vectors where there are no lists), s", lambda n, f: f["ask"]["first_s"]),
    ("search, every vector, ms", lambda n, f: f["ask"]["exact_ms"]),
    ("search as by default, ms", lambda n, f: f["ask"]["lists_ms"]),
    ("of the ten best of all, found", lambda n, f: f["ask"]["recall"]),
    ("search among the 1 % of a label, ms", lambda n, f: f["ask"]["filtered_ms"]),
    ("searching, most memory, MiB", lambda n, f: f["ask"]["all_peak_mib"]),
    ("one commit in a new process, s", lambda n, f: f["change"]["change_s"]),
    ("one commit, most memory, MiB", lambda n, f: f["change"]["change_peak_mib"]),
)


def page(known: Facts) -> str:
    """The table, a column for each size."""
    sizes = sorted(map(int, known["sizes"]))
    lines = [
        "# Indexes of many clips",
        "",
        f"`python docs/results/scale.py {' '.join(map(str, sizes))}` ({known['date']}, {known['machine']}).",
        "",
        *__doc__.strip().splitlines()[4:],
        "What follows from it is in [scale.md](../scale.md).",
        "",
        "| clips | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    for name, value in _ROWS:
        cells = []
        for size in sizes:
            try:
                cells.append(str(value(size, known["sizes"][str(size)])))
            except KeyError:  # the step broke
                cells.append("-")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
