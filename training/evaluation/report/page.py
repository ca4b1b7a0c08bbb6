"""A run's evaluation as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

import base64
import math
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from cocon.core.atomic import replacing
from cocon.core.errors import UsageError
from cocon.core.paths import real_path
from cocon.core.printable import ESCAPING
from cocon.core.progress import ProgressBar
from cocon.embedding.fusion import fuse_embeddings
from cocon.training.evaluation.recognition.blocks import DEFAULT_PROTOCOL, ClipProtocol
from cocon.training.evaluation.recognition.compared_runs import ComparedRuns
from cocon.training.evaluation.recognition.features import VideoFeatures
from cocon.training.evaluation.recognition.metrics import FUSED, column_title
from cocon.training.evaluation.recognition.predictions import centred
from cocon.training.evaluation.recognition.result import EvaluationResult
from cocon.training.evaluation.report.bars import bar_panels, shown_methods
from cocon.training.evaluation.report.content import confused_pairs, projections
from cocon.training.evaluation.report.curves import curve_panels
from cocon.training.evaluation.report.examples import RetrievalExample, retrieval_examples
from cocon.training.evaluation.report.film_strips import NUM_FRAMES, SIDE_PX, film_strips
from cocon.training.evaluation.report.merits import gain_rows, merit_tables, weight_rows
from cocon.training.evaluation.report.plots import (
    DARK,
    LIGHT,
    MAX_IN_MATRIX,
    MAX_MARKED,
    class_mark,
    confusion_plot,
    curve_plot,
    map_plot,
)
from cocon.training.run_folder.files import RunFolder

__all__ = ["check_report_folder", "write_report"]

# With a matrix above them, and without.
_FEW_PAIRS, _MANY_PAIRS = 5, 24


def write_report(
    folder: Path,
    found: ComparedRuns,
    run: RunFolder,
    data: Path,
    progress_bar: ProgressBar,
    protocol: ClipProtocol = DEFAULT_PROTOCOL,
    *,
    is_centred: bool = False,
) -> Path:
    """Write `index.html`; it appears whole or not at all.

    Args:
        folder: where to; made when missing.
        found: of the run, beside others.
        run: the last one of those that were evaluated.
        data: the dataset folder that it was evaluated on.
        progress_bar: makes a bar from its description.
        protocol: which clips of a video were averaged.
        is_centred: whether embeddings were compared without the mean of their set.

    Returns:
        The page.
    """
    result, features = found.runs[-1], found.features
    facts = _facts(run, data, result, features) | {"clips": protocol.told(run.config.clip.num_blocks)}
    examples = _examples(features, is_centred=is_centred)
    html = _template().render(
        facts=facts,
        curves=[(panel, curve_plot(panel)) for panel in curve_panels(run.path)],
        num_train=len(features["train"].labels),
        num_test=len(features["test"].labels),
        num_classes=len(result.labels),
        is_centred=is_centred,
        themes={"light": LIGHT, "dark": DARK},
        **_of_figures(found),
        **_of_maps(features["test"], result, examples),
        **_of_classes(result),
        **_of_examples(examples, progress_bar),
    )
    page = folder / "index.html"
    with replacing(page) as partial:
        # A path or a class may hold bytes that are no text.
        partial.write_text(html, encoding="utf-8", errors=ESCAPING)
    return page


def check_report_folder(folder: Path) -> None:
    """Make the folder of a report before any work is done.

    Raises:
        UsageError: it cannot be made, or not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--report '{folder}' cannot be made: {error.strerror}; name another folder") from error
    if not os.access(folder, os.W_OK):
        raise UsageError(f"--report '{folder}' cannot be written; name another folder")


def _of_figures(found: ComparedRuns) -> dict[str, object]:
    methods = shown_methods(found)
    panels, tables, weights = bar_panels(methods), merit_tables(methods), weight_rows(methods)
    gains = gain_rows(found.differences, methods, _leading_view(found.runs[-1]))
    return {
        "methods": methods,
        "not_judged": found.not_judged,
        "panels": panels,
        "half_width": max(panel.half_width for panel in panels),
        "gains": gains,
        "gained": list(dict.fromkeys(figure for row in gains for figure in row.gains)),
        "tables": tables,
        "has_ordered": any("ordered_probe_top1" in table.columns for table in tables),
        "weights": weights,
        "views": list(dict.fromkeys(view for row in weights for view in row.weights)),
    }


def _leading_view(result: EvaluationResult) -> str:
    """All views together, or the only one."""
    return FUSED if FUSED in result.by_probe.confusion else result.metrics[0].view


def _of_maps(test: VideoFeatures, result: EvaluationResult, examples: Sequence[RetrievalExample]) -> dict[str, object]:
    is_each = len(result.labels) <= MAX_MARKED
    marked = result.labels if is_each else tuple(example.query.label for example in examples)
    return {
        "maps": [(found, map_plot(found, marked)) for found in projections(test)],
        "marks": [(label, *class_mark(index)) for index, label in enumerate(marked)],
    }


def _of_classes(result: EvaluationResult) -> dict[str, object]:
    judged = result.by_classifier or result.by_probe
    view = _leading_view(result)
    counts = judged.confusion[view]
    is_matrix = len(result.labels) <= MAX_IN_MATRIX
    return {
        "view": view,
        "classifier": "classifier trained with the encoder" if result.by_classifier else "linear probe",
        "confusion": confusion_plot(counts, result.labels) if is_matrix else None,
        "pairs": confused_pairs(counts, result.labels, most=_FEW_PAIRS if is_matrix else _MANY_PAIRS),
        "classes": judged.per_class[view],
    }


def _examples(features: Mapping[str, VideoFeatures], *, is_centred: bool) -> list[RetrievalExample]:
    train, test = features["train"], features["test"]
    gallery, queries = (_searched(videos, is_centred=is_centred) for videos in (train, test))
    return retrieval_examples(train, test, gallery, queries)


def _of_examples(examples: Sequence[RetrievalExample], progress_bar: ProgressBar) -> dict[str, object]:
    shown = [entry for one in examples for entry in (one.query, *(found.entry for found in one.neighbours))]
    with progress_bar("taking pictures of videos") as on_progress:
        strips = film_strips(shown, on_progress=on_progress)
    return {
        "examples": examples,
        "strips": strips,
        "num_frames": NUM_FRAMES,
        "side_px": SIDE_PX,
        "has_brightened": any(strip.is_brightened for strip in strips.values()),
    }


def _searched(videos: VideoFeatures, *, is_centred: bool) -> NDArray[np.float32]:
    """What retrieval compares, `float32 [V, Σ D]`."""
    return fuse_embeddings({v: centred(vectors) if is_centred else vectors for v, vectors in videos.embeddings.items()})


def _facts(
    run: RunFolder, data: Path, result: EvaluationResult, features: Mapping[str, VideoFeatures]
) -> dict[str, str]:
    """What the head of the page says; the run's name first."""
    train, test = (len(features[split].labels) for split in ("train", "test"))
    return {
        "run": real_path(run.path).name,
        "method": result.method,
        "views": ", ".join(features["test"].embeddings),
        "dataset": str(data),
        "videos": f"{train} to train, {test} to test, of {len(result.labels)} classes",
        "trained": run.length.said,
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "made by": f"cocon {version('cocon')}",
    }


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cocon.training.evaluation.report", "."),
        autoescape=True,  # names of classes, videos and folders are not ours
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["per_cent"] = lambda value: "–" if value is None or math.isnan(value) else f"{value:.1f}"
    environment.filters["title_of"] = column_title
    environment.filters["data_uri"] = lambda jpeg: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return environment.get_template("report.html.jinja")
