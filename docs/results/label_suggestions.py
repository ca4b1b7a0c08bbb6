"""What `client index suggest` is worth against random choice; writes label-suggestions.md and label-suggestions.json.

    python docs/results/label_suggestions.py --set figures data/figures pretrained/figures-tiny

`--set NAME DATA RUN` may be repeated. An index holds 80 % of the training videos, others for each seed; some of them
are labelled, and a linear probe that knows these labels names all test videos.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from search_ranking import FUSED, Videos, embedded, recipes

from cocon.client.index.labelling.suggestions import suggested_order
from cocon.client.index.search.means import video_means
from cocon.training.evaluation.recognition.probe import few_label_classes
from cocon.training.reproduce.markdown import machine, markdown_table
from cocon.training.reproduce.rows import mean_and_sd
from cocon.training.run_folder.files import RunFolder

HERE = Path(__file__).parent
BUDGETS = (20, 50, 100)
ASKED_AT_ONCE = 50  # then those are labelled, before more are asked for
POOL_SHARE = 0.8
NUM_SEEDS = 10
WAYS = ("random", "suggested")


def main() -> None:
    """Judge everything and write page and rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", nargs=3, required=True, dest="sets", metavar=("NAME", "DATA", "RUN"))
    parser.add_argument("--kept", type=Path, help="folder where embedded videos are kept, and found again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, data, run in options.sets:
        for _, view, of in embedded(name, Path(data), [run], options.kept):
            num_views = len(RunFolder.open(Path(run)).views) if view == FUSED else 1
            rows += list(
                judged(name, view, {split: (means(each, num_views), each.labels) for split, each in of.items()})
            )
    table = summarised(rows)
    (HERE / "label-suggestions.json").write_text(json.dumps({"runs": rows, "rows": table}, indent=1) + "\n")
    command = shlex.join(["python", "docs/results/label_suggestions.py", *sys.argv[1:]])
    (HERE / "label-suggestions.md").write_text(page(table, recipes(options.sets), command))


def means(videos: Videos, num_views: int) -> NDArray[np.float32]:
    """Videos as an index has them: `float32 [V, D]`."""
    widths = [videos.vectors.shape[1] // num_views] * num_views
    return video_means(videos.vectors, videos.rows, np.array([], np.int64), widths)[0]


def judged(
    name: str, view: str, of: Mapping[str, tuple[NDArray[np.float32], NDArray[np.str_]]]
) -> Iterator[dict[str, Any]]:
    """A row for each seed and budget: per cent of the test videos that are named rightly, and labels that were met."""
    (train, labels), (test, truth) = of["train"], of["test"]
    for seed in range(NUM_SEEDS):
        rng = np.random.default_rng(seed)
        pool = np.sort(rng.permutation(len(train))[: round(POOL_SHARE * len(train))])
        shuffled = rng.permutation(len(pool))
        chosen = suggested(train[pool], labels[pool], max(BUDGETS))
        for budget in BUDGETS:
            row: dict[str, Any] = {"set": name, "view": view, "seed": seed, "budget": budget}
            for way, order in zip(WAYS, (shuffled, chosen), strict=True):
                known = order[:budget]
                named = few_label_classes(train[pool], labels[pool][known].tolist(), known, test)
                row[way] = round(100 * float((named == truth).mean()), 2)
                row[f"{way}_labels"] = len(np.unique(labels[pool][known]))
            yield row


def suggested(vectors: NDArray[np.float32], truth: NDArray[np.str_], budget: int) -> NDArray[np.int64]:
    """Positions in the order in which they are suggested; those of a question are labelled before the next one."""
    labels: list[str | None] = [None] * len(vectors)
    order: list[int] = []
    while len(order) < budget:
        asked = [each for each, _ in islice(suggested_order(vectors, labels), min(ASKED_AT_ONCE, budget - len(order)))]
        order += asked
        for position in asked:
            labels[position] = str(truth[position])
    return np.array(order)


def summarised(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over the seeds, for each set, view and budget."""
    keys = dict.fromkeys((row["set"], row["view"], row["budget"]) for row in rows)
    table = []
    for name, view, budget in keys:
        own = [row for row in rows if (row["set"], row["view"], row["budget"]) == (name, view, budget)]
        summary: dict[str, Any] = {"set": name, "view": view, "budget": budget}
        for way in WAYS:
            summary[way] = dict(zip(("mean", "sd"), mean_and_sd([row[way] for row in own]), strict=True))
            summary[f"{way}_labels"] = round(float(np.mean([row[f"{way}_labels"] for row in own])), 1)
        gain = summary["suggested"]["mean"] - summary["random"]["mean"]
        summary["gain_in_sd"] = round(gain / max(summary["random"]["sd"], 0.01), 1)
        summary["better_seeds"] = sum(row["suggested"] > row["random"] for row in own)
        table.append(summary)
    return table


def page(table: Sequence[Mapping[str, Any]], trained: str, command: str) -> str:
    """The page."""
    header = [
        "set",
        "view",
        "labels",
        *WAYS,
        "gain",
        "gain / sd of random",
        "seeds",
        "classes met: random",
        "suggested",
    ]
    lines = [
        [row["set"], row["view"], str(row["budget"])]
        + [f"{row[way]['mean']:.1f} ± {row[way]['sd']:.1f}" for way in WAYS]
        + [f"{row['suggested']['mean'] - row['random']['mean']:+.1f}", f"{row['gain_in_sd']:.1f}"]
        + [f"{row['better_seeds']} of {NUM_SEEDS}", *(f"{row[f'{way}_labels']:.1f}" for way in WAYS)]
        for row in table
    ]
    return f"""# What to label first

`{command}`

Made on {date.today().isoformat()}, {machine()}. {NUM_SEEDS} seeds, mean ± sd, per cent of the test videos.

{trained}
* Each seed has an index of {POOL_SHARE:.0%} of the training videos, without labels. `random` labels some of them at
  random, `suggested` those that `client index suggest --budget {ASKED_AT_ONCE}` lists, in its order. For 100 labels,
  {ASKED_AT_ONCE} are labelled, and {ASKED_AT_ONCE} more are asked for.
* A linear probe on the frozen embeddings of videos, as the index holds them (logistic regression of strength 1 on
  vectors that are standardised by all videos of the index), knows these labels alone and names every test video.
  No test video, and no label but those that are counted, had a part in any choice.
* `gain / sd of random`: above 1, suggestions are better than random choice by more than one standard deviation.
  `seeds`: in how many of them suggestions were better. `fused`: all views with equal weights, as `client index add
  --view all` has them.

{markdown_table(header, lines)}

## How the method was chosen

On thirds of the training videos that were left out, ten draws, for 20 and 50 labels: k-means and the video nearest to
each centre, or the densest of each cluster (TypiClust, Hacohen et al. 2022); k-center; ProbCover (Yehuda et al. 2022);
and facility location on cosines, on their powers, and on exp((cosine - 1) / reach). k-center and ProbCover were often
no better than random choice: the one takes outliers, the other depends on a radius that must fit. The others gained
alike; facility location with a reach measured on the vectors was among the best everywhere, and it alone gives an
order of which each beginning is an answer to a smaller budget.

Coverage alone stops helping once the groups are met: with 100 labels for 320 figures it named 87.1 ± 3.5 % of the
others rightly, random choice 91.1 ± 4.0 %. Asking where a linear classifier is unsure did harm with 20 labels (80.9 in
place of 85.8 % at 50 labels) and helped with 40 and more: 93.2 ± 2.8 % at 100. So from 40 labels on, videos whose label
is open count ten times as much as sure ones. Where the encoder itself hardly tells the classes apart, as `mask` does on
UTD-MHAD, what is like what says little of them, and suggestions gain least.
"""


if __name__ == "__main__":
    main()
