"""From loaded checkpoints to a run folder that `cocon evaluate`, `cocon export` and `training.init_from` read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cocon.embedding.contract import ModelContract
from cocon.training.checkpoint import claim_run, mark_complete, save_encoder, weights_sha256
from cocon.training.config import Config
from cocon.training.config_file import load_config
from cocon.training.importing.batch_norm import estimate_statistics
from cocon.training.importing.cocon_dpc import Source, SourceEncoder, adapted_to_flow, read_encoders
from cocon.training.models.encoder import Encoder
from cocon.training.runs import ProgressBar
from cocon.video.errors import MismatchError, UsageError

__all__ = ["ImportOptions", "import_run"]

_SETTABLE = ("clip", "data", "flow", "view")
# As published: a picture of 240 px is cropped to 224 and the crop resized; flow to 128 px at most; pose and mask are
# whole pictures of 64 px.
_PICTURE_PX, _CROP_PX, _MAX_FLOW_PX, _PEOPLE_PX = 240, 224, 128, 64
# Every third frame, whatever the frame rate; videos too short for that are walked through faster. Flow from each frame
# to the next at 25 frames a second, as the published archives of UCF101 have it.
_PUBLISHED = (
    "clip.num_blocks=8",
    "clip.frames_per_block=5",
    "clip.step_frames=3",
    "clip.short_video=shrink",
    "flow.interval_seconds=0.04",
    "flow.algorithm=tvl1",
    f"flow.size_px={_PICTURE_PX}",
    "data.folder=unknown",
    "data.workers=0",
)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What checkpoints do not say of themselves.

    Attributes:
        source: whose code wrote them.
        views: of the files, in their order; empty to let each file tell.
        size_px: side of the rgb input; flow has 128 at most, pose and mask have 64.
        labels: class names of a fine-tuned classifier; None for `class 0`, `class 1`, ….
        calibrate: folder of videos to estimate missing statistics of batch normalisation on.
        flow_source_px: short side of the pictures that flow was measured in.
        settings: `section.key=value` of the sections clip, data, flow and view.
    """

    source: Source
    views: tuple[str, ...] = ()
    size_px: int = 128
    labels: tuple[str, ...] | None = None
    calibrate: Path | None = None
    flow_source_px: int = _PICTURE_PX
    settings: tuple[str, ...] = field(default=())


def import_run(
    files: Sequence[Path], run: Path, options: ImportOptions, *, overwrite: bool, progress_bar: ProgressBar
) -> list[tuple[SourceEncoder, ModelContract]]:
    """Make a complete run of checkpoints, one per view.

    Nothing is written before all of them are read and fit.

    Args:
        files: the checkpoints.
        run: the run folder.
        options: what the checkpoints do not say of themselves.
        overwrite: replace a run that is there.
        progress_bar: makes a bar from its description.

    Returns:
        Each checkpoint and the contract of its encoder.

    Raises:
        UsageError: an argument is wrong, the run is there already, or statistics are missing and no videos are named.
        MismatchError: a checkpoint does not hold what it should, or classifiers are of different numbers of classes.
        VideoError: no video to estimate statistics on can be read.
    """
    if (run / "config.toml").is_file() and not overwrite:
        raise UsageError(f"run '{run}' is there already; choose another --output or add --overwrite")
    sources = read_encoders(files, options.source, options.views)
    _check_statistics(sources, options)
    _check_classes(sources)
    config = _config(sources, options)
    ready = [(source, *_finished(source, config, options, progress_bar)) for source in sources]
    claim_run(run, config, overwrite=overwrite)
    for _, encoder, contract in ready:
        save_encoder(run, encoder, contract)
    origins = {source.view: _origin(source) for source in sources}
    mark_complete(run, {"imported_from": options.source, "files": origins, **_calibration(sources, options)})
    return [(source, contract) for source, _, contract in ready]


def _check_statistics(sources: Sequence[SourceEncoder], options: ImportOptions) -> None:
    without = [source for source in sources if not source.layout.has_statistics]
    if without and options.calibrate is None:
        raise UsageError(
            f"'{without[0].checkpoint.path}' has no running statistics of batch normalisation, without which a clip's "
            "embedding would depend on the others of its batch; estimate them on videos: --calibrate FOLDER"
        )
    if not without and options.calibrate is not None:
        raise UsageError("every file has its statistics of batch normalisation; leave --calibrate out")


