"""The commands `client index cluster`, `suggest`, `label` and `export-labels`: from no labels to a manifest."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.client.commands import options
from cocon.client.commands.filter_options import FilterOptions, takes_filter_options
from cocon.client.models.defaults import DEFAULT_INDEX

if TYPE_CHECKING:
    from cocon.client.index.labelling.clusters import Cluster

__all__ = ["labelling_app"]

labelling_app = typer.Typer()

_SUGGESTION_COLUMNS = ("rank", "video", "video_id", "reason")
_CLUSTER_COLUMNS = ("cluster", "num_videos", "labels", "typical")
# A group is what training and test must not share, a person say: numbers of clusters there would decide the split.
_MANIFEST_KEYS = ("label", "group", "split")


@labelling_app.command()
@takes_filter_options
def cluster(
    index: options.IndexName = DEFAULT_INDEX,
    count: Annotated[int, typer.Option("--count", min=1, help="Groups at most.")] = 12,
    typical: Annotated[int, typer.Option("--typical", min=1, help="Videos that are told of each.")] = 5,
    save: Annotated[
        str | None,
        typer.Option("--save", metavar="KEY", help="Keep the number as metadata: --where KEY=3.", show_default=False),
    ] = None,
    filter_options: FilterOptions = FilterOptions(),
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
) -> None:
    """Find groups of like videos, and the most typical of each; no label is needed, and no server asked.

    Example: client index cluster --count 12 --save cluster
    """
    from cocon.client.engines import open_index
    from cocon.client.index.labelling.clusters import clusters_of
    from cocon.core.errors import UsageError
    from cocon.core.printable import escaped
    from cocon.core.texts.json_text import print_json

    if save in _MANIFEST_KEYS:
        raise UsageError(f"--save '{save}' is read as a manifest's {save}; take another key, such as --save cluster")
    opened = open_index(index)
    found = clusters_of(opened, count, filter_options.filters, num_typical=typical)
    if save is not None:
        for each in found:
            opened.describe([f"id:{video_id}" for video_id in each.video_ids], {save: each.number}, wait_s=wait_s)
    if as_json:
        print_json({"index": escaped(index), "clusters": [each.row() for each in found]})
    else:
        _print_clusters(found)


@labelling_app.command()
@takes_filter_options
def suggest(
    index: options.IndexName = DEFAULT_INDEX,
    budget: Annotated[int, typer.Option("--budget", min=1, help="How many videos you would label.")] = 20,
    filter_options: FilterOptions = FilterOptions(),
    as_json: options.AsJson = False,
) -> None:
    """Say which videos to label next, the most telling first; no server is asked.

    Example: client index suggest --budget 20
    """
    from cocon.client.engines import open_index
    from cocon.client.index.labelling.suggestions import suggestions
    from cocon.client.output.sinks import open_sink

    found = suggestions(open_index(index), budget, filter_options.filters)
    if not found:
        typer.echo("nothing to suggest: every video that is chosen has a label, or none is chosen", err=True)
    with open_sink("json" if as_json else "table", None, columns=_SUGGESTION_COLUMNS) as sink:
        sink.write([each.row() | {"rank": rank} for rank, each in enumerate(found, start=1)])


@labelling_app.command("label")
@takes_filter_options
def label_videos(
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="[VIDEO]... LABEL",
            help="Videos, folders, id:12, parts (a.mp4#12.5-18), @list; last the label, '' for none.",
            show_default=False,
        ),
    ],
    index: options.IndexName = DEFAULT_INDEX,
    filter_options: FilterOptions = FilterOptions(),
    wait_s: options.WaitS = 0.0,
    as_json: options.AsJson = False,
) -> None:
    """Label videos, or parts of them, in one step: those that are named, or that filters choose.

    Example: client index label videos/a.mp4 id:12 b.mp4#12.5-18 jump
    """
    from cocon.client.engines import open_index
    from cocon.core.errors import UsageError
    from cocon.core.printable import escaped, printable
    from cocon.core.texts.json_text import print_json

    *videos, label = named
    if label.strip() and Path(label).exists():
        raise UsageError(f"the label comes last, and '{printable(label)}' is a file; name a label behind it")
    done = open_index(index).label(_listed(videos), label, filters=filter_options.filters, wait_s=wait_s)
    if as_json:
        print_json({"index": escaped(index), "labelled": [escaped(path) for path in done]})
    else:
        typer.echo(f"{printable(index)}: {len(done)} labelled")


@labelling_app.command("export-labels")
@takes_filter_options
def export_manifest(
    target: Annotated[
        Path, typer.Argument(help="FILE.csv, or a folder to train with: its manifest.csv.", show_default=False)
    ],
    index: options.IndexName = DEFAULT_INDEX,
    filter_options: FilterOptions = FilterOptions(),
    test_share: Annotated[
        float, typer.Option("--test-share", min=0.0, max=0.9, help="Of the videos of each label, kept for testing.")
    ] = 0.0,
    everything: Annotated[bool, typer.Option("--all", help="Also videos without label.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a manifest that is there.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Write the labels as a manifest that 'cocon train' and 'cocon evaluate' read, parts of videos included.

    Example: client index export-labels labelled/ --test-share 0.25
    """
    from dataclasses import asdict

    from cocon.client.engines import open_index
    from cocon.client.index.labelling.manifest import export_labels, manifest_path
    from cocon.core.printable import escaped, printable
    from cocon.core.texts.json_text import print_json

    file = manifest_path(target)
    done = export_labels(
        open_index(index),
        file,
        filter_options.filters,
        test_share=test_share,
        has_unlabelled=everything,
        overwrite=overwrite,
    )
    if as_json:
        print_json({"index": escaped(index), "file": escaped(file), **asdict(done)})
    else:
        splits = ", ".join(f"{count} {printable(split)}" for split, count in done.split_counts.items())
        typer.echo(f"{printable(file)}: {done.num_rows} rows ({splits}), {len(done.label_counts)} labels")


def _listed(arguments: Sequence[str]) -> list[str]:
    """What is named, also in lists."""
    from cocon.core.paths import check_file
    from cocon.core.texts.text_files import read_names

    names: list[str] = []
    for argument in arguments:
        if argument.startswith("@") and not Path(argument).exists():
            check_file(Path(argument[1:]), "list")
            names += filter(str.strip, read_names(Path(argument[1:]), "list"))
        else:
            names.append(argument)
    return names


def _print_clusters(found: "Iterable[Cluster]") -> None:
    from cocon.client.output.sinks import print_rows
    from cocon.core.printable import escaped, printable

    rows = []
    for each in found:
        labels = ", ".join(f"{printable(label)} {count}" for label, count in each.label_counts.items())
        told = {"cluster": str(each.number), "num_videos": str(len(each.video_ids)), "labels": labels or "-"}
        for video in each.typical:
            rows.append({**told, "typical": escaped(video.video)})
            told = dict.fromkeys(told, "")
    print_rows(_CLUSTER_COLUMNS, rows)
