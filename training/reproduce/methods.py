"""Every method on one data set: its cells, and its page with what the papers claim checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cocon.training.config.files import load_config
from cocon.training.config.run import Config
from cocon.training.models.encoder import build_encoder
from cocon.training.reproduce.cells import Cell, method_cells
from cocon.training.reproduce.claims import Claim, ClaimedRows
from cocon.training.reproduce.markdown import (
    claims_text,
    data_note,
    figure,
    markdown_table,
    page_head,
    recipe_notes,
    reproduce_command,
)
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.training.reproduce.table import Table
from cocon.training.run_folder.files import RunFolder
from cocon.video.store.dataset import DatasetFolder
from cocon.video.views import view_named

__all__ = ["MethodsTable", "check_method_claims"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsTable(Table):
    """Every method beside its untrained network.

    Attributes:
        blocks_per_second: trunk in words, as in `Row.backbone` → blocks that its exported encoder embeds in a second.
    """

    kind = "methods"
    why_two_views = "ViCC crosses two or more"
    blocks_per_second: Mapping[str, float] = field(default_factory=dict)

    def cells(self, plan: Plan, config: Config) -> list[Cell]:
        """See `method_cells`."""
        of_vicc = load_config(plan.preset, [*plan.settings, "method=vicc"])
        epochs_alone = round(of_vicc.training.epochs * of_vicc.vicc.learning_share(len(of_vicc.views)))
        return method_cells(config.views, seeds=self.seeds, epochs_alone=epochs_alone)

    def page(self, rows: Sequence[Row], plan: Plan, config: Config, dataset: DatasetFolder) -> str:
        """Figures by row and view, what they cost, and what the methods claim."""
        cells = self.cells(plan, config)
        configs = {cell.row: RunFolder.open(plan.runs / cell.name).config for cell in cells if cell.seed == 0}
        command = reproduce_command(self.kind, plan, name=self.name, seeds=self.seeds)
        notes = [*self.notes, data_note(dataset), *recipe_notes(configs, plan)]
        parts = [
            *page_head(f"# The methods on {self.name}", command, rows, notes),
            *_tables(rows),
            "## What it costs",
            _costs(rows, configs, self.blocks_per_second),
            "## What holds",
            "`holds` is by more than the larger standard deviation.",
            claims_text(check_method_claims(rows, config.views)),
        ]
        return "\n\n".join(parts) + "\n"


def check_method_claims(rows: Sequence[Row], views: Sequence[str]) -> list[Claim]:
    """What the methods claim: better than untrained, and what is particular to ViCC and VCLR.

    Args:
        rows: of `collect_rows`.
        views: all views of the recipe, the appearance first.
    """
    table = ClaimedRows(rows)
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


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    """A table for each figure of merit."""
    table = {(row.row, row.view, row.metric): row for row in rows}
    names, judged = dict.fromkeys(row.row for row in rows), dict.fromkeys(row.view for row in rows)
    for metric, words in _METRICS.items():
        if any(row.metric == metric for row in rows):
            lines = [[name, *(figure(table[name, view, metric]) for view in judged)] for name in names]
            yield markdown_table([words, *judged], lines)


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
