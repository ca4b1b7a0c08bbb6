"""`cocon train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cocon.core.options import Quiet

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def train(
    preset: Annotated[str, typer.Option("--preset", "--config", help="A preset's name, or a TOML file.")] = "figures",
    data: Annotated[Path | None, typer.Option(help="Dataset folder; overrides data.folder.")] = None,
    output: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/default"),
    method: Annotated[
        str | None, typer.Option(help="Pre-training, such as cocon, cpc or vicc; overrides method.")
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="Run whose encoders to start from; overrides training.init_from.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides training.seed.")] = None,
    views_on_the_fly: Annotated[
        bool, typer.Option("--views-on-the-fly", help="Make pose and mask, too, while decoding, where none is stored.")
    ] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    resume: Annotated[
        Literal["auto", "never"], typer.Option(help="Go on where an interrupted run stopped, or refuse to.")
    ] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run with another configuration.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train encoders on unlabelled multi-view video, and a classifier where there are labels.

    Goes on where an interrupted run stopped; does nothing if the run is complete. Videos that fail are left out and
    named, exit code 3; more than data.max_failed_share of them stop it. On several devices:
    torchrun --nproc-per-node 2 --no-python cocon train ...

    Example: cocon train --preset figures --data data/figures --output runs/default --set training.epochs=30
    """
    import os
    from functools import partial

    from cocon.core.errors import VideoError
    from cocon.core.printable import printable
    from cocon.core.progress import progress_bar
    from cocon.training.config.files import load_config, path_setting
    from cocon.training.loop.failures import failures_said
    from cocon.training.loop.run import train_run
    from cocon.training.run_folder.files import SUMMARY_FILE, RunFolder

    folders = {"data.folder": data, "training.init_from": init_from}
    overrides = [path_setting(key, path) for key, path in folders.items() if path is not None]
    given = {"method": method, "training.seed": seed}
    overrides += [f"{key}={value}" for key, value in given.items() if value is not None]
    overrides += ["data.views_on_the_fly=true"] * views_on_the_fly + (settings or [])
    config = load_config(preset, overrides)
    say = partial(typer.echo, err=True)
    bar = partial(progress_bar, is_quiet=quiet)
    is_new = train_run(config, output, overwrite=overwrite, progress_bar=bar, resume=resume, say=say)
    if os.environ.get("RANK", "0") == "0":
        state = "trained" if is_new else "is complete already:"
        run = RunFolder(output, config)
        print(f"{printable(output)} {state} {config.method} encoders of {', '.join(run.views)}")
        failures, num_videos = run.failures()
        if failures:
            said = f"{len(failures)} of {num_videos} videos failed: {failures_said(failures)}"
            say(f"{said}; all are in {printable(output / SUMMARY_FILE)}")
            raise typer.Exit(VideoError.exit_code)
