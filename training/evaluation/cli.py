"""`cocon evaluate`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.core.options import Quiet, Threads

if TYPE_CHECKING:
    from cocon.training.evaluation.recognition.blocks import ClipProtocol
    from cocon.training.evaluation.recognition.compared_runs import ComparedRuns
    from cocon.training.evaluation.recognition.evaluate import EvaluationVideos
    from cocon.training.evaluation.tasks import TaskResult
    from cocon.training.run_folder.files import RunFolder

__all__ = ["app"]

# Of every task; `annotations` is of localization, all others are of videos.
_OF_TASKS = frozenset(("run", "data", "task", "random", "as_json", "threads", "quiet"))

app = typer.Typer(pretty_exceptions_enable=False)

Run = Annotated[Path, typer.Argument(help="Run folder.")]
Baselines = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline", help="Another run to show beside it, flow-histogram or color-histogram; may be repeated."
    ),
]
Views = Annotated[
    list[str] | None, typer.Option("--view", help="Views to judge; may be repeated.", show_default="all of the run")
]
Data = Annotated[Path | None, typer.Option(help="Another dataset folder than the run's.")]
Task = Annotated[
    Literal["videos", "localization", "tracking", "images"],
    typer.Option(help="What to judge by; all but videos need --data."),
]
Annotations = Annotated[
    Path | None, typer.Option(help="Annotations of --task localization; default: annotations.json of --data.")
]
Random = Annotated[bool, typer.Option(help="Judge the untrained networks as well.")]
Crops = Annotated[int, typer.Option(help="Crops of each clip: 1 centre, 5 and corners, 10 and mirrored.")]
HopBlocks = Annotated[
    int | None, typer.Option(min=1, help="Blocks from one test clip to the next; half a clip by default.")
]
Clips = Annotated[
    int | None, typer.Option(min=1, help="So many test clips, spread evenly over each video, instead of one every hop.")
]
Centred = Annotated[bool, typer.Option("--centred", help="Retrieve without the mean of each set.")]
FewShot = Annotated[bool, typer.Option("--few-shot", help="Also probe with 1, 5 and 10 labels per class.")]
PaperWeights = Annotated[
    bool, typer.Option("--paper-weights", help="Also weigh the views as the paper does: 2 rgb, 2 flow, 1 mask, 1 pose.")
]
PerClass = Annotated[bool, typer.Option("--per-class", help="Also print figures of every class.")]
Confusion = Annotated[Path | None, typer.Option(help="Write the confusion matrices to this CSV file.")]
Report = Annotated[Path | None, typer.Option(help="Write index.html with plots and pictures into this folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def evaluate(
    context: typer.Context,
    run: Run = Path("runs/default"),
    baselines: Baselines = None,
    data: Data = None,
    views: Views = None,
    task: Task = "videos",
    annotations: Annotations = None,
    random: Random = True,
    crops: Crops = 1,
    hop_blocks: HopBlocks = None,
    clips: Clips = None,
    centred: Centred = False,
    few_shot: FewShot = False,
    paper_weights: PaperWeights = False,
    per_class: PerClass = False,
    confusion: Confusion = None,
    report: Report = None,
    as_json: AsJson = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Judge a run on the test split: probe, retrieval and classifier, per view and together, beside untrained networks.

    --task judges by something else: actions found in untrimmed videos, boxes followed, images classified; it takes
    --data, --annotations, --random, --json, --threads and --quiet. What cannot be read is left out and named on stderr;
    exit code 3.

    Example: cocon evaluate runs/default --baseline runs/cpc --few-shot
    """
    _refuse_strangers(context, task)
    _use_threads()
    if task != "videos":
        _evaluate_task(task, run, data, annotations, has_random=random, as_json=as_json, quiet=quiet)
        return
    from cocon.training.evaluation.recognition.baselines import BASELINES
    from cocon.training.evaluation.recognition.blocks import ClipProtocol
    from cocon.training.evaluation.recognition.compared_runs import compare_runs
    from cocon.training.evaluation.recognition.result import DEFAULT_OPTIONS, MetricOptions
    from cocon.training.evaluation.report.tables import write_confusion
    from cocon.training.run_folder.files import RunFolder

    beside = baselines or []
    opened = [RunFolder.open(path) for path in [*(Path(name) for name in beside if name not in BASELINES), run]]
    counted = [name for name in BASELINES if name in beside]
    videos = _videos(opened[-1], data, ClipProtocol(crops, hop_blocks, clips), views or (), quiet=quiet)
    _check_outputs(report, confusion, [*videos.inputs, *(path for one in opened for path in one.files)])
    ensembles = (*DEFAULT_OPTIONS.ensembles, *(("paper",) if paper_weights else ()))
    metric_options = MetricOptions(is_centred=centred, has_few_shot=few_shot, ensembles=ensembles)
    found = compare_runs(opened, videos, metric_options, has_random=random, baselines=counted)
    if report is not None:
        _write_report(report, opened[-1], videos, found, is_centred=centred)
    if confusion is not None:
        write_confusion(found.results, confusion)
    _print(found, is_centred=centred, has_classes=per_class, as_json=as_json)
    _end(videos)


