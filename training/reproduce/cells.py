"""The cells of the tables: what is trained for each row and seed.

Of the ablation:

    row of the table         losses     views
    random, cpc, cpc+sim,    each       all            which term does what
    cpc+sync, cocon
    cocon                    cocon      1, 2, 3, 4     what further views add
    published                cocon      all            the released code's crops, colours, temperature, no ramp
    fine-tuned               cocon      all            the whole network trained on labels, from CoCon and from scratch

Source of rows: Rai et al. 2021, ablation and impact of views. Those of real videos: `real_cells.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Cell", "Kind", "ablation_cells", "method_cells", "published_settings"]

Kind = Literal["random", "baseline", "frozen", "pretrained", "finetuned"]

# The published recipe where ours differs: docs/datasets.md has the sources.
_PUBLISHED: Mapping[str, str] = {
    "loss.temperature_twice": "true",
    "loss.centred": "false",
    "loss.sync_ramp": "0",
    "clip.stride_jitter": "[1.0, 1.0]",
    "augment.drawn_per": "clip",
    "augment.gain": "0",
    "augment.crop_scale": "[0.933, 0.933]",
    "augment.crop_proposals": "3",
    "augment.horizontal_flip": "['rgb']",
    "augment.rgb_colour": "0",
    "augment.colour_per": "frame",
    "augment.rgb_brightness": "0.5",
    "augment.rgb_contrast": "0.5",
    "augment.rgb_saturation": "0.5",
    "augment.rgb_hue": "0.25",
}
_PUBLISHED_SMALL_CROPS = ("pose", "mask")
_LOSSES = ("cpc", "cpc+sim", "cpc+sync", "cocon")
# What a fine-tuned network needs on top of the recipe; the paper's classifier with its aggregator trained.
_FINETUNE: Mapping[str, str] = {
    "training.epochs": "0",
    "classifier.mode": "finetune",
    "classifier.head": "gru",
    "classifier.dropout": "0.5",
    "classifier.learning_rate": "0.001",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One training and its judging.

    Attributes:
        row: what the table calls it: `cocon`, `cocon-1-views`, `published`, `finetuned-cocon`, …
        losses: the method that trains it, such as `cpc` or `vicc`, or `random`; of a baseline its name.
        views: views trained together.
        seed: of everything random.
        kind: whether anything is trained, and how; `frozen` is a run of others judged as it is.
        overrides: configuration keys that differ from the recipe.
        starts_from: name of the cell whose encoders are fine-tuned, or empty.
        method: family of the losses, `cocon`, `vicc`, `vclr` or `cycle`; an untrained network is that of its method.
        packed: folder of a run of others that is judged, or trained on, or empty.
        packed_id: tells its weights from others, so that no figures of other weights are taken for theirs.
    """

    row: str
    losses: str
    views: tuple[str, ...]
    seed: int
    kind: Kind = "pretrained"
    overrides: Mapping[str, str] = field(default_factory=dict, hash=False)
    starts_from: str = ""
    method: str = "cocon"
    packed: str = ""
    packed_id: str = ""

    @property
    def name(self) -> str:
        """Folder of the run."""
        return "-".join(part for part in (self.row, self.packed_id, str(self.seed)) if part)


def ablation_cells(views: Sequence[str], *, seeds: int, finetune_epochs: int, extras: bool = True) -> list[Cell]:
    """Every cell, seed by seed, in an order in which each comes after the one it starts from.

    Args:
        views: all views of the recipe, the appearance first.
        seeds: how many.
        finetune_epochs: epochs of fine-tuning; 0 leaves these rows out.
        extras: also the rows beside the five losses: fewer views, the published recipe.
    """
    every = tuple(views)
    cells = []
    for seed in range(seeds):
        cells.append(Cell("random", "random", every, seed, "random"))
        cells += [Cell(losses, losses, every, seed) for losses in _LOSSES]
        if extras:
            cells += [Cell(f"cocon-{n}-views", "cocon", every[:n], seed) for n in range(1, len(every))]
            cells.append(Cell("published", "cocon", every, seed, overrides=published_settings(every)))
        if finetune_epochs:
            epochs = {"classifier.epochs": str(finetune_epochs)}
            cells += [
                Cell("finetuned-random", "random", every, seed, "finetuned", {**_FINETUNE, **epochs}),
                Cell("finetuned-cocon", "cocon", every, seed, "finetuned", {**_FINETUNE, **epochs}, f"cocon-{seed}"),
            ]
    return cells


def method_cells(views: Sequence[str], *, seeds: int, epochs_alone: int) -> list[Cell]:
    """Every method beside its own untrained network, and what shows the point of its paper.

        row                            what it shows
        random-cocon, -vicc, -frames   trunk, block length and batch statistics without training
        cpc, cocon, vicc, vclr, cycle  the methods
        vicc-alone                     every stream by itself for as many steps: what crossing them adds
        vclr-without-segment           what the loss of whole videos adds

    Args:
        views: all views of the recipe, the appearance first.
        seeds: how many.
        epochs_alone: of `vicc-alone`; in `vicc` a stream stands still while another one has its turn.
    """
    every = tuple(views)
    alone = {"vicc.cycles": "0", "training.epochs": str(epochs_alone)}
    cells = []
    for seed in range(seeds):
        cells += [
            Cell(f"random-{name}", "random", every, seed, "random", method=method)
            for name, method in (("cocon", "cocon"), ("vicc", "vicc"), ("frames", "vclr"))
        ]
        cells += [Cell(losses, losses, every, seed) for losses in ("cpc", "cocon")]
        cells += [Cell(method, method, every, seed, method=method) for method in ("vicc", "vclr", "cycle")]
        cells.append(Cell("vicc-alone", "vicc", every, seed, overrides=alone, method="vicc"))
        without = {"vclr.segment": "0"}
        cells.append(Cell("vclr-without-segment", "vclr", every, seed, overrides=without, method="vclr"))
    return cells


def published_settings(views: Sequence[str]) -> dict[str, str]:
    """The published recipe of pre-training these views, where ours differs from it."""
    crops = ", ".join(f"{view} = [0.8, 0.8]" for view in views if view in _PUBLISHED_SMALL_CROPS)
    return {**_PUBLISHED, "augment.crop_scale_of": f"{{{crops}}}"}
