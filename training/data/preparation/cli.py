"""`cocon data split`: which videos of a labelled folder are for training, which for testing."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.printable import escaped, printable

if TYPE_CHECKING:
    from cocon.training.data.preparation.split_manifest import SplitDataset

__all__ = ["split"]

_GROUP_HELP = "Regular expression; what its parentheses find in a video's path is its group, which is never torn."


def split(
    folder: Annotated[Path, typer.Argument(help="The dataset folder.", show_default=False)],
    group: Annotated[
        str | None, typer.Option(help=_GROUP_HELP, show_default="the manifest's groups, or each video by itself")
    ] = None,
    test: Annotated[float, typer.Option(help="Share of the videos of each class for testing.")] = 0.3,
    val: Annotated[float, typer.Option(help="Share for validation.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Same seed, same split.", min=0)] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the splits that manifest or folders name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Split labelled videos for training and testing, the same share of every class, and write FOLDER/manifest.csv.

    Videos of one group, such as those of one person or cut from one recording, are all of one split: name the part of
    their paths that tells the group in parentheses. What cannot be balanced is said on stderr. Other columns of a
    manifest are kept.

    Example: cocon data split videos/ --group 'subject([0-9]+)' --test 0.3
    """
    from cocon.training.data.preparation.split_manifest import SplitWish, split_dataset, write_manifest

    shares = {"test": test} | ({"val": val} if val else {})
    done = split_dataset(folder, SplitWish(group, shares, seed), overwrite=overwrite)
    manifest = write_manifest(done)
    for complaint in done.complaints:
        print(complaint, file=sys.stderr)
    if as_json:
        told = {"num_videos": done.num_videos, "num_groups": done.num_groups, "splits": done.counts}
        print(json.dumps({"manifest": escaped(manifest), **told, "classes": done.num_of}))
        return
    _print_classes(done, ("train", *(["val"] if val else []), "test"))
    counts = ", ".join(f"{done.counts[name]} {name}" for name in ("train", "val", "test") if name in done.counts)
    print(f"{printable(manifest)}: {counts} of {done.num_videos} videos in {done.num_groups} groups")


def _print_classes(done: "SplitDataset", splits: tuple[str, ...]) -> None:
    from cocon.core.tables import cell, new_table, print_table

    table = new_table("class", *splits)
    for label, counts in done.num_of.items():
        table.add_row(cell(label) or "-", *(str(counts.get(name, 0)) for name in splits))
    print_table(table)