def _use_threads() -> None:
    from cocon.training.machine.threads import use_threads

    use_threads()


def _refuse_strangers(context: typer.Context, task: str) -> None:
    """Raise `UsageError` if options were given that mean nothing to a task."""
    from cocon.core.errors import UsageError

    strangers = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        its_task = "localization" if parameter.name == "annotations" else "videos"
        is_known = parameter.name in _OF_TASKS or task == its_task
        if source is not None and source.name == "COMMANDLINE" and not is_known:
            strangers.append(parameter.opts[0])
    if strangers:
        raise UsageError(f"--task {task} does not take {', '.join(strangers)}; leave that out")


def _evaluate_task(
    task: str, run: Path, data: Path | None, annotations: Path | None, *, has_random: bool, as_json: bool, quiet: bool
) -> None:
    from cocon.core.errors import UsageError
    from cocon.core.progress import progress_bar
    from cocon.training.evaluation.report.tables import figure_table, figures_json
    from cocon.training.evaluation.tasks import TASKS, TaskRequest, evaluate_task
    from cocon.training.run_folder.files import RunFolder

    opened = RunFolder.open(run)  # before anything else: there is such a run
    if data is None:
        raise UsageError(f"--task {task} needs --data: {TASKS[task][1]}")
    bar = partial(progress_bar, is_quiet=quiet)
    result = evaluate_task(task, TaskRequest(opened, data, annotations, has_random, bar))
    if as_json:
        print(figures_json(result.rows))
    else:
        figure_table(result.title, result.rows)
    _end(result)


def _videos(
    run: "RunFolder", data: Path | None, protocol: "ClipProtocol", views: Sequence[str], *, quiet: bool
) -> "EvaluationVideos":
    from cocon.core.progress import progress_bar
    from cocon.training.evaluation.recognition.evaluate import EvaluationVideos

    config = run.config
    if data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})
    bar = partial(progress_bar, is_quiet=quiet)
    return EvaluationVideos(config, progress_bar=bar, protocol=protocol, views=views)


def _check_outputs(report: Path | None, confusion: Path | None, inputs: list[Path]) -> None:
    """Fail now rather than after all that work: a place that cannot be written, a library that is missing."""
    from cocon.training.evaluation.report.page import check_report_folder
    from cocon.video.output_file import check_output

    if confusion is not None:
        check_output(confusion, inputs, option="--confusion")
    if report is not None:
        check_report_folder(report)


def _write_report(
    report: Path, run: "RunFolder", videos: "EvaluationVideos", found: "ComparedRuns", *, is_centred: bool
) -> None:
    from cocon.training.evaluation.report.page import write_report

    page = write_report(
        report, found, run, videos.config.data.folder, videos.progress_bar, videos.protocol, is_centred=is_centred
    )
    typer.echo(f"report: {page}", err=True)


def _print(found: "ComparedRuns", *, is_centred: bool, has_classes: bool, as_json: bool) -> None:
    from cocon.training.evaluation.report.tables import class_table, difference_table, metric_table, metrics_json

    if as_json:
        print(metrics_json(found.results, found.differences, has_classes=has_classes))
        for reason in found.not_judged:
            typer.echo(reason, err=True)
        return
    metric_table(found.metrics, is_centred=is_centred, notes=found.not_judged)
    if found.differences:
        difference_table(found.differences, found.results[-1].method)
    for result in found.results if has_classes else ():
        class_table(result)


def _end(evaluated: "EvaluationVideos | TaskResult") -> None:
    """Exit code 3 if videos failed; each was named with its reason when it did."""
    from cocon.core.errors import VideoError

    if failures := evaluated.failures:
        what = "1 video was" if len(failures) == 1 else f"{len(failures)} videos were"
        typer.echo(f"{what} left out, see the warnings; the figures are of the others", err=True)
        raise typer.Exit(VideoError.exit_code)