def _check_classes(sources: Sequence[SourceEncoder]) -> None:
    """Refuse classifiers that cannot be of the same labels; views without a classifier do no harm."""
    first, *others = [source for source in sources if source.layout.num_classes] or sources[:1]
    for other in others:
        if other.layout.num_classes != first.layout.num_classes:
            raise MismatchError(
                f"'{first.checkpoint.path}' has a classifier of {first.layout.num_classes} classes, "
                f"'{other.checkpoint.path}' one of {other.layout.num_classes}, but the views of a run know the same "
                "labels; import each into an --output of its own"
            )


def _config(sources: Sequence[SourceEncoder], options: ImportOptions) -> Config:
    """The configuration that the released code amounts to, as far as it decides how encoders are used."""
    for setting in options.settings:
        if setting.partition(".")[0].strip() not in _SETTABLE:
            raise UsageError(f"setting '{setting}' cannot be made here; only those of {', '.join(_SETTABLE)}")
    has_seconds = any(setting.partition("=")[0].strip() == "clip.step_seconds" for setting in options.settings)
    published = [setting for setting in _PUBLISHED if not (has_seconds and "step_frames" in setting)]
    first = sources[0]
    epochs = max((source.checkpoint.epoch or 0 for source in sources), default=0)
    overrides = [
        f"views={[source.view for source in sources]}",
        f"method={'cocon' if options.source == 'cocon' else 'cpc'}",
        f"model.backbone={first.spec.backbone}",
        f"model.depth={first.layout.depth}",
        f"model.width={first.layout.width}",
        f"classifier.head={first.spec.classifier}",
        f"training.epochs={epochs}",
        *published,
        *(setting for source in sources for setting in _geometry(source.view, options.size_px)),
        *([f"data.folder={json.dumps(str(options.calibrate.resolve()))}"] if options.calibrate else []),
        *options.settings,
    ]
    return load_config("paper", overrides)


def _geometry(view: str, size_px: int) -> tuple[str, str]:
    if view in ("pose", "mask"):
        return f"view.{view}.resize_px={_PEOPLE_PX}", f"view.{view}.crop_px={_PEOPLE_PX}"
    side = min(size_px, _MAX_FLOW_PX) if view == "flow" else size_px
    return f"view.{view}.resize_px={round(side * _PICTURE_PX / _CROP_PX)}", f"view.{view}.crop_px={side}"


def _finished(
    source: SourceEncoder, config: Config, options: ImportOptions, progress_bar: ProgressBar
) -> tuple[Encoder, ModelContract]:
    encoder, normalisation = source.encoder, None
    if source.view == "flow":
        scale = config.geometry("flow").resize_px / options.flow_source_px
        encoder, normalisation = adapted_to_flow(encoder, scale)
    if not source.layout.has_statistics:
        estimate_statistics(encoder, source.view, config, progress_bar=progress_bar)
    contract = ModelContract(
        method=options.source,
        view=source.view,
        clip=config.clip.spec(),
        geometry=config.geometry(source.view),
        encoder=source.spec,
        embedding_dim=encoder.embedding_dim,
        weights_sha256=weights_sha256(encoder),
        labels=_labels(source, options.labels),
        flow=config.flow_spec(source.view),
        normalisation=normalisation,
    )
    return encoder, contract


def _labels(source: SourceEncoder, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    num_classes = source.layout.num_classes
    if labels is None or not num_classes:
        return tuple(f"class {index}" for index in range(num_classes))
    if len(labels) != num_classes:
        raise UsageError(f"{len(labels)} labels for the {num_classes} classes of '{source.checkpoint.path}'")
    return labels


def _origin(source: SourceEncoder) -> dict[str, object]:
    checkpoint = source.checkpoint
    return {"name": checkpoint.path.name, "sha256": checkpoint.sha256, "epoch": checkpoint.epoch}


def _calibration(sources: Sequence[SourceEncoder], options: ImportOptions) -> dict[str, object]:
    """Which views' statistics are those of other videos, and which videos; nothing where all came with the files."""
    if options.calibrate is None:
        return {}
    views = [source.view for source in sources if not source.layout.has_statistics]
    return {"calibrated": {"views": views, "data": options.calibrate.resolve().name}}
