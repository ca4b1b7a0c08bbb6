"""`cocon reproduce`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, help="The paper's tables on your own data.")


@app.callback()
def reproduce() -> None:
    """Keep `ablation` a sub-command."""


@app.command()
def ablation(
    data: Annotated[Path, typer.Option(help="Dataset folder with labelled videos in splits train and test.")],
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, … of every row.")] = 3,
    preset: Annotated[
        str, typer.Option("--preset", "--config", help="The recipe: a preset, or a TOML file.")
    ] = "figures",
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="Names the result files; default: the folder's name.")] = "",
    output: Annotated[Path, typer.Option(help="Folder of the result files.")] = Path("docs/results"),
    runs: Annotated[Path, typer.Option(help="Folder of the runs; a run that is there goes on.")] = Path(
        "runs/ablation"
    ),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time. Default: one per core, one on a GPU.")
    ] = None,
    extras: Annotated[bool, typer.Option(help="Also fewer views, the published recipe, fine-tuning.")] = True,
    finetune_epochs: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning; 0 leaves it out.")] = 20,
    note: Annotated[list[str] | None, typer.Option(help="A line for the page; may be repeated.")] = None,
) -> None:
    """Random, CPC, +sim, +sync and CoCon, for each view and the ensemble; CoCon with 1, 2, … views; fine-tuned.

    Each row and seed is a run of its own: an interrupted call goes on where it stopped. Writes
    ablation-NAME.md and ablation-NAME.json.

    Example: cocon reproduce ablation --data data/figures --preset figures --seeds 3
    """
    from cocon.training.reproduce.ablation import AblationOptions, reproduce_ablation
    from cocon.training.reproduce.running import Plan, cores_for
    from cocon.video.progress import progress_bar

    title = name or data.resolve().name
    jobs, num_threads = cores_for(jobs)
    plan = Plan(preset, tuple(settings or ()), data, runs / title, num_threads)
    options = AblationOptions(title, seeds, jobs, extras, finetune_epochs if extras else 0, tuple(note or ()))
    with progress_bar(f"epochs of the ablation on {title}") as on_progress:
        page = reproduce_ablation(plan, options, output, on_progress=on_progress)
    print(page.read_text())
    print(f"wrote {page} and {page.with_suffix('.json')}")
