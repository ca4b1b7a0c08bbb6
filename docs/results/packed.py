"""What encoders are worth on parts of the *training* videos of real sets, to choose between recipes of packed ones.

    python docs/results/packed.py --data arid=DIR --data utd_mhad=DIR NAME=RUN [NAME=RUN …]

Videos of one place (ARID) or one person (UTD-MHAD) are left out in turn: the others teach a linear probe and are
searched. Test videos are never touched. Vectors keep 2 × 2 places, and of UTD-MHAD thirds in order. `untrained:RUN` in
the place of RUN is its networks as they begin. Rows are added to packed.json, and the page is written anew.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cocon.core.progress import progress_bar
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.evaluate import untrained_encoders
from cocon.training.evaluation.recognition.features import VideoFeatures, video_features
from cocon.training.evaluation.recognition.probe import fit_regression
from cocon.training.repooling.encoders import Way, repooled
from cocon.training.repooling.videos import training_videos
from cocon.training.run_folder.files import RunFolder

HERE = Path(__file__).parent
WAY = Way("mean", 2)
STRENGTH = 0.01  # of the probe, the same everywhere
# What of a group's name is not its place, and whether order matters.
SETS = {"arid": (r"_[a-z]+$", False), "utd_mhad": (r"$^", True)}
UNTRAINED = "untrained:"
HEAD = """# Which recipe for packed encoders

Linear probe / R@1, per cent, mean over classes, on videos of the training parts: each place of ARID and each person of
UTD-MHAD left out in turn, the others known (`docs/results/packed.py`). One seed each. Recipes were chosen by these
figures alone, and those of test videos are in footage.md. Where a place has few classes, chance is below 1 / classes.

* Views that teach each other on calm videos (whole bodies before a still camera) learn actions: more than untrained
  networks in every view but flow, which is of width 32 in the first row. Four times as many steps are no better.
* The same losses on varied videos (people of all sizes, shaking cameras, dark) learn what tells such videos apart, and
  that is not what is done: worse than on calm videos, in flow worse than untrained. Milder ones lie between.
* The labels that the generator knows make varied videos useful: flow gains most, in the dark. On UTD-MHAD, where people
  stand before a still camera, flow is no better than untrained of that width.
"""


def main() -> None:
    """A row for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], help="NAME=DIR of a prepared data set")
    parser.add_argument("--view", action="append", default=[], help="only these views")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("runs", nargs="*", help="NAME=RUN")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    place = HERE / "packed.json"
    rows = json.loads(place.read_text()) if place.is_file() else {}
    for name, _, path in (each.partition("=") for each in asked.runs):
        for data, _, folder in (each.partition("=") for each in asked.data):
            found = _features(path, Path(folder), asked.view)
            for view in found.embeddings:
                rows.setdefault(name, {})[f"{data} {view}"] = _judged(found, view, *SETS[data])
            place.write_text(json.dumps(rows, indent=1) + "\n")
    (HERE / "packed.md").write_text("\n".join([HEAD, *_table(rows), ""]))


def _table(rows: dict[str, dict[str, tuple[float, float]]]) -> Iterator[str]:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    yield f"| recipe | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name, row in rows.items():
        cells = [f"{row[column][0]:.1f} / {row[column][1]:.1f}" if column in row else "" for column in columns]
        yield f"| {name} | {' | '.join(cells)} |"


def _features(path: str, folder: Path, views: list[str]) -> VideoFeatures:
    run = RunFolder.open(Path(path.removeprefix(UNTRAINED)))
    config = _on(run.config, folder)
    judged = [view for view in run.views if not views or view in views]
    frames = training_videos(config, judged)
    if path.startswith(UNTRAINED):
        encoders = dict(untrained_encoders(config, frames, judged))
    else:
        encoders = {view: run.encoder(view) for view in judged}
    made = {view: repooled(*each, WAY) for view, each in encoders.items()}
    with progress_bar(f"embedding {folder.name} with {path}") as on_progress:
        return video_features(made, frames, on_progress=on_progress, has_clips=False)


def _on(config: Config, folder: Path) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update={"folder": folder, "cache_gib": 1.0})})


def _judged(found: VideoFeatures, view: str, not_place: str, is_ordered: bool) -> tuple[float, float]:
    """Linear probe and R@1."""
    vectors = (found.ordered if is_ordered else found.embeddings)[view]
    is_judged = np.zeros(len(vectors), bool)
    right = np.zeros((2, len(vectors)))
    groups = np.array([re.sub(not_place, "", group) for group in found.groups])
    for is_out in (groups == group for group in np.unique(groups)):
        known = ~is_out
        classes = np.unique(found.labels[known])
        is_out &= np.isin(found.labels, classes)
        if is_out.any():
            probe = fit_regression(vectors[known], found.labels[known], None, strength=STRENGTH)
            nearest = (vectors[is_out] @ vectors[known].T).argmax(1)
            named = classes[probe.probabilities(vectors[is_out]).argmax(1)], found.labels[known][nearest]
            right[:, is_out] = [labels == found.labels[is_out] for labels in named]
            is_judged |= is_out
    probe_top1, recall_at_1 = (_over_classes(each[is_judged], found.labels[is_judged]) for each in right)
    return probe_top1, recall_at_1


def _over_classes(right: NDArray[np.float64], labels: NDArray[np.str_]) -> float:
    return round(100 * float(np.mean([right[labels == label].mean() for label in np.unique(labels)])), 2)


if __name__ == "__main__":
    main()
