"""`cocon export`: from a training run to a model repository that Triton serves."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from cocon.embedding.repository import ModelFormat
    from cocon.export.repository.stage import Exported
    from cocon.export.sources import ExportOptions

__all__ = ["app"]

_FIGURES = ("version", "D", "labels", "size", "cosine", "max Δ")

_MAX_DIGITS = 9

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def export(
    run: Annotated[Path, typer.Option(help="Training run, as `cocon train` leaves it.")] = Path("runs/default"),
    repository: Annotated[Path, typer.Option(help="Model repository to write to; made if need be.")] = Path(
        "model_repository"
    ),
    views: Annotated[
        list[str] | None, typer.Option(help="View to export, such as rgb; repeatable. Default: all of the run.")
    ] = None,
    torchscript: Annotated[bool, typer.Option(help="Write TorchScript beside ONNX.")] = True,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Also write it so, where it comes near enough: for CPUs int8, for GPUs fp16; repeatable."),
    ] = None,
    target: Annotated[
        Literal["cpu", "gpu"],
        typer.Option(help="What the server computes on; gpu writes settings of TensorRT and CUDA."),
    ] = "cpu",
    prefer: Annotated[
        Literal["latency", "throughput"],
        typer.Option(help="For a processor: all cores for one batch, or an instance per core with one thread each."),
    ] = "latency",
    instances: Annotated[
        int | None, typer.Option(min=1, max=256, help="Batches of a model at the same time. Default: by --prefer.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads of one inference on a CPU server. Default: by --prefer."),
    ] = None,
    version: Annotated[
        str, typer.Option(help="Number of all that is new, above all used before; auto: the next one of each model.")
    ] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace models of another contract, and those that are up to date.")
    ] = False,
    feature_maps: Annotated[
        bool, typer.Option("--feature-maps", help="Also publish feature maps of rgb frames, for `client track`.")
    ] = False,
    feature_map_stage: Annotated[str, typer.Option(help="Stage of the trunk that gives feature maps.")] = "layer2",
    feature_map_px: Annotated[
        int, typer.Option(min=1, help="Side of the frames for feature maps, a multiple of the pixels of a cell.")
    ] = 160,
    video: Annotated[
        bool, typer.Option("--video", help="Also publish cocon_video, which takes whole videos; it stays up to date.")
    ] = False,
    video_limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER", help="Of cocon_video: what it reads at most; kept until changed; repeatable."
        ),
    ] = None,
    fold: Annotated[bool, typer.Option(hidden=True, help="Rewrite 3-D convolutions as 2-D ones.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Write a run's encoders as ONNX and TorchScript, ready for `cocon serve`.

    Every file is compared with the trained encoder; if one differs, nothing is published (exit code 6). A variant
    comes near it within a bound, judged on the run's videos; one that does not is left out (exit code 6). New weights
    become a new version; what is up to date is left alone.

    Example: cocon export --run runs/default --repository model_repository
    """
    from cocon.embedding.repository import ONNX, TORCHSCRIPT
    from cocon.export.publishing import VariantRefusedError
    from cocon.export.repository.deployment import Deployment
    from cocon.export.sources import ExportOptions, FeatureMapOptions
    from cocon.video.workers.cores import num_cores

    deployment = Deployment.on(num_cores(), target=target, prefer=prefer, num_instances=instances, num_threads=threads)
    options = ExportOptions(
        formats=(ONNX, TORCHSCRIPT) if torchscript else (ONNX,),
        variants=tuple(_variant_named(name) for name in dict.fromkeys(variant or ())),
        deployment=deployment,
        overwrite=overwrite,
        folded=fold,
        feature_maps=FeatureMapOptions(feature_map_stage, feature_map_px) if feature_maps else None,
        video=_limits(video_limit or ()) if video or video_limit else None,
        version=_number_of(version),
    )
    try:
        exported = _export(run, views, repository, options)
    except VariantRefusedError as error:
        _tell(error.exported, repository, as_json=as_json)
        raise
    _tell(exported, repository, as_json=as_json)


