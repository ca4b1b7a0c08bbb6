"""Training and judging every cell, several at a time, each cell resumable by itself."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import cast

import torch

from cocon.core.atomic import replacing
from cocon.core.progress import OnProgress, progress_bar
from cocon.training.config.files import load_config, path_setting
from cocon.training.config.run import Config
from cocon.training.data.datasets import open_dataset
from cocon.training.data.stretches.draws import steps_per_epoch
from cocon.training.evaluation.recognition.baselines import Baseline, evaluate_baseline
from cocon.training.evaluation.recognition.evaluate import EvaluationVideos, evaluate_random, evaluate_run
from cocon.training.evaluation.recognition.result import DEFAULT_OPTIONS, EvaluationResult, MetricOptions
from cocon.training.loop.interruption import Interruption, interruptible
from cocon.training.loop.run import train_run
from cocon.training.machine.memory import keep_memory
from cocon.training.reproduce.cells import Cell
from cocon.training.reproduce.processes import Job
from cocon.training.run_folder.files import EVALUATION_FILE, RunFolder
from cocon.training.run_folder.ownership import as_begun, claim_run
from cocon.video.store.dataset import VideoEntry
from cocon.video.workers.cores import num_cores

__all__ = ["Plan", "cores_for", "run_cells"]

_POLL_S = 2.0
_TRAINED = ("pretrained", "finetuned")
_QUIET = partial(progress_bar, is_quiet=True)  # cells draw no bars of their own
# A row is of its recipe on all training videos, and of nothing that stepped in.
_AS_IT_IS = ("training.held_out_share=0", "training.guard=false")


@dataclass(frozen=True, slots=True)
class Plan:
    """What all cells have in common.

    Attributes:
        preset: preset or TOML file of the recipe.
        settings: `section.key=value` on top of it.
        data: dataset folder.
        runs: folder of the runs.
        num_threads: threads of one cell.
        options: what is counted of every cell.
        says: tell of the first run of every row how long it will take, on stderr.
    """

    preset: str
    settings: tuple[str, ...]
    data: Path
    runs: Path
    num_threads: int
    options: MetricOptions = DEFAULT_OPTIONS
    says: bool = False


def cores_for(jobs: int | None) -> tuple[int, int]:
    """Cells at a time and threads of each: one cell per core with one thread, or one cell on a GPU, unless told."""
    cores = num_cores()
    jobs = jobs or (1 if torch.cuda.is_available() else cores)
    return jobs, max(1, cores // jobs)


def run_cells(cells: Sequence[Cell], plan: Plan, *, jobs: int, on_progress: OnProgress) -> None:
    """Run what is not done yet; a cell that is complete is not touched.

    Args:
        cells: each after the one it starts from.
        plan: what they have in common.
        jobs: cells at a time, each in a process of its own.
        on_progress: called with (epochs done, epochs in all) of the cells that are trained.

    Raises:
        UsageError: a run was made with another recipe.
        CoconError: of the first cell that fails; the others have saved what they have.
        KeyboardInterrupt: a stop was asked for; the cells have saved what they have, the same call goes on.
    """
    configs = {cell: _claimed(cell, plan) for cell in cells}
    epochs = _epochs_of(configs)
    running: dict[str, Job] = {}
    with interruptible() as interruption:
        try:
            _run(cells, plan, jobs, running, lambda: on_progress(*_done(epochs, plan)), interruption)
        finally:
            for job in running.values():
                job.stop()


def _run(
    cells: Sequence[Cell],
    plan: Plan,
    jobs: int,
    running: dict[str, Job],
    report: Callable[[], None],
    interruption: Interruption,
) -> None:
    waiting = [cell for cell in cells if not _is_evaluated(cell, plan)]
    finished = {cell.name for cell in cells} - {cell.name for cell in waiting}
    while waiting or running:
        for cell in [cell for cell in waiting if cell.starts_from in finished | {""}][: jobs - len(running)]:
            waiting.remove(cell)
            running[cell.name] = Job(f"run '{plan.runs / cell.name}'", partial(_run_cell, cell, plan))
        wait([job.sentinel for job in running.values()], timeout=_POLL_S)
        if interruption.is_requested:
            raise KeyboardInterrupt
        for name in [name for name, job in running.items() if job.is_done()]:
            del running[name]
            finished.add(name)
        report()


def _run_cell(cell: Cell, plan: Plan) -> None:
    """In a process of its own: train, judge, write the figures beside the run."""
    torch.set_num_threads(plan.num_threads)
    keep_memory()
    run = plan.runs / cell.name
    config = _config(cell, plan)
    if cell.kind in _TRAINED:
        train_run(config, run, overwrite=False, progress_bar=_QUIET, say=partial(_tell, cell, plan))
    videos = EvaluationVideos(config, progress_bar=_QUIET)
    figures = [row.to_dict() for row in _judged(cell, plan, RunFolder(run, config), videos).metrics]
    with replacing(run / EVALUATION_FILE) as partly:
        partly.write_text(json.dumps(figures, indent=1) + "\n")


def _judged(cell: Cell, plan: Plan, run: RunFolder, videos: EvaluationVideos) -> EvaluationResult:
    match cell.kind:
        case "random":
            return evaluate_random(videos, options=plan.options)
        case "baseline":
            return evaluate_baseline(cast(Baseline, cell.losses), videos, plan.options)
        case "frozen":
            return evaluate_run(RunFolder.open(Path(cell.packed)), videos, options=plan.options)
        case _:
            return evaluate_run(run, videos, options=plan.options)


def _tell(cell: Cell, plan: Plan, line: str) -> None:
    if plan.says and cell.seed == 0:
        sys.stderr.write(f"{cell.row}: {line}\n")


def _is_evaluated(cell: Cell, plan: Plan) -> bool:
    return (plan.runs / cell.name / EVALUATION_FILE).is_file()


def _claimed(cell: Cell, plan: Plan) -> Config:
    """Take the cell's run folder, so that no figures of another recipe are taken for this one's."""
    config = _config(cell, plan)
    run = RunFolder(plan.runs / cell.name, config)
    claim_run(run, overwrite=False, remedy="choose another --runs, or remove that run")
    return config


def _epochs_of(configs: dict[Cell, Config]) -> dict[Cell, int]:
    """Epochs that each cell trains; fewer videos make shorter epochs, of which the recipe may ask for more."""
    trained = {cell: config for cell, config in configs.items() if cell.kind in _TRAINED}
    if not trained:
        return dict.fromkeys(configs, 0)
    videos = open_dataset(next(iter(trained.values())).data).split("train")
    return {cell: _num_epochs(trained[cell], cell, videos) if cell in trained else 0 for cell in configs}


def _num_epochs(config: Config, cell: Cell, videos: Sequence[VideoEntry]) -> int:
    training, size = config.training, config.training.batch_size
    num_epochs = training.num_epochs(-(-steps_per_epoch(len(videos), size) // training.accumulate))
    if cell.kind == "finetuned":
        labels, most = [video.label for video in videos if video.label], config.classifier.labels_per_class
        num_labelled = sum(min(count, most or count) for count in Counter(labels).values())
        num_epochs += config.classifier.num_epochs(steps_per_epoch(num_labelled, size))
    return num_epochs


def _config(cell: Cell, plan: Plan) -> Config:
    settings = [*_AS_IT_IS, *plan.settings, *_overrides(cell, plan)]
    config = as_begun(load_config(plan.preset, settings), plan.runs / cell.name)
    if config.training.precision != "auto" or torch.cuda.is_available():
        return config
    # Rows stand beside each other, and beside those of other machines: none is in bfloat16 for being measured so.
    return config.model_copy(update={"training": config.training.model_copy(update={"precision": "32-true"})})


def _overrides(cell: Cell, plan: Plan) -> Iterator[str]:
    yield path_setting("data.folder", plan.data)
    yield f"views={json.dumps(list(cell.views))}"
    yield f"training.seed={cell.seed}"
    yield f"method={cell.losses if cell.kind in _TRAINED and cell.losses != 'random' else cell.method}"
    if cell.kind != "finetuned":
        yield "classifier.head=none"
    if cell.starts_from:
        yield path_setting("training.init_from", plan.runs / cell.starts_from)
    elif cell.packed and cell.kind in _TRAINED:
        yield path_setting("training.init_from", Path(cell.packed))
    yield from (f"{key}={value}" for key, value in cell.overrides.items())


def _done(epochs: dict[Cell, int], plan: Plan) -> tuple[int, int]:
    """Epochs done, counted in what the cells write, and in all."""
    done = 0
    for cell, number in epochs.items():
        journal = plan.runs / cell.name / "metrics.jsonl"
        lines = journal.read_text().splitlines() if journal.is_file() else []
        written = sum('"phase": "probe"' not in line for line in lines)
        done += number if _is_evaluated(cell, plan) else min(number, written)
    return done, sum(epochs.values())
