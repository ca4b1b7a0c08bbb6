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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Judge a run: linear probe and retrieval on the test split, per view and fused, beside a random initialisation.

    Example: cocon evaluate runs/default --baseline runs/cpc
    """
    import json

    from cocon.training.checkpoint import run_config
    from cocon.training.evaluation.judging import Videos, judge_random, judge_run
    from cocon.training.evaluation.report import merit_table
    from cocon.video.progress import progress_bar

    config = run_config(run)
    if data is not None:
        config = config.model_copy(update={"data": config.data.model_copy(update={"folder": data})})
    videos = Videos(config, progress_bar=progress_bar)
    merits = judge_random(videos) if random else []
    for judged in [*(baselines or []), run]:
        merits += judge_run(judged, videos)
    if as_json:
        print(json.dumps([merit.to_dict() for merit in merits], indent=2))
    else:
        merit_table(merits)
