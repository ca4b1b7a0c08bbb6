"""The cells of the table of real videos: what a user would try in an afternoon, and what labels add.

row                          what is judged
untrained                    the networks without training
flow-histogram,              what needs no network
color-histogram
packed                       encoders of others as they are: one of them, so without a deviation
packed-trained               trained on from them, on these videos
cocon, cpc                   trained on these videos from nothing
published                    cocon with the published recipe of losses and crops, at this size of network
finetuned-untrained,         the whole network trained on the labels, from nothing, from the packed encoders, and
-packed, -trained            from those trained on these videos
finetuned-…-1, -5, -10       the same with so many labelled videos of each class
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cocon.core.errors import UsageError
from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.baselines import BASELINES
from cocon.training.reproduce.cells import Cell, published_settings
from cocon.training.run_folder.files import RunFolder

__all__ = ["FEW_LABELS", "PackedEncoders", "real_cells"]

# Labelled videos of each class that fine-tuning is tried with beside all of them.
FEW_LABELS = (1, 5, 10)
# Sections that say which clips a network sees and what it is made of; those of `clip` that vary clips are the recipe's.
_OF_NETWORK = ("view", "flow", "model", "trunk", "vectors")
# How long the classifier learns is the recipe's.
_FINETUNE = {"training.epochs": "0", "classifier.mode": "finetune", "classifier.head": "mean"}
_OF_CLIP = ("num_blocks", "frames_per_block", "step_seconds", "step_frames", "short_video", "tail")


@dataclass(frozen=True, slots=True)
class PackedEncoders:
    """Encoders of others, of a run that is complete, packed or not.

    Attributes:
        folder: of the run.
        weights_id: eight digits that tell its weights from others.
        settings: the recipe's settings by which all rows have its network and see its clips.
    """

    folder: Path
    weights_id: str
    settings: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, views: Sequence[str]) -> "PackedEncoders":
        """What there is to know of a run's encoders; no weights are loaded.

        Raises:
            UsageError: the folder is no run, or it lacks one of the views.
        """
        run = RunFolder.open(folder)
        if missing := [view for view in views if view not in run.views]:
            raise UsageError(
                f"run '{run}' has no encoder of view '{missing[0]}'; it has: {', '.join(run.views)}; "
                f'judge those alone: --set "views={json.dumps(list(run.views))}"'
            )
        fingerprints = "".join(run.contract(view).fingerprint for view in views)
        weights_id = hashlib.sha256(fingerprints.encode()).hexdigest()[:8]
        return cls(folder, weights_id, tuple(_network_settings(run.config)))


def real_cells(
    views: Sequence[str],
    *,
    seeds: int,
    packed: PackedEncoders | None = None,
    few_labels: Sequence[int] | None = (),
    cells: int = 2,
) -> list[Cell]:
    """Every cell, seed by seed, each after the one it starts from.

    Args:
        views: all views of the recipe.
        seeds: how many.
        packed: encoders of others; without, their rows are left out.
        few_labels: numbers of labels of each class that fine-tuning is tried with beside all of them; None leaves all
            rows out that are fine-tuned.
        cells: places that their classifiers tell apart, cells × cells.
    """
    every = tuple(views)
    all_or_few = () if few_labels is None else (0, *few_labels)
    folder, weights_id = ("", "") if packed is None else (packed.folder.as_posix(), packed.weights_id)
    found = [Cell(name, name, every, 0, "baseline") for name in BASELINES]
    if folder:
        found.append(Cell("packed", "cocon", every, 0, "frozen", packed=folder, packed_id=weights_id))
    for seed in range(seeds):
        trained = Cell("cocon", "cocon", every, seed)
        found += [Cell("untrained", "random", every, seed, "random"), trained, Cell("cpc", "cpc", every, seed)]
        found.append(Cell("published", "cocon", every, seed, overrides=published_settings(every)))
        if folder:
            trained = Cell("packed-trained", "cocon", every, seed, packed=folder, packed_id=weights_id)
            found.append(trained)
        for labels in all_or_few:
            found += _fine_tuned(trained, labels, cells)
    return found


def _fine_tuned(trained: Cell, labels: int, cells: int) -> Iterator[Cell]:
    """From nothing, from the packed encoders, where there are any, and from a cell that trains; 0 labels are all."""
    ending = f"-{labels}" if labels else ""
    few = {"classifier.labels_per_class": str(labels)} if labels else {}
    # The classifier sees what comes first, then and last, and where, whatever the vectors of other rows keep.
    kept = {"pooling": "thirds", "cells": str(cells)}
    of_views = {f"vectors.{view}.{key}": value for view in trained.views for key, value in kept.items()}
    settings = {**_FINETUNE, **of_views, **few}
    tuned = replace(trained, kind="finetuned", overrides=settings)
    yield replace(tuned, row=f"finetuned-untrained{ending}", losses="random", packed="", packed_id="")
    if trained.packed:
        yield replace(tuned, row=f"finetuned-packed{ending}")
    yield replace(tuned, row=f"finetuned-trained{ending}", starts_from=trained.name)


def _network_settings(config: Config) -> Iterator[str]:
    content = config.model_dump(mode="json", exclude_none=True)
    for key in _OF_CLIP:
        if key in content["clip"]:
            yield f"clip.{key}={json.dumps(content['clip'][key])}"
    for section in _OF_NETWORK:
        for name, value in content[section].items():
            for key, setting in value.items() if isinstance(value, dict) else (("", value),):
                yield f"{'.'.join(filter(None, (section, name, key)))}={json.dumps(setting)}"
