"""`cocon reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cocon.training.reproduce.running import Plan
    from cocon.training.reproduce.table import Table

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, help="The paper's tables on your own data.")


Data = Annotated[Path, typer.Option(help="Dataset folder with labelled videos in splits train and test.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds 0, 1, … of every row.")]
Preset = Annotated[str, typer.Option("--preset", "--config", help="The recipe: a preset, or a TOML file.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
Name = Annotated[str, typer.Option(help="Names the result files; default: the folder's name.")]
Output = Annotated[Path, typer.Option(help="Folder of the result files.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs; a run that is there goes on.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: one per core, one on a GPU.")]
Notes = Annotated[list[str] | None, typer.Option(help="A line for the page; may be repeated.")]


@app.command()
def ablation(
    data: Data,
    seeds: Seeds = 3,
    preset: Preset = "figures",
    settings: Settings = None,
    name: Name = "",
    output: Output = Path("docs/results"),
    runs: Runs = Path("runs/ablation"),
    jobs: Jobs = None,
    extras: Annotated[bool, typer.Option(help="Also fewer views, the published recipe, fine-tuning.")] = True,
    finetune_epochs: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning; 0 leaves it out.")] = 20,
    note: Notes = None,
) -> None:
    """Random, CPC, +sim, +sync and CoCon, for each view and the ensemble; CoCon with 1, 2, … views; fine-tuned.

    Each row and seed is a run of its own: an interrupted call goes on where it stopped. Writes
    ablation-NAME.md and ablation-NAME.json.

    Example: cocon reproduce ablation --data data/figures --preset figures --seeds 3
    """
    from cocon.training.reproduce.ablation import AblationTable
    from cocon.training.reproduce.running import Plan, cores_for

    title = name or data.resolve().name
    jobs, num_threads = cores_for(jobs)
    plan = Plan(preset, tuple(settings or ()), data, runs / title, num_threads)
    epochs = finetune_epochs if extras else 0
    notes = tuple(note or ())
    table = AblationTable(name=title, seeds=seeds, jobs=jobs, extras=extras, finetune_epochs=epochs, notes=notes)
    _make(table, plan, output)


@app.command()
def methods(
    data: Data,
    seeds: Seeds = 3,
    preset: Preset = "figures",
    settings: Settings = None,
    name: Name = "",
    output: Output = Path("docs/results"),
    runs: Runs = Path("runs/methods"),
    jobs: Jobs = None,
    speeds: Annotated[
        Path, typer.Option(help="Blocks per second of the encoders, as benchmarks/encoders.py writes them.")
    ] = Path("benchmarks/results/encoders.json"),
    note: Notes = None,
) -> None:
    """CPC, CoCon, ViCC, VCLR and CycleContrast beside their untrained networks, on appearance and flow.

    Also ViCC without its second stage and VCLR without its segment loss. Interrupted calls go on. Writes
    methods-NAME.md and methods-NAME.json.

    Example: cocon reproduce methods --data data/figures --preset figures --seeds 3
    """
    import json

    from cocon.training.reproduce.methods import MethodsTable
    from cocon.training.reproduce.running import Plan, cores_for

    title = name or data.resolve().name
    jobs, num_threads = cores_for(jobs)
    plan = Plan(preset, ("views=['rgb', 'flow']", *(settings or ())), data, runs / title, num_threads)
    measured = json.loads(speeds.read_text())["rows"] if speeds.is_file() else []
    blocks_per_second = {row["case"]: row["value"] for row in measured}
    notes = tuple(note or ())
    table = MethodsTable(name=title, seeds=seeds, jobs=jobs, blocks_per_second=blocks_per_second, notes=notes)
    _make(table, plan, output)


def _make(table: "Table", plan: "Plan", output: Path) -> None:
    from cocon.core.progress import progress_bar
    from cocon.training.reproduce.table import reproduce_table

    with progress_bar(f"epochs of the {table.kind} on {table.name}") as on_progress:
        page = reproduce_table(table, plan, output, on_progress=on_progress)
    print(page.read_text())
    print(f"wrote {page} and {page.with_suffix('.json')}")
