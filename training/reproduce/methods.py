"""Every method on one data set: run every cell, average, check what the papers claim, write page and rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cocon.core.progress import OnProgress
from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import build_encoder
from cocon.training.reproduce.cells import method_cells
from cocon.training.reproduce.claims import Claim, RowTable
from cocon.training.reproduce.markdown import claims_text, figure, machine, markdown_table, seeds_text
from cocon.training.reproduce.notes import data_note, recipe_notes, reproduce_command
from cocon.training.reproduce.recipe import opened_recipe, written_page
from cocon.training.reproduce.rows import Row, collect_rows
from cocon.training.reproduce.running import Plan, run_cells
from cocon.training.run_folder.files import RunFolder
from cocon.video.views import view_named

__all__ = ["MethodsOptions", "check_method_claims", "reproduce_methods"]

_METRICS = {
    "probe_top1": "Linear probe",
    "R@1": "R@1",
    "R@5": "R@5",
    "R@10": "R@10",
    "ordered_probe_top1": "Linear probe, thirds in order",
    "ordered_R@1": "R@1, thirds in order",
}
# Which untrained network a method is compared with.
_UNTRAINED = {
    "cpc": "random-cocon",
    "cocon": "random-cocon",
    "vicc": "random-vicc",
    "vclr": "random-frames",
    "cycle": "random-frames",
}


@dataclass(frozen=True, slots=True)
class MethodsOptions:
    """What the page is made of.

    Attributes:
        name: of the data set; names the result files.
        seeds: of every row.
        jobs: cells at a time.
        blocks_per_second: trunk in words, as in `Row.backbone` → blocks that its exported encoder embeds in a second.
        notes: further lines for the page.
    """

    name: str
    seeds: int
    jobs: int
    blocks_per_second: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def reproduce_methods(plan: Plan, options: MethodsOptions, output: Path, *, on_progress: OnProgress) -> Path:
    """Run what is missing and write `methods-<name>.md` and `.json`.

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
    config, dataset = opened_recipe(plan, why_two_views="ViCC crosses two or more")
    cells = method_cells(config.views, seeds=options.seeds, epochs_alone=_epochs_alone(plan))
    run_cells(cells, plan, jobs=options.jobs, on_progress=on_progress)
    rows = collect_rows(cells, plan.runs)
    configs = {cell.row: RunFolder.open(plan.runs / cell.name).config for cell in cells if cell.seed == 0}
    text = _page(
        rows,
        _costs(rows, configs, options.blocks_per_second),
        config.views,
        title=f"# The methods on {options.name}",
        command=reproduce_command("methods", plan, name=options.name, seeds=options.seeds),
        notes=[*options.notes, data_note(dataset), *recipe_notes(configs, plan)],
    )
    return written_page(output / f"methods-{options.name}.md", text, rows)


def _epochs_alone(plan: Plan) -> int:
    """Epochs in which a stream of ViCC learns."""
    config = load_config(plan.preset, [*plan.settings, "method=vicc"])
    return round(config.training.epochs * config.vicc.learning_share(len(config.views)))


def check_method_claims(rows: Sequence[Row], views: Sequence[str]) -> list[Claim]:
    """What the methods claim: better than untrained, and what is particular to ViCC and VCLR.

    Args:
        rows: of `collect_rows`.
        views: all views of the recipe, the appearance first.
    """
    table = RowTable(rows)
    claims = []
    for method, untrained in _UNTRAINED.items():
        both = [table.compare_means(method, untrained, views, metric) for metric in ("probe_top1", "R@1")]
        better = max(both, key=lambda comparison: comparison.gain_in_sd)
        claims.append(Claim(f"{method} > its untrained network, in probe or R@1", (better,)))
    first, plain = views[0], [metric for metric in table.metrics if metric in ("probe_top1", "R@1")]
    claims += [
        Claim(
            f"ViCC with crossed streams > each alone, in {first}",
            tuple(table.compare("vicc", "vicc-alone", first, metric) for metric in plain),
        ),
        Claim(
            "VCLR with the segment loss > without, mean over views",
            tuple(table.compare_means("vclr", "vclr-without-segment", views, metric) for metric in plain),
        ),
    ]
    return claims


def _page(
    rows: Sequence[Row], costs: str, views: Sequence[str], *, title: str, command: str, notes: Iterable[str]
) -> str:
    table = {(row.row, row.view, row.metric): row for row in rows}
    names = list(dict.fromkeys(row.row for row in rows))
    judged = list(dict.fromkeys(row.view for row in rows))
    parts = [title, f"`{command}`\n\nMade on {date.today()}, {machine()}. {seeds_text(rows[0].seeds)}, per cent."]
    parts.append("\n".join(f"* {note}" for note in notes))
    for metric, words in _METRICS.items():
        if any(row.metric == metric for row in rows):
            lines = [[name, *(figure(table[name, view, metric]) for view in judged)] for name in names]
            parts.append(markdown_table([words, *judged], lines))
    parts += ["## What it costs", costs, "## What holds", "`holds` is by more than the larger standard deviation."]
    return "\n\n".join([*parts, claims_text(check_method_claims(rows, views))]) + "\n"


def _costs(rows: Sequence[Row], configs: Mapping[str, Config], speeds: Mapping[str, float]) -> str:
    first = {row.row: row for row in reversed(rows)}
    lines = []
    for name, config in configs.items():
        row, encoder = first[name], build_encoder(config.encoder_spec(), view_named(config.views[0]))
        number = sum(parameter.numel() for parameter in encoder.parameters())
        speed = f"{speeds[row.backbone]:.0f}" if row.backbone in speeds else ""
        lines.append([name, row.backbone, f"{number:,}", speed, f"{row.minutes:.1f}"])
    header = ["row", "trunk, frames×side of a block", "parameters", "blocks/s", "minutes"]
    return markdown_table(header, lines)
