"""From loaded checkpoints to a run folder that `cocon evaluate`, `cocon export` and `training.init_from` read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cocon.core.errors import MismatchError, UsageError
from cocon.core.paths import real_path
from cocon.core.printable import printable
from cocon.core.progress import ProgressBar
from cocon.core.texts.text_files import read_lines
from cocon.embedding.contract import ModelContract
from cocon.training.config.files import load_config, path_setting
from cocon.training.config.learning_sections import TrunkSection
from cocon.training.config.run import Config
from cocon.training.importing.batch_norm import estimate_statistics
from cocon.training.importing.projects import FLOW_SOURCE_PX, project_of, read_encoders
from cocon.training.importing.published_trunks.inflation import inflated
from cocon.training.importing.published_trunks.kinetics import without_classifier
from cocon.training.importing.source_encoder import SourceEncoder, adapted_to_flow
from cocon.training.importing.sources import Source
from cocon.training.models.encoder import Encoder
from cocon.training.run_folder.files import RunFolder
from cocon.training.run_folder.ownership import claim_run
from cocon.training.run_folder.view_files import contract_of

__all__ = ["ImportOptions", "import_run", "read_labels"]

_NUMBERED = re.compile(r"(\d+)\s+(\S.*)")
_SETTABLE = ("clip", "data", "flow", "view")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What checkpoints do not say of themselves.

    Attributes:
        source: whose code wrote them.
        views: of the files, in their order; empty to let each file tell.
        size_px: side of the rgb input, None for the published one; flow has 128 at most, pose and mask have 64.
        labels: class names of a fine-tuned classifier; None for `class 0`, `class 1`, ….
        calibrate: folder of videos to estimate missing statistics of batch normalisation on.
        flow_source_px: short side of the pictures that flow was measured in; None for the published one.
        inflates: let networks of single frames see time.
        settings: `section.key=value` of the sections clip, data, flow and view.
    """

    source: Source
    views: tuple[str, ...] = ()
    size_px: int | None = None
    labels: tuple[str, ...] | None = None
    calibrate: Path | None = None
    flow_source_px: int | None = None
    inflates: bool = False
    settings: tuple[str, ...] = field(default=())


def import_run(
    files: Sequence[Path], output: Path, options: ImportOptions, *, overwrite: bool, progress_bar: ProgressBar
) -> list[tuple[SourceEncoder, ModelContract]]:
    """Make a complete run of checkpoints, one per view.

    Nothing is written before all of them are read and fit.

    Args:
        files: the checkpoints.
        output: the run folder.
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
    if (output / "config.toml").is_file() and not overwrite:
        raise UsageError(f"run '{output}' is there already; choose another --output or add --overwrite")
    sources = _as_asked(read_encoders(files, options.source, options.views), options)
    _check_statistics(sources, options)
    _check_classes(sources)
    _check_labels(sources, options.labels)
    _check_sizes(sources, options)
    config = _config(sources, options)
    ready = [(source, *_finished(source, config, options, progress_bar)) for source in sources]
    run = RunFolder(output, config)
    claim_run(run, overwrite=overwrite)
    for _, encoder, contract in ready:
        run.save_encoder(encoder, contract)
    origins = {source.view: _origin(source) for source in sources}
    run.mark_complete({"imported_from": options.source, "files": origins, **_calibration(sources, options)})
    return [(source, contract) for source, _, contract in ready]


def _as_asked(sources: Sequence[SourceEncoder], options: ImportOptions) -> list[SourceEncoder]:
    """The encoders inflated if that was asked for, and without classifiers of Kinetics that nobody has named."""
    if options.source == "torchvision" and options.labels is None:
        sources = [without_classifier(source) for source in sources]
    return [inflated(source) for source in sources] if options.inflates else list(sources)


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names of an imported classifier in the order of the logits, which checkpoints know by number alone.

    Args:
        path: one name per line, or `<id> <name>` in every line as in UCF101's `classInd.txt`; ids follow each other
            from 0 or 1 on, in any order of lines.

    Raises:
        UsageError: the file cannot be read, has no names or one twice, or ids are missing.
    """
    try:
        lines = [line.strip() for line in read_lines(path, "labels")]
    except OSError as error:
        raise UsageError(f"labels '{printable(path)}' cannot be read: {error.strerror}") from error
    names = [line for line in lines if line]
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    if names and all(numbered):
        by_id = sorted((int(match[1]), match[2]) for match in numbered if match)
        first = by_id[0][0]
        if first > 1 or [class_id for class_id, _ in by_id] != list(range(first, first + len(by_id))):
            raise UsageError(f"labels '{path}' must have ids that follow each other from 0 or 1 on")
        names = [name for _, name in by_id]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"labels '{path}' must have one name per class, each once")
    return tuple(names)


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


