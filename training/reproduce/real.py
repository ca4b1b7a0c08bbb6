"""The table of real videos: what encoders are worth on them, beside what a user would try without."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cocon.training.config.run import Config
from cocon.training.evaluation.recognition.baselines import BASELINES
from cocon.training.evaluation.recognition.metrics import FUSED, LEARNED
from cocon.training.reproduce.cells import Cell
from cocon.training.reproduce.claims import Claim, ClaimedRows, Comparison
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
from cocon.training.reproduce.real_cells import FEW_LABELS, PackedEncoders, real_cells
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.training.reproduce.table import Table
from cocon.video.store.dataset import DatasetFolder

__all__ = ["RealTable", "check_real_claims"]

# Figures in the order of the page, and what they are called there.
_FIGURES = {
    "probe_top1": "Linear probe",
    "R@1": "R@1",
    **{f"probe_{count}_per_class": f"{count}-shot" for count in FEW_LABELS},
    "ordered_probe_top1": "Linear probe, thirds in order",
    "ordered_R@1": "R@1, thirds in order",
    "search_R@1": "R@1 of `client search`",
}
_FINE_TUNED = "finetune_top1"
_MEANING = {
    "untrained": "the networks without training, batch normalisation calibrated on ten training batches",
    "flow-histogram": "no network: where on a 4 × 4 grid a video moves, and in which direction",
    "color-histogram": "no network: which colours a video has",
    "packed": "the packed encoders as they are; they have never seen these videos",
    "packed-trained": "trained on these videos without labels, from the packed encoders",
    "cocon": "trained on these videos without labels, from nothing",
    "cpc": "the same without the losses between views",
    "published": "`cocon` with the published recipe, at this size of network",
}
_STARTS = {
    "finetuned-untrained": "nothing",
    "finetuned-packed": "the packed encoders",
    "finetuned-trained": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTable(Table):
    """Untrained, histograms, packed, trained on, from nothing, CPC, published, fine-tuned.

    Attributes:
        packed: encoders of others.
        fine_tunes: also the rows that are fine-tuned.
        few_labels: of those, also the ones with few labels of each class.
    """

    kind = "real"
    why_two_views = "what views add needs two or more"
    packed: PackedEncoders | None = None
    fine_tunes: bool = True
    few_labels: bool = True

    def cells(self, plan: Plan, config: Config) -> list[Cell]:
        """See `real_cells`."""
        few_labels = None if not self.fine_tunes else FEW_LABELS if self.few_labels else ()
        # Trunks leave a place for every 32 pixels.
        cells = min(2, min(-(-config.geometry(view).crop_px // 32) for view in config.views))
        return real_cells(config.views, seeds=self.seeds, packed=self.packed, few_labels=few_labels, cells=cells)

    def page(self, rows: Sequence[Row], plan: Plan, config: Config, dataset: DatasetFolder) -> str:
        """All views together at a glance, figure by figure, fine-tuned, what holds, and what differs from the paper."""
        table = _Tables(rows, config.views)
        parts = [
            *page_head(f"# Real videos: {self.name}", self._command(plan), rows, self._notes(plan, config, dataset)),
            "## The rows",
            "\n".join(f"* `{name}`: {words}" for name, words in _MEANING.items() if table.has(name)),
            "## All views together",
            "Of weights learned on training videos, where there are any; a histogram is of one view.",
            table.at_a_glance(),
            "## Figure by figure",
            *table.by_figure(),
            *table.fine_tuned(),
            "## What holds",
            "`holds` is by more than the larger of the two standard deviations.",
            claims_text(check_real_claims(rows, config.views)),
            "## What differs from the paper",
            "\n".join(f"* {line}" for line in _deviations(config)),
        ]
        return "\n\n".join(parts) + "\n"

    def _command(self, plan: Plan) -> str:
        more: tuple[str, ...] = () if self.packed is None else ("--packed", str(self.packed.folder))
        more += () if self.fine_tunes else ("--no-finetune",)
        more += () if self.few_labels or not self.fine_tunes else ("--no-few-labels",)
        # The settings of the packed encoders come with them.
        taken = () if self.packed is None else self.packed.settings
        said = Plan(plan.preset, plan.settings[len(taken) :], plan.data, plan.runs, plan.num_threads)
        return reproduce_command(self.kind, said, name=self.name, seeds=self.seeds, more=more)

    def _notes(self, plan: Plan, config: Config, dataset: DatasetFolder) -> list[str]:
        kept = (
            [f"Packed encoders: `{self.packed.folder.name}`, whose network and clips all rows have."]
            if self.packed
            else []
        )
        shots = "k-shot: the probe with the labels of k training videos of each class, mean of five draws."
        return [*self.notes, data_note(dataset), recipe_note(config, plan), *kept,
                *PROTOCOL[:2], shots]  # fmt: skip


def check_real_claims(rows: Sequence[Row], views: Sequence[str]) -> list[Claim]:
    """What encoders must show on videos that they were not made for.

    Args:
        rows: of `collect_rows`.
        views: all views of the recipe.
    """
    table = _Tables(rows, views)
    both, best = ("probe_top1", "R@1"), "packed-trained" if table.has("packed-trained") else "cocon"
    ours = [name for name in ("packed", best) if table.has(name)]
    claims = [
        Claim(
            f"{name} > untrained, in every view",
            tuple(table.compare(name, "untrained", view, metric) for metric in both for view in views),
        )
        for name in ours
    ]
    claims += [
        Claim(f"{name}, fused > {baseline}", table.of_best(name, baseline, both))
        for baseline in BASELINES
        for name in ours
    ]
    pairs = [(best, other) for other in ("packed", "cocon") if other != best and table.has(other)]
    pairs += [("cocon", other) for other in ("cpc", "published")]
    claims += [Claim(f"{one} > {other}, fused", table.of_best(one, other, both)) for one, other in pairs]
    if table.has("finetuned-trained"):
        words = "fine-tuned from trained encoders, fused"
        from_nothing = table.of_best("finetuned-trained", "finetuned-untrained", (_FINE_TUNED,))
        probed = table.of_best("finetuned-trained", best, (_FINE_TUNED,), their_metric="ordered_probe_top1")
        claims += [Claim(f"{words} > from nothing", from_nothing), Claim(f"{words} > their ordered probe", probed)]
    return claims


class _Tables(ClaimedRows):
    def __init__(self, rows: Sequence[Row], views: Sequence[str]) -> None:
        super().__init__(rows)
        found = dict.fromkeys(row.view for row in rows)
        known = [*views, FUSED, LEARNED]
        # A histogram may be of a view that no encoder sees.
        self._judged = (*(view for view in found if view not in known), *(view for view in known if view in found))

    def at_a_glance(self) -> str:
        names = [name for name in _MEANING if self.has(name)]
        metrics = [
            metric for metric in _FIGURES if any((name, self._best(name), metric) in self._rows for name in names)
        ]
        lines = [
            [name, *(self._figure(name, self._best(name), metric) for metric in metrics), self._minutes(name)]
            for name in names
        ]
        return markdown_table(["", *(_FIGURES[metric] for metric in metrics), "minutes"], lines)

    def by_figure(self) -> Iterator[str]:
        for metric, title in _FIGURES.items():
            names = [name for name in _MEANING if any((name, view, metric) in self._rows for view in self._judged)]
            lines = [[name, *(self._figure(name, view, metric) for view in self._judged)] for name in names]
            if lines:
                yield markdown_table([title, *self._judged], lines)

    def fine_tuned(self) -> Iterator[str]:
        if not self.has("finetuned-untrained"):
            return
        yield "## Fine-tuned"
        yield ("Top-1 of the classifier, the whole network trained with it; it knows what comes first, then and last.")
        lines, trained = [], "`packed-trained`" if self.has("packed-trained") else "`cocon`"
        for labels in (0, *FEW_LABELS):
            for start, words in _STARTS.items():
                name = f"{start}-{labels}" if labels else start
                if self.has(name):
                    judged = [self._figure(name, view, _FINE_TUNED) for view in self._judged]
                    shown = [f"{labels} of each class" if labels else "all", words or trained]
                    lines.append([*shown, *judged, self._minutes(name)])
        yield markdown_table(["labels", "started from", *self._judged, "minutes"], lines)

    def of_best(
        self, one: str, other: str, metrics: Sequence[str], *, their_metric: str | None = None
    ) -> tuple[Comparison, ...]:
        """All views together of one row against another, which may be a single view, or of another figure."""
        found = []
        for metric in metrics:
            ours = self._rows[one, self._best(one), metric]
            theirs = self._rows[other, self._best(other), their_metric or metric]
            sd, seeds = max(ours.sd, theirs.sd), max(ours.seeds, theirs.seeds)
            where = f"{ours.view} {metric}" + (f" over {theirs.metric}" if their_metric else "")
            found.append(Comparison(where, ours.mean, theirs.mean, sd, seeds))
        return tuple(found)

    def _best(self, name: str) -> str:
        """All views together with learned weights, else with equal ones; of a histogram its only view."""
        views = [view for row, view, _ in self._rows if row == name]
        return next((view for view in (LEARNED, FUSED) if view in views), views[0])

    def _figure(self, name: str, view: str, metric: str) -> str:
        row = self._rows.get((name, view, metric))
        return figure(row) if row else ""

    def _minutes(self, name: str) -> str:
        return f"{next(row for row in self._rows.values() if row.row == name).minutes:.1f}"


def _deviations(config: Config) -> Iterator[str]:
    """What is not as in Rai et al. 2021, in sentences."""
    clip, side_px = config.clip, config.geometry(config.views[0]).crop_px
    yield (
        f"Network and clips: {config.model.depth} of width {config.model.width}, {clip.num_blocks} blocks of "
        f"{clip.frames_per_block} frames at {side_px} px; the paper has resnet18 of width 64, 8 blocks of 5 at 128 px."
    )
    yield (
        "Data: trained on the training videos of this set alone, or from the packed encoders; the paper pre-trains on "
        "UCF101 or Kinetics-400 for hundreds of epochs and fine-tunes on UCF101 and HMDB51, of which nothing is here."
    )
    yield (
        "`cocon` and `cpc` divide cosines by the temperature once, let the loss between pair matrices rise, draw crops "
        "and gains for each block, and follow a cosine; `published` has the temperature twice, no ramp, crops and "
        "colours drawn once for a clip as released, and follows the same cosine in place of the plateau."
    )
    yield (
        "Fine-tuning begins with a classifier fitted to the frozen features in order, where encoders are trained, and "
        "the paper's with a new one on the last state of a ConvGRU; videos are judged by all of their clips in the "
        "centre crop."
    )
    yield "Published figures are of other data and networks, and none of them stands in these tables."
