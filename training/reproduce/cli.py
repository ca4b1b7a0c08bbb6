"""`cocon reproduce`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.options import Quiet, takes_options
from cocon.core.paths import real_path

if TYPE_CHECKING:
    from cocon.training.reproduce.table import Table

__all__ = ["TableOptions", "app"]

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, help="The paper's tables on your own data.")

# The tables of the papers compare views as they are.
_AS_PUBLISHED = ("loss.centred=false",)

Runs = Annotated[Path, typer.Option(help="Folder of the runs; a run that is there goes on.")]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """The options of every table."""

    data: Annotated[Path, typer.Option(help="Dataset folder with labelled videos in splits train and test.")]
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0, 1, … of every row.")] = 3
    preset: Annotated[str, typer.Option("--preset", "--config", help="The recipe: a preset, or a TOML file.")] = "demo"
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None
    name: Annotated[str, typer.Option(help="Names the result files; default: the folder's name.")] = ""
    output: Annotated[Path, typer.Option(help="Folder of the result files.")] = Path("docs/results")
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: one per core, one on a GPU.")] = None
    note: Annotated[list[str] | None, typer.Option(help="A line for the page; may be repeated.")] = None
    quiet: Quiet = False

    def make(
        self, kind: "Callable[..., Table]", runs: Path, settings: tuple[str, ...] = (), *, has_few_shot: bool = False
    ) -> None:
        """Make a table of a kind and print its page; `settings` come before those given."""
        from cocon.core.progress import progress_bar
        from cocon.training.evaluation.recognition.result import MetricOptions
        from cocon.training.reproduce.running import Plan, cores_for
        from cocon.training.reproduce.table import reproduce_table

        name = self.name or real_path(self.data).name
        jobs, num_threads = cores_for(self.jobs)
        plan = Plan(
            self.preset,
            (*settings, *(self.settings or ())),
            self.data,
            runs / name,
            num_threads,
            options=MetricOptions(has_few_shot=has_few_shot),
            says=not self.quiet,
        )
        table = kind(name=name, seeds=self.seeds, jobs=jobs, notes=tuple(self.note or ()))
        with progress_bar(f"epochs of the {table.kind} on {name}", unit="epochs", is_quiet=self.quiet) as on_progress:
            page = reproduce_table(table, plan, self.output, on_progress=on_progress)
        print(page.read_text())
        print(f"wrote {page} and {page.with_suffix('.json')}")


@app.command()
@takes_options(TableOptions)
def ablation(
    options: TableOptions,
    runs: Runs = Path("runs/ablation"),
    extras: Annotated[bool, typer.Option(help="Also fewer views, the published recipe, fine-tuning.")] = True,
    finetune_epochs: Annotated[int, typer.Option(min=0, help="Epochs of fine-tuning; 0 leaves it out.")] = 20,
) -> None:
    """Random, CPC, +sim, +sync and CoCon, for each view and the ensemble; CoCon with 1, 2, … views; fine-tuned.

    Each row and seed is a run of its own: an interrupted call goes on where it stopped. Writes
    ablation-NAME.md and ablation-NAME.json.

    Example: cocon reproduce ablation --data data/figures --preset demo --seeds 3
    """
    from cocon.training.reproduce.ablation import AblationTable

    epochs = finetune_epochs if extras else 0
    options.make(partial(AblationTable, extras=extras, finetune_epochs=epochs), runs, _AS_PUBLISHED)


@app.command()
@takes_options(TableOptions)
def methods(
    options: TableOptions,
    runs: Runs = Path("runs/methods"),
    speeds: Annotated[
        Path, typer.Option(help="Blocks per second of the encoders, as benchmarks/encoders.py writes them.")
    ] = Path("benchmarks/results/encoders.json"),
) -> None:
    """CPC, CoCon, ViCC, VCLR and CycleContrast beside their untrained networks, on appearance and flow.

    Also ViCC without its second stage and VCLR without its segment loss. Interrupted calls go on. Writes
    methods-NAME.md and methods-NAME.json.

    Example: cocon reproduce methods --data data/figures --preset demo --seeds 3
    """
    import json

    from cocon.training.reproduce.methods import MethodsTable

    measured = json.loads(speeds.read_text())["rows"] if speeds.is_file() else []
    blocks_per_second = {row["case"]: row["value"] for row in measured}
    settings = (*_AS_PUBLISHED, "views=['rgb', 'flow']")
    options.make(partial(MethodsTable, blocks_per_second=blocks_per_second), runs, settings)


@app.command()
@takes_options(TableOptions)
def real(
    options: TableOptions,
    packed: Annotated[
        Path | None, typer.Option(help="Run, such as a packed one, whose encoders are judged and trained on from.")
    ] = None,
    runs: Runs = Path("runs/real"),
    finetune: Annotated[bool, typer.Option(help="Also fine-tune.")] = True,
    few_labels: Annotated[bool, typer.Option(help="Also fine-tune with 1, 5 and 10 labels a class.")] = True,
) -> None:
    """What encoders are worth on real videos: untrained, histograms, packed, trained on, from nothing, CPC, published.

    Probe, retrieval and few labels, per view and fused, and fine-tuned. All rows have the network of --packed and see
    its clips. Each row and seed is a run of its own: an interrupted call goes on where it stopped. Writes real-NAME.md
    and real-NAME.json.

    Example: cocon reproduce real --data data/utd_mhad --preset people --packed pretrained/people
    """
    from cocon.training.config.files import load_config
    from cocon.training.reproduce.real import RealTable
    from cocon.training.reproduce.real_cells import PackedEncoders

    taken = None
    if packed is not None:
        taken = PackedEncoders.read(packed, load_config(options.preset, options.settings or ()).views)
    kind = partial(RealTable, packed=taken, fine_tunes=finetune, few_labels=few_labels)
    options.make(kind, runs, () if taken is None else taken.settings, has_few_shot=True)
