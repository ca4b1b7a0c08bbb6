"""`cocon pool`."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.core.options import Quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cocon.training.config.run import Config
    from cocon.training.evaluation.recognition.features import Encoders
    from cocon.training.repooling.choice import WayFigures
    from cocon.training.repooling.pooled_run import PooledRun
    from cocon.training.run_folder.files import RunFolder

__all__ = ["app"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def pool(
    run: Annotated[Path, typer.Argument(help="Complete run.")] = Path("runs/default"),
    output: Annotated[
        Path | None, typer.Option(help="Folder of the new run; without, ways are compared and nothing is written.")
    ] = None,
    pooling: Annotated[
        Literal["mean", "thirds", "learned"] | None,
        typer.Option(help="What vectors of clips keep of order; without it and --cells, the best is chosen."),
    ] = None,
    cells: Annotated[
        int | None, typer.Option(min=1, help="Places of the picture that vectors of blocks keep: so many squared.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another dataset folder than the run's, to compare on.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make vectors of a trained run keep order or place, without training again; or compare such vectors.

    The mean of a clip's blocks forgets what came first; thirds keep it, in three times as many numbers. Cells keep
    what is where, in cells² times as many. They are compared on held-out training videos, never on test videos. A
    learned pooling keeps order in as many numbers as the mean; it is fitted to training videos, without labels. A
    classifier fitted to other vectors is left behind, and said.

    Example: cocon pool runs/default --pooling thirds --cells 2 --output runs/default-thirds
    """
    from cocon.embedding.contract import LEARNED_POOLING
    from cocon.training.repooling.choice import best_way
    from cocon.training.repooling.encoders import Way
    from cocon.training.repooling.pooled_run import pool_run
    from cocon.training.run_folder.files import RunFolder

    opened = RunFolder.open(run)
    figures: list[WayFigures] = []
    if pooling is None and cells is None:
        figures = _compared(opened, data, quiet=quiet)
        way = best_way(figures)
    else:
        way = Way(pooling or opened.config.model.pooling, cells or opened.config.model.cells)
    learn = None
    if way.pooling == LEARNED_POOLING and output is not None:
        learn = partial(_learn, opened, data, quiet=quiet)
    pooled = None if output is None else pool_run(opened, output, way, overwrite=overwrite, learn=learn)
    if as_json:
        rows = [{**asdict(row), **asdict(row.way)} for row in figures]
        written = None if pooled is None else {"run": str(output), **asdict(pooled)}
        print(json.dumps({"way": asdict(way), "compared": rows, "written": written}))
        return
    if figures:
        _show(figures, way)
    if pooled is not None and output is not None:
        _say(pooled, output, way)


def _compared(run: "RunFolder", data: Path | None, *, quiet: bool) -> "list[WayFigures]":
    from cocon.core.progress import progress_bar
    from cocon.training.repooling.choice import compare_ways, training_videos

    encoders = {view: run.encoder(view) for view in run.views}
    bar, config = partial(progress_bar, is_quiet=quiet), _configured(run, data)
    with training_videos(config, run.views) as frames, bar("comparing vectors on training videos") as on_progress:
        return compare_ways(encoders, frames, on_progress=on_progress)


def _learn(run: "RunFolder", data: Path | None, encoders: "Encoders", *, quiet: bool) -> None:
    """Fit the pooling of each view to the run's training videos."""
    from cocon.core.progress import progress_bar
    from cocon.training.repooling.choice import training_videos
    from cocon.training.repooling.learned import blocks_of_videos, fit_pooling

    bar, config = partial(progress_bar, is_quiet=quiet), _configured(run, data)
    with training_videos(config, run.views, are_labelled=False) as frames, bar("learning to pool") as on_progress:
        blocks = blocks_of_videos(encoders, frames, on_progress=on_progress)
    for view, (encoder, _) in encoders.items():
        fit_pooling(encoder, blocks[view], seed=config.training.seed)


def _configured(run: "RunFolder", data: Path | None) -> "Config":
    config = run.config
    if data is None:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})


def _show(figures: "Sequence[WayFigures]", best: object) -> None:
    from rich.table import Column

    from cocon.core.tables import new_table, print_table

    names = ("numbers", "probe top-1", "R@1", "held-out videos")
    table = new_table(Column("vectors", no_wrap=True), "view", *(Column(name, justify="right") for name in names))
    for row in figures:
        shown = (f"{row.probe_top1:.1f}", f"{row.recall_at_1:.1f}", str(row.num_videos))
        table.add_row(str(row.way), row.view, str(row.vector_dim), *shown)
    print_table(table)
    print(f"best together: {best}")


def _say(pooled: "PooledRun", output: Path, way: object) -> None:
    from cocon.core.printable import printable

    dims = ", ".join(f"{view} {before} → {now}" for view, (before, now) in pooled.vector_dims.items())
    print(f"{printable(output)} holds the same encoders, vectors by {way}; numbers of a clip's vector: {dims}")
    for what in pooled.left_behind:
        typer.echo(f"left behind, for they were made for other vectors: {what}", err=True)
    if pooled.left_behind and pooled.left_behind[0].startswith("the classifiers"):
        again = "--set training.epochs=0 --output ANOTHER"
        typer.echo(f"fit others: cocon train --config {output}/config.toml --init-from {output} {again}", err=True)
