"""Holds Milvus Lite to a folder: the same answers, and what they cost; writes milvus.md and milvus.json.

    python docs/results/milvus.py [--clips 10000] [--videos 120]

Made-up clips of 256 dimensions with copies among them, and generated videos embedded by the packed encoders, each in a
folder and in Milvus Lite. Latencies are of one thread, asked in turn, in this process.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cocon.client import Condition, Filters, SearchOptions, VideoEmbedding, VideoIndex
from cocon.client.collection.milvus_index import MilvusIndex
from cocon.client.index.changes.contents import Contents
from cocon.client.index.exchange.copying import copy_index
from cocon.client.index.query.queries import Query
from cocon.client.index.records import IndexFacts
from cocon.training.reproduce.markdown import machine, markdown_table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DIM, CLIPS_PER_VIDEO, NUM_BLOCKS, NUM_LABELS = 256, 10, 4, 20
NUM_QUERIES, NUM_ROUNDS, NUM_TIMED = 100, 5, 5
FACTS = IndexFacts(("rgb",), "f" * 64, DIM, "made-up")
# A condition, and a time in seconds, that some meet.
MADE_UP, GENERATED = ("take>3", 3.0, 9.0), ("split=train", 0.1, 1.0)
PACKED = ROOT / "pretrained" / "figures-tiny"

Row = dict[str, Any]
OTHERS = {
    "none, without itself": SearchOptions(exclude_self=True),
    "none, moments": SearchOptions(grouping="moment"),
    "none, means": SearchOptions(match="mean"),
    "none, all copies": SearchOptions(keep_duplicates=True),
}


def main() -> None:
    """Judge both sets, and write page and rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--videos", type=int, default=120)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="cocon-milvus-") as root:
        folder = Path(root)
        made_up = judged("made-up", made_up_index(folder / "made-up", options.clips), folder, MADE_UP)
        generated = judged("generated", generated_index(folder, options.videos), folder, GENERATED)
    content = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "sets": [made_up, generated]}
    (HERE / "milvus.json").write_text(json.dumps(content, indent=1) + "\n")
    (HERE / "milvus.md").write_text(page(content, sys.argv[1:]))


