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
from cocon.training.evaluation.recognition.metrics import FUSED, ViewMetrics, column_title
from cocon.training.evaluation.recognition.predictions import centred
from cocon.training.evaluation.recognition.result import EvaluationResult
from cocon.training.evaluation.report.content import confused_pairs, projections, table_rows
from cocon.training.evaluation.report.curves import curve_panels
from cocon.training.evaluation.report.plots import (
    DARK,
    LIGHT,
    NUM_DISTINCT,
    class_mark,
    confusion_plot,
    curve_plot,
    map_plot,
)
from cocon.training.evaluation.report.strips import retrieval_strips, thumbnails
from cocon.training.run_folder.files import RunFolder

__all__ = ["check_report_folder", "write_report"]

_KEY_FIGURES = {
    "classifier_top1": "Trained classifier, top-1",
    "probe_top1": "Linear probe, top-1",
    "R@1": "Retrieval, R@1",
    "best_moment_R@1": "Retrieval by best moment, R@1",
    "R@5": "Retrieval, R@5",
    "R@10": "Retrieval, R@10",
}


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
    facts |= {"classifier": result.not_judged} if result.not_judged else {}
    view = FUSED if FUSED in result.by_probe.confusion else next(iter(result.by_probe.confusion))
    html = _template().render(
        facts=facts,
        figures=_key_figures(result, found.untrained, view),
        view=view,
        curves=[(panel, curve_plot(panel)) for panel in curve_panels(run.path)],
        num_train=len(features["train"].labels),
        num_test=len(features["test"].labels),
        is_centred=is_centred,
        themes={"light": LIGHT, "dark": DARK},
        **_of_metrics(found.metrics),
        **_of_maps(features["test"], result),
        **_of_classes(result, view),
        **_of_retrieval(features, progress_bar, is_centred=is_centred),
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


def _of_metrics(metrics: Sequence[ViewMetrics]) -> dict[str, object]:
    methods = table_rows([row.to_dict() for row in metrics])
    return {"methods": methods, "columns": {name: column_title(name) for name in methods[0][0].figures}}


def _of_maps(test: VideoFeatures, result: EvaluationResult) -> dict[str, object]:
    return {
        "maps": [(found, map_plot(found, result.labels)) for found in projections(test)],
        "marks": [(label, *class_mark(index)) for index, label in enumerate(result.labels)],
        "num_distinct": NUM_DISTINCT,
    }


def _of_classes(result: EvaluationResult, view: str) -> dict[str, object]:
    named = result.by_classifier or result.by_probe
    return {
        "classifier": "linear probe" if result.by_classifier is None else "classifier trained with the encoder",
        "confusion": confusion_plot(named.confusion[view], result.labels),
        "pairs": confused_pairs(named.confusion[view], result.labels),
        "classes": named.per_class[view],
    }


def _of_retrieval(
    features: Mapping[str, VideoFeatures], progress_bar: ProgressBar, *, is_centred: bool
) -> dict[str, object]:
    train, test = features["train"], features["test"]
    gallery, queries = (_searched(videos, is_centred=is_centred) for videos in (train, test))
    strips = retrieval_strips(train, test, gallery, queries)
    shown = [entry.path for strip in strips for entry in (strip.query, *(found.entry for found in strip.neighbours))]
    with progress_bar("taking pictures of videos") as on_progress:
        pictures = thumbnails(shown, on_progress=on_progress)
    uris = {path: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode() for path, jpeg in pictures.items()}
    return {"strips": strips, "pictures": uris}


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
        "epochs": str(run.config.training.epochs),
        "date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "made by": f"cocon {version('cocon')}",
    }


def _key_figures(
    result: EvaluationResult, untrained: EvaluationResult | None, view: str
) -> list[tuple[str, float, str]]:
    """Name, value and what to compare it with: the untrained networks, or chance."""
    row = next(row for row in result.metrics if row.view == view)
    own = row.figures
    beneath = _figures_of(untrained.metrics, view) if untrained else {}
    figures = []
    for column, name in _KEY_FIGURES.items():
        if (value := own.get(column)) is not None:
            beside = [f"untrained {beneath[column]:.1f}"] if column in beneath else []
            beside += [f"chance {row.chance[column]:.1f}"]
            figures.append((name, value, ", ".join(beside)))
    return figures[:4]


def _figures_of(metrics: Sequence[ViewMetrics], view: str) -> Mapping[str, float]:
    """Figures of a view's row; none where it is not there."""
    return next((row.figures for row in metrics if row.view == view), {})


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cocon.training.evaluation.report", "."),
        autoescape=True,  # names of classes, videos and folders are not ours
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["per_cent"] = lambda value: "–" if value is None or math.isnan(value) else f"{value:.1f}"
    return environment.get_template("report.html.jinja")
