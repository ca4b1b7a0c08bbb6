"""What INT8 costs: retrieval, probe and classifier of encoders in float32 and in INT8; writes int8.md and int8.json.

    python docs/results/int8.py --set figures runs/int8/figures-0 runs/int8/figures-1 runs/int8/figures-2

`--set NAME RUN...` may be repeated. The runs of a set are of one recipe, one for each seed, judged on the data that
they were trained on: gallery = train, query = test, clips as `cocon evaluate` cuts them.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from search_ranking import recipes

from cocon.core.errors import GateError
from cocon.core.progress import progress_bar
from cocon.embedding.contract import ModelContract
from cocon.embedding.embedder import ModelEmbedder
from cocon.embedding.local import LocalSession
from cocon.embedding.repository import INT8, ONNX
from cocon.export.artefacts.fidelity import Fidelity
from cocon.export.artefacts.variant_clips import clips_for_variants
from cocon.export.artefacts.variant_comparison import JudgedVideo, measure_fidelity
from cocon.export.models.encoders import write_encoder
from cocon.export.models.variants import variant_bound, write_variant
from cocon.export.sources import ViewSource
from cocon.training.data.augment import centred_clip
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
from cocon.training.reproduce.markdown import machine, markdown_table
from cocon.training.reproduce.rows import mean_and_sd
from cocon.training.run_folder.files import RunFolder
from cocon.video.clips import grid_indices
from cocon.video.store.dataset import content_sha256

HERE = Path(__file__).parent
FIGURES = ("R@1", "mixed R@1", "probe", "classifier")
Row = dict[str, Any]


def main() -> None:
    """Judge everything and write page and rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", nargs="+", required=True, dest="sets", metavar=("NAME", "RUN"))
    parser.add_argument("--view", action="append", dest="views", help="repeatable; default: all of the runs")
    parser.add_argument("--kept", type=Path, help="folder where judged files are kept, and found again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name, *paths in options.sets:
        runs = [RunFolder.open(Path(path)) for path in paths]
        rows += judged(name, runs, options.views or runs[0].views, options.kept)
    table = averaged(rows)
    (HERE / "int8.json").write_text(json.dumps({"runs": rows, "rows": table}, indent=1) + "\n")
    command = shlex.join(["python", "docs/results/int8.py", *sys.argv[1:]])
    trained = recipes([[name, "", *runs] for name, *runs in options.sets])
    (HERE / "int8.md").write_text(page(table, rows, trained, command))


def judged(name: str, runs: Sequence[RunFolder], views: Sequence[str], kept: Path | None) -> Iterator[Row]:
    """A row for each run and view; videos are decoded once for all runs, if any must be."""
    config = runs[0].config.model_copy(update={"views": tuple(views)})  # no other is to be decoded
    videos = cache(lambda: EvaluationVideos(config, progress_bar=progress_bar))
    for view in views:
        for seed, run in enumerate(runs):
            yield {"set": name, "seed": seed, "view": view} | row_of(run, view, videos, kept)


def row_of(run: RunFolder, view: str, videos: Callable[[], EvaluationVideos], kept: Path | None) -> Row:
    """What INT8 of one encoder is worth, and whether its gate would have it."""
    encoder, contract = run.encoder(view)
    empty = np.empty((0, *contract.clip_shape), np.uint8)
    source = ViewSource(encoder, contract, empty, for_variants=partial(clips_for_variants, run, contract))
    with tempfile.TemporaryDirectory() as folder:
        reference, path = Path(folder) / "reference.onnx", Path(folder) / "model.onnx"
        write_encoder(source, ONNX, reference)
        write_variant(source, INT8, lambda: reference, path)
        found = found_of(reference, path, contract, videos, kept)
        share = path.stat().st_size / reference.stat().st_size
    return asdict(found) | {"passes": passes(found), "size": round(share, 3)}


def found_of(
    reference: Path, path: Path, contract: ModelContract, videos: Callable[[], EvaluationVideos], kept: Path | None
) -> Fidelity:
    """Compare two files, unless it has been done."""
    place = kept and kept / f"{content_sha256(reference)[:16]}-{content_sha256(path)[:16]}.json"
    if place and place.is_file():
        return Fidelity.from_json(place.read_text())
    known, variant = (ModelEmbedder(LocalSession(file, contract, num_threads=1)) for file in (reference, path))
    with progress_bar(f"embedding {contract.view} videos") as on_progress:
        found = measure_fidelity(known, variant, every_video(videos(), contract, on_progress), source="videos")
    if place:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(found.to_json())
    return found


def every_video(videos: EvaluationVideos, contract: ModelContract, on_progress: Any) -> Iterator[JudgedVideo]:  # noqa: ANN401
    """All labelled videos of both splits."""
    num_done, num_videos = 0, sum(map(len, videos.frames.values()))
    spec = contract.clip
    for split, frames in videos.frames.items():
        for index, entry in enumerate(frames.entries):
            if entry.label and (video := frames[index]).entry is entry:
                grid = grid_indices(video.timestamps, spec)
                windows = grid[DEFAULT_PROTOCOL.windows(len(grid), spec)]  # [K, N·T]
                blocks = windows.reshape(-1, spec.frames_per_block)
                pixels = centred_clip(video.views[contract.view], blocks, contract.geometry.crop_px)
                clips = pixels.reshape(len(windows), *contract.clip_shape)
                yield JudgedVideo(clips, entry.label, entry.group or entry.video_id, split == "test")
            num_done += 1
            on_progress(num_done, num_videos)


def passes(found: Fidelity) -> bool:
    """Whether `cocon export --variant int8` would publish it, if it judged by all videos."""
    try:
        variant_bound(INT8).check(found)
    except GateError:
        return False
    return True


def averaged(rows: Sequence[Row]) -> list[Row]:
    """Mean and standard deviation over the seeds, for each set and view."""
    table = []
    for name, view in dict.fromkeys((row["set"], row["view"]) for row in rows):
        own = [row for row in rows if (row["set"], row["view"]) == (name, view)]
        summary: Row = {"set": name, "view": view, "seeds": len(own), "passes": sum(row["passes"] for row in own)}
        for column in ("mean_cosine", "min_cosine", "neighbour_overlap", "size"):
            summary[column] = round(float(np.mean([row[column] for row in own])), 4)
        for figure in FIGURES:
            pairs = [row["figures"][figure] for row in own if figure in row["figures"]]
            columns = {who: [pair[who] for pair in pairs] for who in ("reference", "variant")}
            columns["difference"] = [pair["variant"] - pair["reference"] for pair in pairs]
            ends = {"low": min(pair["low"] for pair in pairs), "high": max(pair["high"] for pair in pairs)}
            worse = sum(pair["high"] < 0 for pair in pairs)
            summary[figure] = {
                who: dict(zip(("mean", "sd"), mean_and_sd(values), strict=True)) for who, values in columns.items()
            }
            summary[figure] |= ends | {"worse": worse}
        table.append(summary)
    return table


def page(table: Sequence[Row], rows: Sequence[Row], trained: str, command: str) -> str:
    """The page."""
    seeds = max(row["seeds"] for row in table)
    lines = [
        [row["set"], row["view"], figure, *compared(row[figure], row["seeds"])] for row in table for figure in FIGURES
    ]
    near = [[row["set"], row["view"], *nearness(row)] for row in table]
    header = ["set", "view", "figure", "float32", "INT8", "difference", "95 % intervals of the seeds", "worse"]
    near_header = [
        "set",
        "view",
        "mean cosine",
        "least cosine",
        "same 10 nearest",
        "size of the file",
        "passes the gate",
    ]
    return f"""# What INT8 costs

`{command}`

Made on {date.today().isoformat()}, {machine()}, ONNX Runtime {onnxruntime.__version__}.
{seeds} seeds, mean ± sd, per cent.

{trained}
* Both files are what `cocon export --variant int8` writes: the folded float32 ONNX, and its INT8 variant, calibrated on
  32 training videos. All other figures are of all videos: test videos ask, training videos are asked or learned from.
* `R@1`: the most similar video of all is of the same class. `mixed R@1`: the INT8 encoder's test videos among the
  float32 encoder's training videos, as in an index that was filled with float32 and is asked with INT8. `probe`: a
  linear probe on each encoder's own embeddings. `classifier`: the one that was trained with the encoder.
* Every test video is answered by both, so the interval of a seed's difference is that of the videos that only one of
  them answers rightly (exact, McNemar). The column is from the lowest end of any seed's interval to the highest.
  `worse`: seeds whose whole interval is below zero.

{markdown_table(header, lines)}

## How near the vectors are

Cosines of corresponding vectors of the test videos' clips and blocks. `same 10 nearest`: of the ten most similar
videos of each, those that both encoders find.

{markdown_table(near_header, near)}
"""


def compared(cell: Row, seeds: int) -> list[str]:
    """A figure in float32 and in INT8."""
    both = [f"{cell[who]['mean']:.1f} ± {cell[who]['sd']:.1f}" for who in ("reference", "variant")]
    difference = cell["difference"]
    return [
        *both,
        f"{difference['mean']:+.2f} ± {difference['sd']:.2f}",
        f"{cell['low']:+.1f} to {cell['high']:+.1f}",
        f"{cell['worse']} of {seeds}",
    ]


def nearness(row: Row) -> list[str]:
    """How near the vectors are."""
    return [
        f"{row['mean_cosine']:.4f}",
        f"{row['min_cosine']:.4f}",
        f"{100 * row['neighbour_overlap']:.1f} %",
        f"{100 * row['size']:.0f} %",
        f"{row['passes']} of {row['seeds']}",
    ]


if __name__ == "__main__":
    main()