def made_up_index(folder: Path, num_clips: int) -> VideoIndex:
    """Videos of twenty kinds; every twentieth is a copy of the one before, or nearly."""
    index, rng = VideoIndex(folder), np.random.default_rng(0)
    kinds = rng.standard_normal((NUM_LABELS, DIM))
    with index.writer(new=(FACTS, NUM_BLOCKS)) as writer:
        contents, video = Contents(writer), None
        for begin in range(0, num_clips // CLIPS_PER_VIDEO, 200):
            with contents.transaction():
                for number in range(begin, min(begin + 200, num_clips // CLIPS_PER_VIDEO)):
                    video = embedding(rng, kinds, number, video if number % 20 == 19 else None)
                    contents.put(
                        video.video,
                        video,
                        label=f"kind {number % NUM_LABELS}",
                        overlap=0.0,
                        values={"take": number % 7},
                    )
    return index


def embedding(
    rng: np.random.Generator, kinds: np.ndarray[Any, Any], number: int, same: VideoEmbedding | None = None
) -> VideoEmbedding:
    """A made-up video; of one that is given, a copy."""
    name = f"/made/up/v{number:06d}.mp4"
    if same is not None:
        noise = 1e-4 * rng.standard_normal(same.embedding.shape).astype(np.float32) * (number % 40 == 39)
        return replace(same, video=name, content_sha256=f"{number:064x}", embedding=unit(same.embedding + noise))
    blocks = kinds[number % NUM_LABELS] + rng.standard_normal(DIM)
    blocks = unit(blocks + 0.7 * rng.standard_normal((CLIPS_PER_VIDEO, NUM_BLOCKS, DIM)))
    starts = 2.0 * np.arange(CLIPS_PER_VIDEO)
    return VideoEmbedding(
        name, f"{number:064x}", "rgb", starts, starts + 2.0, unit(blocks.mean(axis=1)), blocks, None, 500, False,
        "made-up", "1", FACTS.fingerprint,
    )  # fmt: skip


def unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Brought to unit length."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def generated_index(folder: Path, num_videos: int) -> VideoIndex:
    """Generated videos, embedded."""
    data, models, index = folder / "data", folder / "models", folder / "generated"
    for command in (
        ["cocon", "data", "make", "--output", data, "--num-videos", num_videos, "--seed", 1],
        ["cocon", "export", "--run", PACKED, "--repository", models, "--no-torchscript"],
        ["client", "index", "add", data, "--index", index, "--url", f"local:{models}", "--quiet"],
    ):
        subprocess.run([*map(str, command)], check=True, cwd=folder)
    return VideoIndex(index)


def judged(name: str, index: VideoIndex, folder: Path, chosen: tuple[str, float, float]) -> Row:
    """One set; by a condition and a time that some of its videos and clips meet."""
    file = folder / f"{name}.db"
    milvus = MilvusIndex(f"milvus:{file}/videos")
    begin = time.perf_counter()
    copy_index(index, milvus)
    copied_s = time.perf_counter() - begin
    videos = index.videos()
    num_clips = sum(video.num_clips for video in videos)
    queries = queries_of(index)
    label = next(video.label for video in videos)
    filters = {
        "none": Filters(),
        "a label": Filters(labels=(label,)),
        "not a label": Filters(not_labels=(label,)),
        "a folder and a value": Filters(paths=("/**",), where=(Condition.parse(chosen[0]),)),
        "a time": Filters(from_seconds=chosen[1], to_seconds=chosen[2]),
    }
    row: Row = {"set": name, "num_clips": num_clips, "num_videos": len(videos), "copied_seconds": round(copied_s, 1)}
    row["agreement"] = {
        told: agreement(index, milvus, queries, SearchOptions(filters=of)) for told, of in filters.items()
    }
    for told, options in OTHERS.items():
        row["agreement"][told] = agreement(index, milvus, queries, options)
    row["latency"] = {told: latency(index, milvus, queries, filters[told]) for told in ("none", "a label")}
    dim = index.facts.embedding_dim
    row |= {"embedding_dim": dim, "num_blocks": index.statistics().num_blocks}
    row["folder_bytes_per_clip"] = round(index.statistics().total_bytes / num_clips)
    milvus.close()
    size = sum(path.stat().st_size for path in file.rglob("*") if path.is_file())
    return row | {"milvus_bytes_per_clip": round(size / num_clips)}


def queries_of(index: VideoIndex) -> list[Query]:
    """Moments of one clip, spread over the index; every tenth is a whole video."""
    ids = index.table().video_ids
    chosen = ids[np.linspace(0, len(ids) - 1, NUM_QUERIES).astype(int)]
    names = [f"id:{video_id}" if number % 10 == 0 else f"id:{video_id}/0" for number, video_id in enumerate(chosen)]
    found = index.examples(names, lambda: sys.exit("nothing is embedded here"))
    return [Query.of(example) for examples in found if isinstance(examples, list) for example in examples]


def agreement(index: VideoIndex, milvus: MilvusIndex, queries: Sequence[Query], options: SearchOptions) -> Row:
    """In how many answers all of every hit is the same: ids, order, and scores to the last digit."""
    counts: Row = {"queries": 0, "same": 0, "hits": 0, "largest_difference": 0.0}
    for mine, other in zip(milvus.search_many(queries, options), index.search_many(queries, options), strict=True):
        counts["queries"] += 1
        counts["same"] += mine == other
        counts["hits"] += len(other)
        differences = [abs(one.score - two.score) for one, two in zip(mine, other, strict=False)]
        counts["largest_difference"] = max([counts["largest_difference"], *differences])
    return counts


def latency(index: VideoIndex, milvus: MilvusIndex, queries: Sequence[Query], filters: Filters) -> Row:
    """Milliseconds of a search, the median of rounds in which both are asked in turn."""
    options = SearchOptions(filters=filters)
    rounds: list[tuple[float, float]] = []
    for _ in range(NUM_ROUNDS + 1):
        spent = []
        for asked in (index, milvus):
            begin = time.perf_counter()
            for query in queries[1 : 1 + NUM_TIMED]:
                asked.search_many([query], options)
            spent.append(1000 * (time.perf_counter() - begin) / NUM_TIMED)
        rounds.append((spent[0], spent[1]))
    folder, other = (statistics.median(each) for each in zip(*rounds[1:], strict=True))
    return {"folder_ms": round(folder, 2), "milvus_ms": round(other, 2), "ratio": round(other / folder, 1)}


def table(rows: Sequence[Row]) -> str:
    """Rows of the same names as a table."""
    return markdown_table([*rows[0]], [[f"{value}" for value in row.values()] for row in rows])


def page(content: Row, arguments: Sequence[str]) -> str:
    """The rows for people."""
    agreed = [
        {"set": each["set"], "filter": told, "searches": row["queries"], "the same": row["same"],
         "hits": row["hits"], "largest difference of scores": row["largest_difference"]}
        for each in content["sets"]
        for told, row in each["agreement"].items()
    ]  # fmt: skip
    cost = [
        {"set": each["set"], "clips": each["num_clips"], "D": each["embedding_dim"], "blocks": each["num_blocks"],
         "bytes a clip: folder": each["folder_bytes_per_clip"], "Milvus Lite": each["milvus_bytes_per_clip"],
         "copied in s": each["copied_seconds"],
         **{f"ms, filter {told}: both (ratio)": f"{row['folder_ms']} / {row['milvus_ms']} ({row['ratio']})"
            for told, row in each["latency"].items()}}
        for each in content["sets"]
    ]  # fmt: skip
    command = " ".join(["python docs/results/milvus.py", *arguments])
    return (
        "# Milvus held to a folder\n\n"
        f"`{command}` ({content['date']}, {content['machine']}). {NUM_QUERIES} queries, nine of ten single moments and "
        "the others videos; the ten best of each. An answer is the same if every field of every hit is.\n\n"
        f"{table(agreed)}\n\n"
        f"Both were asked in turn, one moment at a time, the median of {NUM_ROUNDS} rounds of {NUM_TIMED} queries. "
        "Milvus Lite is written in Python, and made for trials: a server takes other times.\n\n"
        f"{table(cost)}\n"
    )


if __name__ == "__main__":
    main()
