"""The ablation: its cells, and its page with tables in the order of the paper's and which of its claims hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from cocon.training.config.run import Config
from cocon.training.reproduce.cells import Cell, ablation_cells
from cocon.training.reproduce.claims import ClaimedRows, check_claims
from cocon.training.reproduce.markdown import (
    PROTOCOL,
    claims_text,
    data_note,
    figure,
    markdown_table,
    page_head,
    recipe_note,
    reproduce_command,
)
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.training.reproduce.table import Table
from cocon.video.store.dataset import DatasetFolder

__all__ = ["AblationTable"]

# Rows in the order of the paper's tables, with what they are.
_LOSSES = ("random", "cpc", "cpc+sync", "cpc+sim", "cocon")
_TITLES = {
    "probe_top1": "Linear probe",
    "R@1": "Retrieval, R@1",
    "ordered_probe_top1": "Linear probe, thirds in order",
    "ordered_R@1": "Retrieval, R@1, thirds in order",
}
# Published figures, per cent: fine-tuned top-1 on UCF101, split 1, RGB and flow (Rai et al. 2021, ablation).
_UCF101 = {
    "random": ("46.7", "65.3"),
    "cpc": ("63.7", "69.8"),
    "cpc+sim": ("66.0", "71.4"),
    "cpc+sync": ("62.7", "69.2"),
    "cocon": ("67.8", "72.5"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable(Table):
    """Random, CPC, CPC + sim, CPC + sync and CoCon.

    Attributes:
        extras: see `ablation_cells`.
        finetune_epochs: see `ablation_cells`.
    """

    kind = "ablation"
    why_two_views = "an ablation needs two or more"
    extras: bool
    finetune_epochs: int

    def cells(self, plan: Plan, config: Config) -> list[Cell]:
        """See `ablation_cells`."""
        return ablation_cells(config.views, seeds=self.seeds, finetune_epochs=self.finetune_epochs, extras=self.extras)

    def page(self, rows: Sequence[Row], plan: Plan, config: Config, dataset: DatasetFolder) -> str:
        """Which loss does what, how many views, the published recipe, fine-tuned; and what holds."""
        more = ("--finetune-epochs", str(self.finetune_epochs), *(() if self.extras else ("--no-extras",)))
        command = reproduce_command(self.kind, plan, name=self.name, seeds=self.seeds, more=more)
        notes = [*self.notes, data_note(dataset), recipe_note(config, plan), *PROTOCOL]
        table = _Tables(rows, config.views)
        parts = [
            *page_head(f"# The ablation on {self.name}", command, rows, notes),
            "## Which loss does what",
            "The last columns are the published figures for UCF101, fine-tuned: other data, another network, the "
            "same order of rows.",
            *(table.losses(metric) for metric in table.metrics),
            *table.optional("## How many views", table.views_table()),
            *table.optional("## Our recipe and the published one", table.recipes()),
            *table.optional("## Fine-tuned", table.finetuned()),
            "## What holds",
            "`holds` is by more than the larger of the two standard deviations.",
            claims_text(check_claims(rows, config.views)),
        ]
        return "\n\n".join(parts) + "\n"


class _Tables(ClaimedRows):
    def __init__(self, rows: Sequence[Row], views: Sequence[str]) -> None:
        super().__init__(rows)
        self._views = tuple(views)
        fused = [row.view for row in rows if row.view.startswith("ensemble")]
        self._judged = (*self._views, *dict.fromkeys(fused))

    def optional(self, heading: str, table: str) -> list[str]:
        return [heading, table] if table else []

    def losses(self, metric: str) -> str:
        header = [_TITLES[metric], *self._judged, "minutes", "UCF101 RGB", "UCF101 flow"]
        lines = [
            [losses, *self._figures(losses, metric), self._minutes(losses), *_UCF101[losses]] for losses in _LOSSES
        ]
        return markdown_table(header, lines)

    def views_table(self) -> str:
        names = [f"cocon-{count}-views" for count in range(1, len(self._views))]
        names = [name for name in names if self.has(name)] + ["cocon"]
        if len(names) == 1:
            return ""
        header = ["trained together", "figure", *self._judged, "minutes"]
        lines = [
            [" + ".join(self._first(name).views), metric, *self._figures(name, metric), self._minutes(name)]
            for metric in self.metrics
            for name in names
        ]
        return markdown_table(header, lines)

    def recipes(self) -> str:
        if not self.has("published"):
            return ""
        header = ["CoCon with", "figure", *self._judged]
        names = {"cocon": "our recipe", "published": "the published one"}
        lines = [
            [words, metric, *self._figures(name, metric)] for metric in self.metrics for name, words in names.items()
        ]
        what = "Published: crops and colours as released, drawn once per clip; cosines over 0.07²; no ramp of L_sync."
        return f"{what}\n\n{markdown_table(header, lines)}"

    def finetuned(self) -> str:
        names = [name for name in ("finetuned-random", "finetuned-cocon") if self.has(name)]
        if not names:
            return ""
        header = ["started from", *self._judged, "minutes"]
        lines = [
            [name.removeprefix("finetuned-"), *self._figures(name, "finetune_top1"), self._minutes(name)]
            for name in names
        ]
        return f"Top-1 of the classifier, the whole network trained.\n\n{markdown_table(header, lines)}"

    def _figures(self, name: str, metric: str) -> list[str]:
        found = [self._rows.get((name, view, metric)) for view in self._judged]
        return [figure(row) if row else "" for row in found]

    def _minutes(self, name: str) -> str:
        return f"{self._first(name).minutes:.1f}"

    def _first(self, name: str) -> Row:
        return next(row for row in self._rows.values() if row.row == name)