def _check_labels(sources: Sequence[SourceEncoder], labels: tuple[str, ...] | None) -> None:
    """Refuse labels that no file has classes for, or of another number."""
    if labels is None:
        return
    classifiers = [source for source in sources if source.layout.num_classes]
    if not classifiers:
        raise UsageError(
            f"'{sources[0].checkpoint.path}' has no classifier whose classes could have the names of --labels; leave "
            "it out, or import the fine-tuned file"
        )
    if len(labels) != (number := classifiers[0].layout.num_classes):
        raise UsageError(f"{len(labels)} labels for the {number} classes of '{classifiers[0].checkpoint.path}'")


def _check_sizes(sources: Sequence[SourceEncoder], options: ImportOptions) -> None:
    """Refuse sizes that none of the views has."""
    views = [source.view for source in sources]
    if options.flow_source_px is not None and "flow" not in views:
        raise UsageError(f"--flow-source-px is of flow, and the files are of {', '.join(views)}; leave it out")
    if options.size_px is not None and not {"rgb", "flow"} & set(views):
        raise UsageError(f"--size-px is of rgb and flow, and the files are of {', '.join(views)}; leave it out")


def _config(sources: Sequence[SourceEncoder], options: ImportOptions) -> Config:
    """The configuration that the released code amounts to, as far as it decides how encoders are used."""
    for setting in options.settings:
        if setting.partition(".")[0].strip() not in _SETTABLE:
            raise UsageError(f"setting '{setting}' cannot be made here; only those of {', '.join(_SETTABLE)}")
    first = sources[0]
    use = project_of(options.source, first.spec.backbone)
    epochs = max((source.checkpoint.epoch or 0 for source in sources), default=0)
    overrides = [
        f"views={[source.view for source in sources]}",
        f"method={use.method}",
        f"model.backbone={TrunkSection.of(first.spec).backbone}",
        f"model.depth={first.layout.depth}",
        f"model.width={first.layout.width}",
        f"classifier.head={first.spec.classifier}",
        f"training.epochs={epochs}",
        *(["vicc.cycles=0"] if len(sources) == 1 else []),  # a view alone has none to take turns with
        *use.settings(has_step=any(setting.strip().startswith("clip.step_seconds") for setting in options.settings)),
        *(setting for source in sources for setting in use.geometry(source.view, options.size_px)),
        *([path_setting("data.folder", real_path(options.calibrate))] if options.calibrate else []),
        *options.settings,
    ]
    return load_config("paper", overrides)


def _finished(
    source: SourceEncoder, config: Config, options: ImportOptions, progress_bar: ProgressBar
) -> tuple[Encoder, ModelContract]:
    encoder = source.encoder
    if source.flow_input is not None:
        scale = config.geometry(source.view).resize_px / (options.flow_source_px or FLOW_SOURCE_PX)
        encoder = adapted_to_flow(encoder, scale, source.flow_input)
    if not source.layout.has_statistics:
        estimate_statistics(encoder, source.view, config, progress_bar=progress_bar)
    labels = _labels(source, options.labels)
    contract = contract_of(config, source.view, encoder, method=options.source, labels=labels)
    return encoder, replace(contract, encoder=source.spec)  # views of a run may differ in having a classifier


def _labels(source: SourceEncoder, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    num_classes = source.layout.num_classes
    if labels is None or not num_classes:
        return tuple(f"class {index}" for index in range(num_classes))
    return labels


def _origin(source: SourceEncoder) -> dict[str, object]:
    checkpoint = source.checkpoint
    origin = {"name": checkpoint.path.name, "sha256": checkpoint.sha256, "epoch": checkpoint.epoch}
    more = {"form": source.form, "left_out": list(source.left_out)}
    return origin | {name: value for name, value in more.items() if value}


def _calibration(sources: Sequence[SourceEncoder], options: ImportOptions) -> dict[str, object]:
    """Which views' statistics are those of other videos, and which videos; nothing where all came with the files."""
    if options.calibrate is None:
        return {}
    views = [source.view for source in sources if not source.layout.has_statistics]
    return {"calibrated": {"views": views, "data": real_path(options.calibrate).name}}