def _variant_named(name: str) -> "ModelFormat":
    from cocon.core.errors import UsageError
    from cocon.core.printable import printable
    from cocon.embedding.repository import VARIANTS

    if name not in VARIANTS:
        raise UsageError(f"--variant '{printable(name)}' is unknown; available: {', '.join(VARIANTS)}")
    return VARIANTS[name]


def _limits(settings: Sequence[str]) -> tuple[str, ...]:
    """Limits of the model of whole videos, once they are known to be some."""
    from cocon.export.models.video import video_limits

    video_limits(settings)
    return tuple(settings)


def _number_of(version: str) -> int | None:
    """A version's number; None for the next one."""
    from cocon.core.errors import UsageError
    from cocon.core.printable import printable
    from cocon.embedding.repository import is_version

    if version == "auto":
        return None
    if not version.isascii() or not is_version(version) or len(version) > _MAX_DIGITS:
        raise UsageError(
            f"--version '{printable(version)}' is no number of a version (1 to {'9' * _MAX_DIGITS}); or say 'auto'"
        )
    return int(version)


def _export(path: Path, views: list[str] | None, repository: Path, options: "ExportOptions") -> "list[Exported]":
    from cocon.core.tables import plain_console
    from cocon.export.artefacts.parity_clips import clips_of_run
    from cocon.export.artefacts.variant_clips import clips_for_variants
    from cocon.export.cards.record import training_of_run
    from cocon.export.models.boundaries import sound_boundary_head
    from cocon.export.publishing import export_encoders
    from cocon.export.sources import ViewSource
    from cocon.training.run_folder.files import RunFolder
    from cocon.video.views import view_named

    run = RunFolder.open(path)
    run.warn_if_incomplete()
    names = [view_named(name).name for name in views] if views else run.views
    console = plain_console()
    with console.status("reading the run") as status:
        loaded = [run.encoder(view) for view in dict.fromkeys(names)]
        training = training_of_run(run)
        sources = [
            ViewSource(
                encoder,
                contract,
                clips_of_run(run, contract),
                training,
                sound_boundary_head(run, contract.view),
                cache(partial(clips_for_variants, run, contract)),  # to make it, and to judge it
            )
            for encoder, contract in loaded
        ]
        # Where nobody watches, a line per step; on a terminal, one line that changes.
        on_progress = status.update if console.is_terminal else console.print
        return export_encoders(sources, repository, options, on_progress=on_progress)


def _tell(exported: "Sequence[Exported]", repository: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"repository": str(repository), "models": [asdict(model) for model in exported]}))
        return
    _show(exported, repository)
    for model in exported:
        if model.fidelity is not None:
            print(f"{model.model}: {model.fidelity}")


def _show(exported: "Sequence[Exported]", repository: Path) -> None:
    from rich.table import Column

    from cocon.core.tables import new_table, print_table

    columns = [Column("model", no_wrap=True), *(Column(name, justify="right") for name in _FIGURES), Column("")]
    table = new_table(*columns, is_dense=True)
    for row in exported:
        figures = (f"{row.parity.min_cosine:.6f}", f"{row.parity.max_abs_difference:.1e}") if row.parity else ("", "")
        if row.fidelity is not None:
            figures = (f"{row.fidelity.min_cosine:.6f}", "")
        labels = str(row.num_labels) if row.num_labels else "-"
        news = "new" if row.is_new else "kept"
        table.add_row(row.model, str(row.version), str(row.embedding_dim), labels, _size(row.num_bytes), *figures, news)
    num_new = sum(row.is_new for row in exported)
    print(f"exported {num_new} models to {repository}" if num_new else f"{repository} is up to date: nothing to export")
    print_table(table)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e5 else f"{num_bytes / 1e3:.1f} kB"
