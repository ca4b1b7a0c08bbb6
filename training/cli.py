"""`cocon train`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cocon.core.options import Quiet, Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from cocon.training.config.run import Config
    from cocon.training.run_folder.files import RunFolder

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False)

_logger = logging.getLogger(__name__)
# Settings that say an architecture, which a run to start from then must have.
_ARCHITECTURE = ("model.backbone", "model.depth", "model.width", "trunk.")
# Settings that say what vectors keep, and then are not those of a run to start from.
_VECTORS = ("model.pooling", "model.cells", "vectors.")


@app.command()
def train(
    preset: Annotated[
        str, typer.Option("--preset", "--config", help="A preset's name, or a TOML file; auto: fits it to the videos.")
    ] = "auto",
    data: Annotated[Path | None, typer.Option(help="Dataset folder; overrides data.folder.")] = None,
    output: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/default"),
    method: Annotated[
        str | None, typer.Option(help="Pre-training, such as cocon, cpc or vicc; overrides method.")
    ] = None,
    init_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[VIEW=]RUN",
            help="Run whose encoders to start from, or VIEW=RUN for one; may be repeated. See training.init_from.",
        ),
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
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train encoders on unlabelled multi-view video, and a classifier where there are labels.

    The preset auto looks at the videos and at what is stored of them, and says what it chooses; --set comes before it.
    Goes on where an interrupted run stopped; does nothing if the run is complete. Videos that fail are left out and
    named, exit code 3; more than data.max_failed_share of them stop it. On several devices:
    torchrun --nproc-per-node 2 --no-python cocon train ...

    Example: cocon train --data my_videos --output runs/mine
    """
    import os
    from functools import partial

    from cocon.core.errors import VideoError
    from cocon.core.printable import printable
    from cocon.core.progress import progress_bar
    from cocon.training.config.files import path_setting
    from cocon.training.loop.failures import failures_said
    from cocon.training.loop.run import train_run
    from cocon.training.machine.memory import keep_memory
    from cocon.training.run_folder.files import SUMMARY_FILE, RunFolder

    overrides = _sources(init_from or []) + ([path_setting("data.folder", data)] if data is not None else [])
    given = {"method": method, "training.seed": seed}
    overrides += [f"{key}={value}" for key, value in given.items() if value is not None]
    overrides += ["data.views_on_the_fly=true"] * views_on_the_fly + (settings or [])
    say = partial(typer.echo, err=True)
    is_first = os.environ.get("RANK", "0") == "0"
    config = _configuration(preset, overrides, None if overwrite else output / "config.toml", say if is_first else None)
    bar = partial(progress_bar, is_quiet=quiet)
    keep_memory()
    say_epoch = (lambda line: None) if quiet else say
    is_new = train_run(
        config, output, overwrite=overwrite, progress_bar=bar, resume=resume, say=say, say_epoch=say_epoch
    )
    if is_first:
        run = RunFolder(output, config)
        print(f"{printable(output)} {_became_said(run, is_new=is_new)}")
        failures, num_videos = run.failures()
        if failures:
            said = f"{len(failures)} of {num_videos} videos failed: {failures_said(failures)}"
            say(f"{said}; all are in {printable(output / SUMMARY_FILE)}")
            raise typer.Exit(VideoError.exit_code)


def _became_said(run: "RunFolder", *, is_new: bool) -> str:
    """What the run is; also, if its encoders are not those of the last step that was planned, of which, and why."""
    encoders, length = f"{run.method} encoders of {', '.join(run.views)}", run.length
    if not length.is_short:
        return f"{'trained' if is_new else 'is complete already:'} {encoders}"
    state = "" if is_new else "is complete already, "
    return f"{state}trained for {length.steps_said}: {encoders}, {length.why}"


def _configuration(
    preset: str, overrides: list[str], begun: Path | None, say: "Callable[[str], None] | None"
) -> "Config":
    """The configuration; a view that starts from an encoder has its architecture and vectors, unless overrides say any.

    Args:
        preset: name, or path of a TOML file.
        overrides: of its settings.
        begun: configuration of the run to go on with, if there is one; nothing is chosen for that again.
        say: called with what is chosen, line by line; None in all processes but the first.
    """
    from cocon.training.config.files import AUTO, load_config
    from cocon.training.run_folder.warm_start import architecture_settings, vectors_settings

    if preset == AUTO:
        if begun is not None and begun.is_file():
            return load_config(str(begun), overrides)
        overrides = _with_chosen(overrides, say)
    config, taken = load_config(preset, overrides), list[str]()
    before = load_config(str(begun)) if begun is not None and begun.is_file() else None
    for keys, settings_of in ((_ARCHITECTURE, architecture_settings), (_VECTORS, vectors_settings)):
        is_set = any(override.strip().startswith(keys) for override in overrides)
        if not is_set and (more := settings_of(config, before)):
            taken += more.values()
            config = load_config(preset, [*overrides, *taken])
    if taken and preset != AUTO:  # that has said what it starts from
        _logger.warning("taken from the encoders to start from, in place of the preset's: %s", ", ".join(taken))
    return config


def _with_chosen(overrides: list[str], say: "Callable[[str], None] | None") -> list[str]:
    """What is chosen for the videos, and on top of it what is set."""
    from cocon.training.choosing.configuration import chosen_settings
    from cocon.training.config.files import AUTO

    settings, lines = chosen_settings(overrides)
    for line in lines:
        if say is not None:
            say(f"{AUTO}: {line}")
    return [*settings, *overrides]


def _sources(named: list[str]) -> list[str]:
    """Overrides for `RUN`, of which there is one at most, and `VIEW=RUN`.

    Raises:
        UsageError: two runs are named for the same views.
    """
    from cocon.core.errors import UsageError
    from cocon.training.config.files import path_setting
    from cocon.video.views import VIEWS, view_named

    known = {name for view in VIEWS.values() for name in (view.name, view.alias) if name}
    runs: dict[str, Path] = {}
    for name in named:
        view, separator, path = name.partition("=")
        is_of_view = bool(separator) and view in known
        key = f"training.init_from_of.{view_named(view).name}" if is_of_view else "training.init_from"
        if key in runs:
            raise UsageError(
                f"--init-from names '{runs[key]}' and '{path if is_of_view else name}' for the same views: name one "
                "run, and others as VIEW=RUN"
            )
        runs[key] = Path(path if is_of_view else name)
    return [path_setting(key, run) for key, run in runs.items()]
