"""`cocon evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")] = Path("runs/default"),
    baselines: Annotated[
        list[Path] | None, typer.Option("--baseline", help="Another run to show beside it; may be repeated.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another dataset folder than the run's.")] = None,
    random: Annotated[bool, typer.Option(help="Judge the untrained networks as well.")] = True,
    crops: Annotated[int, typer.Option(help="Crops of each clip: 1 centre, 5 and corners, 10 and mirrored.")] = 1,
    hop_blocks: Annotated[
        int | None, typer.Option(min=1, help="Blocks from one test clip to the next; half a clip by default.")
    ] = None,
    centred: Annotated[bool, typer.Option("--centred", help="Retrieve without the mean of each set.")] = False,
    few_shot: Annotated[bool, typer.Option("--few-shot", help="Also probe with 1, 5 and 10 labels per class.")] = False,
    paper_weights: Annotated[
        bool,
        typer.Option("--paper-weights", help="Also weigh the views as the paper does: 2 rgb, 2 flow, 1 mask, 1 pose."),
    ] = False,
    per_class: Annotated[bool, typer.Option("--per-class", help="Also print figures of every class.")] = False,
    confusion: Annotated[Path | None, typer.Option(help="Write the confusion matrices to this CSV file.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write index.html with plots and pictures into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Judge a run on the test split: probe, retrieval and classifier, per view and together, beside untrained networks.

    Example: cocon evaluate runs/default --baseline runs/cpc --few-shot
    """
    from cocon.training.checkpoint import run_config
    from cocon.training.evaluation.judgement import DEFAULT_OPTIONS, JudgingOptions, judge_features
    from cocon.training.evaluation.judging import Videos, random_features, run_features
    from cocon.training.evaluation.report import class_table, merit_table, merits_json, write_confusion
    from cocon.video.progress import progress_bar

    config = run_config(run)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)  # to fail now rather than after everything was judged
    if data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})
    ensembles = (*DEFAULT_OPTIONS.ensembles, *(("paper",) if paper_weights else ()))
    options = JudgingOptions(is_centred=centred, has_few_shot=few_shot, ensembles=ensembles)
    videos = Videos(config, progress_bar=progress_bar, num_crops=crops, hop_blocks=hop_blocks)
    judgements = [judge_features(random_features(videos), "random", options)] if random else []
    for judged in [*(baselines or []), run]:
        features = run_features(judged, videos)
        judgements.append(judge_features(features, run_config(judged).loss.losses, options))
    merits = [merit for judgement in judgements for merit in judgement.merits]
    if report is not None:
        from cocon.training.evaluation.report_page import write_report

        page = write_report(
            report,
            run=run,
            data=config.data.folder,
            judgement=judgements[-1],
            features=features,
            merits=merits,
            progress_bar=progress_bar,
            is_centred=centred,
        )
        typer.echo(f"report: {page}", err=True)
    if confusion is not None:
        write_confusion(judgements, confusion)
    if as_json:
        print(merits_json(judgements, has_classes=per_class))
        return
    merit_table(merits, is_centred=centred)
    for judgement in judgements if per_class else ():
        class_table(judgement)
