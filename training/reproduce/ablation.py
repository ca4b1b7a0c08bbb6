"""The ablation as a whole: run every cell, average, check the claims, write page and rows."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from cocon.training.config import Config
from cocon.training.config_file import load_config
from cocon.training.data.datasets import open_dataset
from cocon.training.reproduce.cells import ablation_cells
from cocon.training.reproduce.claims import check_claims
from cocon.training.reproduce.page import ablation_page
from cocon.training.reproduce.rows import collect_rows
from cocon.training.reproduce.running import Plan, run_cells
from cocon.video.atomic import replacing
from cocon.video.errors import UsageError
from cocon.video.folder import DatasetFolder
from cocon.video.progress import OnProgress

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
    config = load_config(plan.preset, [*plan.settings, f"data.folder={json.dumps(str(plan.data))}"])
    if len(config.views) < 2:
        raise UsageError(f"recipe '{plan.preset}' has the view '{config.views[0]}' only; an ablation needs two or more")
    dataset = open_dataset(config.data)
    cells = ablation_cells(
        config.views, seeds=options.seeds, finetune_epochs=options.finetune_epochs, extras=options.extras
    )
    run_cells(cells, plan, jobs=options.jobs, on_progress=on_progress)
    rows = collect_rows(cells, plan.runs, config)
    text = ablation_page(
        rows,
        check_claims(rows, config.views),
        config.views,
        data=options.name,
        command=_command(plan, options),
        notes=[*options.notes, _data_note(dataset), _recipe_note(config, plan), *_PROTOCOL],
    )
    page = output / f"ablation-{options.name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    with replacing(page.with_suffix(".json")) as partial:
        partial.write_text(json.dumps([row.to_dict() for row in rows], indent=1) + "\n")
    with replacing(page) as partial:
        partial.write_text(text)
    return page


_PROTOCOL = (
    "Pre-training uses no label. Linear probe: logistic regression on one frozen embedding per video, its strength "
    "chosen by cross-validation over groups of the training videos. Retrieval: gallery = train, query = test, cosine, "
    "not centred. `ensemble`: all views weigh the same; `ensemble_learned`: weights learned on training videos.",
    "A video's embedding is the mean of its clips', as the index holds them. Thirds in order: the means of its first, "
    "middle and last third, one after the other.",
    "Random: the same networks untrained, batch normalisation calibrated on ten training batches.",
)


def _data_note(dataset: DatasetFolder) -> str:
    train, test = (dataset.split(name) for name in ("train", "test"))
    classes = len(dataset.labels)
    return f"Data: {len(train)} training and {len(test)} test videos, {classes} classes, chance {100 / classes:.1f} %."


def _recipe_note(config: Config, plan: Plan) -> str:
    clip, loss, training = config.clip, config.loss, config.training
    step = f"{clip.step_seconds:.3f} s" if clip.step_seconds else f"{clip.step_frames} frames"
    parts = (
        f"{config.model.depth}, width {config.model.width}",
        f"clips of {clip.num_blocks} blocks of {clip.frames_per_block} frames {step} apart",
        f"{training.epochs} epochs, batch {training.batch_size}",
        f"crops drawn per {config.augment.drawn_per}",
        f"temperature {loss.temperature}",
        f"sim {loss.sim:g}",
        f"sync {loss.sync:g} ramped over {loss.sync_ramp:g} of training",
    )
    return f"Recipe `{plan.preset}`: {', '.join(parts)}. Minutes: one run on {plan.num_threads} thread(s)."


def _command(plan: Plan, options: AblationOptions) -> str:
    parts = ["cocon", "reproduce", "ablation", "--data", str(plan.data), "--name", options.name]
    parts += ["--preset", plan.preset, "--seeds", str(options.seeds), "--finetune-epochs", str(options.finetune_epochs)]
    parts += [part for setting in plan.settings for part in ("--set", setting)]
    return shlex.join(parts + ([] if options.extras else ["--no-extras"]))
