"""Other libraries that search vectors, each by itself."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from search_corpus import Corpus

__all__ = ["NAMES", "Side", "other_sides"]

# Called with a number, of the query that is asked.
Side = Callable[[int], object]

NAMES = ("hnswlib", "usearch", "lancedb")


def other_sides(corpus: Corpus, folder: Path, top: int) -> Iterator[tuple[str, Side]]:
    """Those that are installed, by name; what they are set to finds 0.99 and more."""
    for name, make in zip(NAMES, (hnswlib_side, usearch_side, partial(lancedb_side, folder)), strict=True):
        if find_spec(name) is None:
            print(f"{name} is not installed and has no part")
            continue
        start = time.perf_counter()
        side = make(corpus, top)
        print(f"{name}: built in {time.perf_counter() - start:.0f} s", flush=True)
        yield name, side


def hnswlib_side(corpus: Corpus, top: int) -> Side:
    """HNSW of M 16, efConstruction 200, ef 64."""
    import hnswlib  # type: ignore[import-not-found]

    index = hnswlib.Index(space="ip", dim=corpus.dim)
    index.init_index(max_elements=len(corpus.vectors), ef_construction=200, M=16)
    index.add_items(corpus.vectors)
    index.set_ef(64)
    index.set_num_threads(1)
    return lambda number: index.knn_query(corpus.queries[number], k=top)


def usearch_side(corpus: Corpus, top: int) -> Side:
    """HNSW at the settings that USearch takes by itself."""
    from usearch.index import Index  # type: ignore[import-not-found]

    index = Index(ndim=corpus.dim, metric="ip", dtype="f32")
    index.add(np.arange(len(corpus.vectors)), corpus.vectors)
    return lambda number: index.search(corpus.queries[number], top, threads=1)


def lancedb_side(folder: Path, corpus: Corpus, top: int) -> Side:
    """LanceDB without an index: its own exact search."""
    import lancedb  # type: ignore[import-not-found]
    import pyarrow as pa

    values = pa.FixedSizeListArray.from_arrays(pa.array(corpus.vectors.ravel()), corpus.dim)
    table = lancedb.connect(folder / "lance").create_table("clips", pa.table({"vector": values}))
    return lambda number: table.search(corpus.queries[number]).distance_type("dot").limit(top).to_arrow()
