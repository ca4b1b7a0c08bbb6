"""The page for people: tables in the order of the paper's, and which of its claims hold."""

from collections.abc import Iterable, Sequence
from datetime import date

from cocon.training.reproduce.claims import COMPARED, Claim
from cocon.training.reproduce.markdown import claims_text, figure, machine, markdown_table, seeds_text
from cocon.training.reproduce.rows import Row

__all__ = ["ablation_page"]

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


def ablation_page(
    rows: Sequence[Row], claims: Sequence[Claim], views: Sequence[str], *, data: str, command: str, notes: Iterable[str]
) -> str:
    """The whole page as Markdown.

    Args:
        rows: of `collect_rows`.
        claims: of `check_claims`.
        views: all views of the recipe.
        data: name of the data set.
        command: what makes the page.
        notes: lines about data and recipe, each a sentence or two.
    """
    table = _Tables(rows, views)
    seeds = max(row.seeds for row in rows)
    parts = [
        f"# The ablation on {data}",
        f"`{command}`\n\nMade on {date.today()}, {machine()}. {seeds_text(seeds)}, per cent.",
        "\n".join(f"* {note}" for note in notes),
        "## Which loss does what",
        "The last columns are the published figures for UCF101, fine-tuned: other data, another network, the "
        "same order of rows.",
        *(table.losses(metric, title) for metric, title in _TITLES.items() if table.has_metric(metric)),
        *table.optional("## How many views", table.views_table()),
        *table.optional("## Our recipe and the published one", table.recipes()),
        *table.optional("## Fine-tuned", table.finetuned()),
        "## What holds",
        "`holds` is by more than the larger of the two standard deviations.",
        claims_text(claims),
    ]
    return "\n\n".join(parts) + "\n"


class _Tables:
    def __init__(self, rows: Sequence[Row], views: Sequence[str]) -> None:
        self._rows = {(row.row, row.view, row.metric): row for row in rows}
        self._views = tuple(views)
        fused = [view for _, view, _ in self._rows if view.startswith("ensemble")]
        self._judged = (*self._views, *dict.fromkeys(fused))

    def optional(self, heading: str, table: str) -> list[str]:
        return [heading, table] if table else []

    def losses(self, metric: str, title: str) -> str:
        header = [title, *self._judged, "minutes", "UCF101 RGB", "UCF101 flow"]
        lines = [
            [losses, *self._figures(losses, metric), self._minutes(losses), *_UCF101[losses]] for losses in _LOSSES
        ]
        return markdown_table(header, lines)

    def has_metric(self, metric: str) -> bool:
        return any(name == metric for _, _, name in self._rows)

    def views_table(self) -> str:
        names = [f"cocon-{count}-views" for count in range(1, len(self._views))]
        names = [name for name in names if self._has(name)] + ["cocon"]
        if len(names) == 1:
            return ""
        header = ["trained together", "figure", *self._judged, "minutes"]
        lines = [
            [" + ".join(self._trained_views(name)), metric, *self._figures(name, metric), self._minutes(name)]
            for metric in COMPARED
            if self.has_metric(metric)
            for name in names
        ]
        return markdown_table(header, lines)

    def recipes(self) -> str:
        if not self._has("published"):
            return ""
        header = ["CoCon with", "figure", *self._judged]
        names = {"cocon": "our recipe", "published": "the published one"}
        lines = [
            [words, metric, *self._figures(name, metric)]
            for metric in COMPARED
            if self.has_metric(metric)
            for name, words in names.items()
        ]
        what = "Published: crops and colours as released, drawn once per clip; cosines over 0.07²; no ramp of L_sync."
        return f"{what}\n\n{markdown_table(header, lines)}"

    def finetuned(self) -> str:
        names = [name for name in ("finetuned-random", "finetuned-cocon") if self._has(name)]
        if not names:
            return ""
        header = ["started from", *self._judged, "minutes"]
        lines = [
            [name.removeprefix("finetuned-"), *self._figures(name, "finetune_top1"), self._minutes(name)]
            for name in names
        ]
        return f"Top-1 of the classifier, the whole network trained.\n\n{markdown_table(header, lines)}"

    def _has(self, name: str) -> bool:
        return any(row == name for row, _, _ in self._rows)

    def _figures(self, name: str, metric: str) -> list[str]:
        found = [self._rows.get((name, view, metric)) for view in self._judged]
        return [figure(row) if row else "" for row in found]

    def _minutes(self, name: str) -> str:
        return next(f"{row.minutes:.1f}" for (row_name, _, _), row in self._rows.items() if row_name == name)

    def _trained_views(self, name: str) -> tuple[str, ...]:
        return next(row.views for (row_name, _, _), row in self._rows.items() if row_name == name)
