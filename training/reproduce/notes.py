"""Lines of a page about the data, the recipe and the command that makes it."""

import shlex
from collections.abc import Mapping

from cocon.training.config.input_sections import AugmentSection
from cocon.training.config.run import Config
from cocon.training.reproduce.running import Plan
from cocon.video.store.dataset import DatasetFolder

__all__ = ["PROTOCOL", "data_note", "recipe_note", "recipe_notes", "reproduce_command"]

PROTOCOL = (
    "Pre-training uses no label. Linear probe: logistic regression on one frozen embedding per video, its strength "
    "chosen by cross-validation over groups of the training videos. Retrieval: gallery = train, query = test, cosine, "
    "not centred. `ensemble`: all views weigh the same; `ensemble_learned`: weights learned on training videos.",
    "A video's embedding is the mean of its clips', as the index holds them. Thirds in order: the means of its first, "
    "middle and last third, one after the other.",
    "Random: the same networks untrained, batch normalisation calibrated on ten training batches.",
)


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
