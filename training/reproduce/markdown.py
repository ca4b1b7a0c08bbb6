"""What the pages of all tables are written with: head, notes on data and recipe, figures, claims."""

import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from cocon.training.config.input_sections import AugmentSection
from cocon.training.config.run import Config
from cocon.training.reproduce.claims import Claim
from cocon.training.reproduce.rows import Row
from cocon.training.reproduce.running import Plan
from cocon.video.store.dataset import DatasetFolder

__all__ = [
    "PROTOCOL",
    "claims_text",
    "data_note",
    "figure",
    "machine",
    "markdown_table",
    "page_head",
    "recipe_note",
    "recipe_notes",
    "reproduce_command",
]

PROTOCOL = (
    "Pre-training uses no label. Linear probe: logistic regression on one frozen embedding per video, its strength "
    "chosen by cross-validation over groups of the training videos. Retrieval: gallery = train, query = test, cosine, "
    "not centred. `ensemble`: all views weigh the same; `ensemble_learned`: weights learned on training videos.",
    "A video's embedding is the mean of its clips', as the index holds them. Thirds in order: the means of its first, "
    "middle and last third, one after the other.",
    "Random: the same networks untrained, batch normalisation calibrated on ten training batches.",
)


def page_head(title: str, command: str, rows: Sequence[Row], notes: Iterable[str]) -> list[str]:
    """The first paragraphs of a page: what it is, how it was made, and notes, each a sentence or two."""
    seeds = max(row.seeds for row in rows)
    varied = "One seed, which says nothing of how much figures vary" if seeds == 1 else f"{seeds} seeds, mean ± sd"
    made = f"Made on {date.today()}, {machine()}. {varied}, per cent."
    return [title, f"`{command}`\n\n{made}", "\n".join(f"* {note}" for note in notes)]


def machine() -> str:
    """What it was run on."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return (
        f"{os.cpu_count()} cores of an {model}, {gpu}, Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def figure(row: Row) -> str:
    """Mean ± sd with one decimal."""
    return f"{row.mean:.1f} ± {row.sd:.1f}" if row.seeds > 1 else f"{row.mean:.1f}"


def claims_text(claims: Sequence[Claim]) -> str:
    """Every claim with its verdict, and the comparisons that it consists of."""
    summary = []
    for claim in claims:
        count = sum(one.verdict == "holds" for one in claim.comparisons)
        verdict = "holds" if claim.holds else f"holds in {count} of {len(claim.comparisons)} figures"
        if any(one.seeds < 2 for one in claim.comparisons):
            verdict = "not judged by one seed"
        summary.append(f"* **{claim.statement}**: {verdict}")
    lines = [
        [claim.statement, one.where, f"{one.better:.1f}", f"{one.worse:.1f}", f"{one.sd:.1f}", one.verdict]
        for claim in claims
        for one in claim.comparisons
    ]
    return "\n".join(summary) + "\n\n" + markdown_table(["claim", "figure", "better", "worse", "sd", "verdict"], lines)


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def data_note(dataset: DatasetFolder) -> str:
    """How many videos and classes there are."""
    train, test = (dataset.split(name) for name in ("train", "test"))
    classes = len(dataset.labels)
    return f"Data: {len(train)} training and {len(test)} test videos, {classes} classes, chance {100 / classes:.1f} %."


def recipe_note(config: Config, plan: Plan) -> str:
    """What decides the figures of CoCon and CPC."""
    loss = config.loss
    objective = [f"temperature {loss.temperature}", f"sim {loss.sim:g}"]
    objective.append(f"sync {loss.sync:g} ramped over {loss.sync_ramp:g} of training")
    return f"Recipe `{plan.preset}`: {', '.join([*_networks(config), *objective])}. {_minutes(plan)}"


def recipe_notes(configs: Mapping[str, Config], plan: Plan) -> list[str]:
    """What decides the figures of every method, and the rules of judging.

    Args:
        configs: row → the configuration of its runs.
        plan: what they have in common.
    """
    notes = []
    for row, config in configs.items():
        if row == config.method and row in ("cocon", config.objective_section):
            section = getattr(config, config.objective_section).model_dump()
            objective = ", ".join(f"{key} {value}" for key, value in section.items())
            notes.append(f"`{row}`: {', '.join(_networks(config))}; {objective}.")
    return [*notes, f"Recipe `{plan.preset}`. {_minutes(plan)}", *PROTOCOL]


def reproduce_command(table: str, plan: Plan, *, name: str, seeds: int, more: tuple[str, ...] = ()) -> str:
    """The command line that makes the page again."""
    parts = ["cocon", "reproduce", table, "--data", str(plan.data), "--name", name]
    parts += ["--preset", plan.preset, "--seeds", str(seeds), *more]
    return shlex.join([*parts, *(part for setting in plan.settings for part in ("--set", setting))])


def _networks(config: Config) -> list[str]:
    clip, training = config.clip, config.training
    step = f"{clip.step_seconds:.3f} s" if clip.step_seconds else f"{clip.step_frames} frames"
    return [
        f"{config.model.depth}, width {config.model.width}",
        f"clips of {clip.num_blocks} blocks of {clip.frames_per_block} frames {step} apart",
        f"{training.epochs} epochs, batch {training.batch_size}",
        *_crops(config.augment),
    ]


def _crops(augment: AugmentSection) -> list[str]:
    least, most = augment.crop_area or augment.crop_scale
    share = f"{least:g} to {most:g} of the {'area' if augment.crop_area else 'short side'}"
    mirrored = [f"mirrored per {augment.horizontal_flip_per}"] if augment.horizontal_flip else []
    return [f"crops of {share} drawn per {augment.drawn_per}", *mirrored]


def _minutes(plan: Plan) -> str:
    return f"Minutes: one run on {plan.num_threads} thread(s)."
