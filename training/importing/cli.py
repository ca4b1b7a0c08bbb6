"""`cocon import`."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cocon.core.options import Quiet
from cocon.training.importing.sources import Source

if TYPE_CHECKING:
    from cocon.embedding.contract import ModelContract
    from cocon.training.importing.source_encoder import SourceEncoder

__all__ = ["app"]

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def import_checkpoints(
    files: Annotated[list[Path], typer.Argument(help="Checkpoints (.pth.tar, .pth, .safetensors), one per view.")],
    source: Annotated[
        Source,
        typer.Option("--from", help="Whose code wrote them, or whose names their tensors have."),
    ],
    views: Annotated[
        list[str] | None,
        typer.Option("--view", help="View of each file, in order; by default each file tells, but for ViCC's."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/imported"),
    size_px: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Side of the rgb input; published: vclr, cyclecontrast, torchvision 224 (R(2+1)D 112), others 128.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Class names of a fine-tuned classifier: one per line, or UCF101's classInd.txt."),
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Folder of videos for statistics of batch normalisation that a file lacks.")
    ] = None,
    flow_source_px: Annotated[
        int | None,
        typer.Option(min=16, help="Short side of the pictures that flow was measured in for training. Default: 240."),
    ] = None,
    inflate: Annotated[
        bool, typer.Option("--inflate", help="Let a network of pictures see time, by repeating its kernels over it.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value of clip, data, flow or view; may be repeated.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a run of checkpoints of CoCon, DPC, ViCC, VCLR or CycleContrast, or of networks as torchvision names them.

    Evaluate, export and further training take it. Files are read without running code in them; one that does not fit
    is refused, and nothing is written.

    Example: cocon import --from cocon --output runs/imported mode_imgs_epoch100.pth.tar mode_flow_epoch100.pth.tar
    """
    from cocon.core.progress import progress_bar
    from cocon.training.importing.conversion import ImportOptions, import_run, read_labels

    options = ImportOptions(
        source=source,
        views=tuple(views or ()),
        size_px=size_px,
        labels=read_labels(labels) if labels else None,
        calibrate=calibrate,
        flow_source_px=flow_source_px,
        inflates=inflate,
        settings=tuple(settings or ()),
    )
    bar = partial(progress_bar, is_quiet=quiet)
    imported = import_run(files, output, options, overwrite=overwrite, progress_bar=bar)
    if as_json:
        print(json.dumps({"run": str(output), "encoders": [_row(*each) for each in imported]}))
    else:
        print("\n".join(f"{output} holds {source} {_in_words(*each)}" for each in imported))


def _in_words(source: "SourceEncoder", contract: "ModelContract") -> str:
    """View and trunk, and what was left out in a line of its own."""
    backbone, epoch = contract.encoder.backbone, source.checkpoint.epoch
    trunk = source.layout.depth if backbone.startswith("resnet") else backbone
    trunk += ", inflated," if "inflated" in backbone else ""
    form = f", {source.form}" if source.form not in ("", contract.method) else ""
    since = "" if epoch is None else f", epoch {epoch}"
    classes = f", {len(contract.labels)} classes" if contract.labels else ""
    left_out = f"\n  left out: {', '.join(source.left_out)}" if source.left_out else ""
    return f"{contract.view} ({trunk} at {contract.geometry.crop_px} px{form}{since}{classes}){left_out}"


def _row(source: "SourceEncoder", contract: "ModelContract") -> dict[str, object]:
    return {
        "view": contract.view,
        "file": str(source.checkpoint.path),
        "epoch": source.checkpoint.epoch,
        "backbone": contract.encoder.backbone,
        "form": source.form,
        "depth": source.layout.depth,
        "size_px": contract.geometry.crop_px,
        "num_labels": len(contract.labels),
        "left_out": list(source.left_out),
        "fingerprint": contract.fingerprint,
    }
