"""Search over a million clips beside the exact scan, bare FAISS of the same type, and other libraries.

python benchmarks/search.py [--clips 200000]     # else a million clips of 256: 4 GB of memory, a quarter of an hour

Vectors are as the product makes them, ten clips like each other in each video, videos of one action like each other;
and uniform noise, where no lists help. Queries are clips of none of the videos. One thread, and the clock of the
processor: what else the machine does would be measured otherwise. Sides run in turn. hnswlib, USearch and LanceDB have
part if they are installed; the project does not need them.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from results_file import Row, write_results
from search_corpus import NUM_QUERIES, Corpus, clustered, noisy
from search_others import NAMES, Side, other_sides

from cocon.client.index.search.lists.building import make_lists
from cocon.client.index.search.lists.record import ListsRecord
from cocon.client.index.search.lists.row_lists import RowLists, open_lists
from cocon.client.index.search.vector_search import VectorSearch

NUM_ROUNDS = 5
TOP = 10
OTHERS_CLIPS = 100_000  # graphs are slow to build


def main() -> None:
    """Measure, print and write `benchmarks/results/search.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1_000_000, help="of the large index")
    num_clips = parser.parse_args().clips
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        small = clustered(folder / "small.npy", 10_000, 64)
        rows += told(exact_beside_faiss(small, calls=200))
        rows += told(others(clustered(folder / "others.npy", min(OTHERS_CLIPS, num_clips), 256), folder))
        rows += told(noise(folder, num_clips // 5))
        rows += told(large(clustered(folder / "large.npy", num_clips, 256), folder))
    packages = ["faiss-cpu", "numpy", *(name for name in NAMES if find_spec(name))]
    print(write_results("search", rows, packages=packages))


def told(rows: list[Row]) -> list[Row]:
    """The same, printed."""
    for row in rows:
        print(f"{row.case}: {row.value:g} {row.unit}, {row.ratio:g}× {row.versus}", flush=True)
    return rows


def exact_beside_faiss(corpus: Corpus, calls: int) -> list[Row]:
    """The scan beside FAISS's."""
    flat = faiss.IndexFlatIP(corpus.dim)
    flat.add(corpus.vectors)
    search = VectorSearch(corpus.vectors, corpus.table)
    named = f"{len(corpus.vectors):,} × {corpus.dim}"
    one = milliseconds(
        {
            "ours": lambda number: search.search([corpus.asked(number)], top=TOP),
            "faiss": lambda number: flat.search(corpus.queries[[number]], TOP),
        },
        calls,
    )
    many = [corpus.asked(number) for number in range(64)]
    batch = milliseconds(
        {
            "ours": lambda number: search.search(many, top=TOP),
            "faiss": lambda number: flat.search(corpus.queries[:64], TOP),
        },
        5,
    )
    return [
        compared(f"{named}, exact, one query", one, "faiss", "IndexFlatIP, which does not group by video"),
        compared(f"{named}, exact, 64 queries at once", batch, "faiss", "IndexFlatIP, which does not group by video"),
    ]


def large(corpus: Corpus, folder: Path) -> list[Row]:
    """Lists: how long they take to build and open, what they find, and how fast."""
    start = time.perf_counter()
    record = built(corpus, folder / "lists-1.faiss")
    minutes = (time.perf_counter() - start) / 60
    named = f"{len(corpus.vectors):,} × {corpus.dim}, {record.num_lists} lists, {record.num_probed} read"
    search = VectorSearch(corpus.vectors, corpus.table, lists=RowLists.open(folder, record, corpus.dim))
    seconds, mebibytes = opened(folder, record, corpus.dim)
    size = record.num_bytes / 2**20
    return [
        Row(f"{named}: to build", round(minutes, 2), "min", "nothing", 0),
        Row(f"{named}: file", round(size, 1), "MiB", "float32", round(corpus.vectors.nbytes / record.num_bytes, 2)),
        allowed(f"{named}: to open, checksum verified", seconds * 1000, "ms", 200),
        allowed(f"{named}: resident when opened", mebibytes, "MiB", 300),
        Row(f"{named}: recall@10 of videos", round(recall(search, corpus), 4), "", "exact", 1),
        *timed(search, open_lists(folder, record, corpus.dim), corpus, record, named),
        *filtered(search, corpus, named),
        *exact_beside_faiss(corpus, calls=3),
    ]


def timed(search: VectorSearch, bare: Any, corpus: Corpus, record: ListsRecord, named: str) -> list[Row]:  # noqa: ANN401
    """Single queries, those of ten clips, and batches; beside the exact scan and bare FAISS."""
    parameters = faiss.SearchParametersIVF(nprobe=record.num_probed)
    many = [corpus.asked(number) for number in range(64)]
    one = milliseconds(
        {
            "ours": lambda number: search.search([corpus.asked(number)], top=TOP),
            "bare": lambda number: bare.search(corpus.queries[[number]], TOP, params=parameters),
        },
        100,
    )
    batch = milliseconds(
        {
            "ours": lambda number: search.search(many, top=TOP),
            "bare": lambda number: bare.search(corpus.queries[:64], TOP, params=parameters),
        },
        3,
    )
    clips = milliseconds({"ours": lambda number: search.search([corpus.asked(number, 10)], top=TOP)}, 20)
    scan = milliseconds({"exact": lambda number: search.search([corpus.asked(number)], top=TOP, is_exact=True)}, 3)
    return [
        compared(f"{named}: one query", one | scan, "exact", "the exact scan"),
        compared(f"{named}: one query", one, "bare", "bare FAISS of the same lists"),
        compared(f"{named}: 64 queries at once", batch, "bare", "bare FAISS of the same lists"),
        allowed(f"{named}: ten clips of a query", clips["ours"], "ms", 12),
    ]


def filtered(search: VectorSearch, corpus: Corpus, named: str) -> list[Row]:
    """Filters that leave half of the videos, a hundredth, and a ten-thousandth."""
    rows = []
    for share in (0.5, 0.01, 0.0001):
        left = np.random.default_rng(7).random(len(corpus.table.video_ids)) < share
        times = milliseconds(
            {
                "ours": lambda number, left=left: search.search([corpus.asked(number)], allowed=left),
                "scan": lambda number, left=left: search.search([corpus.asked(number)], allowed=left, is_exact=True),
            },
            3,
        )
        found = f"{named}, a filter leaves {share:.2%}"
        rows.append(compared(f"{found}: one query", times, "scan", "the exact search of what is left"))
        rows.append(Row(f"{found}: recall@10", round(recall(search, corpus, left), 4), "", "exact", 1))
    return rows


def noise(folder: Path, num_clips: int) -> list[Row]:
    """Uniform noise, where the calibration must say that no lists help."""
    corpus = noisy(num_clips, 256)
    record = built(corpus, folder / "lists-noise.faiss")
    assert record.file is None, record
    print(f"{num_clips:,} × 256 of noise: {record.why_none}")
    case = (
        f"{num_clips:,} × 256 of noise, {record.num_probed} of {record.num_lists} lists read: recall@10, so none kept"
    )
    return [Row(case, round(record.recall, 4), "", "the 0.99 that is asked", round(record.recall / 0.99, 2))]


def others(corpus: Corpus, folder: Path) -> list[Row]:
    """Other libraries at settings of theirs that find 0.99, beside our lists."""
    record = built(corpus, folder / "lists-others.faiss")
    lists = RowLists.open(folder, record, corpus.dim) if record.file else None
    search = VectorSearch(corpus.vectors, corpus.table, lists=lists)
    sides: dict[str, Side] = {"ours": lambda number: search.search([corpus.asked(number)], top=TOP)}
    sides |= dict(other_sides(corpus, folder, TOP))
    times = milliseconds(sides, 50)
    case = f"{len(corpus.vectors):,} × {corpus.dim}, {record.num_lists} lists, {record.num_probed} read: one query"
    return [compared(case, times, name, name) for name in times if name != "ours"]


def built(corpus: Corpus, path: Path) -> ListsRecord:
    """Lists, built with all cores."""
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    record = make_lists(path, corpus.vectors, corpus.table, np.arange(len(corpus.vectors)))
    faiss.omp_set_num_threads(1)
    return record


def opened(folder: Path, record: ListsRecord, dim: int) -> tuple[float, float]:
    """Seconds to open lists, and MiB resident then, in a process of its own."""
    program = (
        "import json, sys, time; from pathlib import Path\n"
        "from cocon.client.index.search.lists.record import ListsRecord\n"
        "from cocon.client.index.search.lists.row_lists import RowLists; import faiss\n"
        "record = ListsRecord.from_json(json.loads(sys.argv[2])); start = time.process_time()\n"
        "lists = RowLists.open(Path(sys.argv[1]), record, int(sys.argv[3])); seconds = time.process_time() - start\n"
        "resident = [line for line in open('/proc/self/status') if line.startswith('VmRSS')][0].split()[1]\n"
        "print(json.dumps([seconds, int(resident) / 1024]))"
    )
    command = [sys.executable, "-c", program, str(folder), json.dumps(record.to_json()), str(dim)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(NUM_ROUNDS)]
    seconds, mebibytes = (statistics.median(values) for values in zip(*runs, strict=True))
    return seconds, mebibytes


def recall(search: VectorSearch, corpus: Corpus, left: NDArray[np.bool_] | None = None) -> float:
    """Share of the best that is found; of equal ones each is as good."""
    queries = [corpus.asked(number) for number in range(256)]
    found = search.search(queries, top=TOP, allowed=left).answers
    best = search.search(queries, top=TOP, allowed=left, is_exact=True).answers
    shares = [
        float((mine.scores >= theirs.scores[-1]).sum()) / len(theirs.scores)
        for mine, theirs in zip(found, best, strict=True)
        if len(theirs.scores)
    ]
    return min(1.0, statistics.mean(shares)) if shares else 1.0


def milliseconds(sides: Mapping[str, Side], calls: int) -> dict[str, float]:
    """Of the processor, for a call: the median of rounds, in which the sides take turns, of the median of calls."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(-1, NUM_ROUNDS):
        for name, side in sides.items():
            times = []
            for call in range(calls):
                start = time.process_time()
                side((round_number * calls + call) % NUM_QUERIES)
                times.append(time.process_time() - start)
            if round_number >= 0:  # the first is to warm up
                taken[name].append(statistics.median(times))
    return {name: 1000 * statistics.median(times) for name, times in taken.items()}


def compared(case: str, times: Mapping[str, float], other: str, versus: str) -> Row:
    """Ours beside another side."""
    return Row(case, round(times["ours"], 3), "ms", versus, round(times[other] / times["ours"], 2))


def allowed(case: str, value: float, unit: str, most: float) -> Row:
    """A figure that may not be larger."""
    return Row(case, round(value, 1), unit, f"the {most:g} that are allowed", round(most / value, 2))


if __name__ == "__main__":
    main()
