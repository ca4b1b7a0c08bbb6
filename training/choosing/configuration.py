"""The configuration of `cocon train --preset auto`: what was set, and for the rest what is chosen for the videos."""

from collections.abc import Collection, Sequence

import torch

from cocon.core.printable import printable
from cocon.training.choosing.choice import Machine, is_set
from cocon.training.choosing.rules import choose, views_of
from cocon.training.choosing.starting_points import PACKED_RUNS, StartingPoint, best_start, start_of
from cocon.training.choosing.survey import DataSurvey, survey_of
from cocon.training.config.files import AUTO, load_config, set_keys
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.run_folder.warm_start import named_sources
from cocon.video.estimation.flow import FlowSpec
from cocon.video.store.dataset import DatasetFolder
from cocon.video.store.fitness import unfit_views
from cocon.video.views import VIEWS
from cocon.video.workers.cores import num_cores

__all__ = ["chosen_settings"]

_NETWORK = ("model.backbone", "model.depth", "model.width", "trunk")


def chosen_settings(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Choose what is not set; the videos are looked at, and nothing is decoded.

    Args:
        overrides: `section.key=value`, that are set.

    Returns:
        Settings to come before those, and lines that tell what was chosen, and why.

    Raises:
        UsageError: the data set is not there or cannot be used, or a setting is wrong.
        MismatchError: a contract of the encoders to start from cannot be read.
    """
    fixed, base = set_keys(overrides), load_config(AUTO, overrides)
    is_folder = base.data.dataset == "folder"  # what there is to say of it is said when training opens it
    dataset = DatasetFolder.open(base.data.folder) if is_folder else open_dataset(base.data)
    survey = survey_of(dataset, base.views if is_set("views", fixed) else tuple(VIEWS), base.training)
    settings, lines = [], [str(survey)]
    if not is_set("views", fixed):
        is_made_here = base.data.views_on_the_fly
        views, why = views_of(survey, tuple(VIEWS), 1 - base.data.max_failed_share, is_made_here=is_made_here)
        settings = [f"views={views}"]
        base = load_config(AUTO, [*settings, *overrides])
        lines.append(f"views {', '.join(views)}{_without(why, base)}")
    machine = Machine(torch.cuda.is_available(), num_cores())
    choice = choose(survey, machine, _start(base, fixed), base, fixed, stored_flow=_stored_flow(base, dataset, survey))
    return [*settings, *choice.settings], [*lines, *choice.lines]


def _without(why: Sequence[str], config: Config) -> str:
    if not why:
        return ""
    folder = printable(config.data.folder)
    makes = f"; where people are to be seen: cocon views make {folder} --preset {AUTO}"
    return f", without {', '.join(why)}{makes if any('stored' in each for each in why) else ''}"


def _start(base: Config, fixed: Collection[str]) -> StartingPoint | None:
    """The run that is named to start from, or else the best one at hand; none for a network of somebody's own."""
    if sources := named_sources(base):
        return start_of(sources, base.clip.frames_per_block)
    if not base.is_predictive or any(key.startswith(_NETWORK) for key in fixed):
        return None
    return best_start(PACKED_RUNS, base.views, base.clip.frames_per_block)


def _stored_flow(base: Config, dataset: DatasetFolder, survey: DataSurvey) -> FlowSpec | None:
    """What the flow measures that is stored; None where there is none, or where it is not all alike."""
    if "flow" not in base.views or not survey.stored.get("flow"):
        return None
    ids = [entry.store_id for entry in dataset.split("train")]
    unfit = unfit_views(dataset.root, ids, {"flow": base.flow_spec("flow")}, ("flow",))
    return base.flow_spec("flow") if unfit is None else unfit.measured
