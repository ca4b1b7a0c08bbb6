"""The ablation as a whole: run every cell, average, check the claims, write page and rows."""

from dataclasses import dataclass
from pathlib import Path

from cocon.core.progress import OnProgress
from cocon.training.reproduce.cells import ablation_cells
from cocon.training.reproduce.claims import check_claims
from cocon.training.reproduce.notes import PROTOCOL, data_note, recipe_note, reproduce_command
from cocon.training.reproduce.page import ablation_page
from cocon.training.reproduce.recipe import opened_recipe, written_page
from cocon.training.reproduce.rows import collect_rows
from cocon.training.reproduce.running import Plan, run_cells

__all__ = ["AblationOptions", "reproduce_ablation"]


@dataclass(frozen=True, slots=True)
class AblationOptions:
    """What the page is made of.

    Attributes:
        name: of the data set; names the result files.
        seeds: of every row.
        jobs: cells at a time.
        extras: see `ablation_cells`.
        finetune_epochs: see `ablation_cells`.
        notes: further lines for the page.
    """

    name: str
    seeds: int
    jobs: int
    extras: bool
    finetune_epochs: int
    notes: tuple[str, ...] = ()


def reproduce_ablation(plan: Plan, options: AblationOptions, output: Path, *, on_progress: OnProgress) -> Path:
    """Run what is missing and write `ablation-<name>.md` and `.json`.

    Args:
        plan: recipe, data and runs.
        options: what the page is made of.
        output: folder of both files.
        on_progress: called with (epochs done, epochs in all).

    Returns:
        The page; the rows lie beside it.

    Raises:
        UsageError: the recipe has one view only, or the data cannot be judged on.
        KeyboardInterrupt: the same call goes on.
    """
    config, dataset = opened_recipe(plan, why_two_views="an ablation needs two or more")
    cells = ablation_cells(
        config.views, seeds=options.seeds, finetune_epochs=options.finetune_epochs, extras=options.extras
    )
    run_cells(cells, plan, jobs=options.jobs, on_progress=on_progress)
    rows = collect_rows(cells, plan.runs)
    text = ablation_page(
        rows,
        check_claims(rows, config.views),
        config.views,
        data=options.name,
        command=reproduce_command("ablation", plan, name=options.name, seeds=options.seeds, more=_more(options)),
        notes=[*options.notes, data_note(dataset), recipe_note(config, plan), *PROTOCOL],
    )
    return written_page(output / f"ablation-{options.name}.md", text, rows)


def _more(options: AblationOptions) -> tuple[str, ...]:
    fine_tuning = ("--finetune-epochs", str(options.finetune_epochs))
    return fine_tuning if options.extras else (*fine_tuning, "--no-extras")
